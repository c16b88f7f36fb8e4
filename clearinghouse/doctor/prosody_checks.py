"""What is unsafe in a Prosody: from its configuration, and from what our module in it says of it (0.12)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from clearinghouse.doctor.catalogue import Seen, Severity, check
from clearinghouse.doctor.facts import Facts
from clearinghouse.importing.lua import Table
from clearinghouse.importing.prosody import GLOBAL, ProsodyConfig, Section

MODULE: Final = "clearinghouse"
_LOOPBACK_NAMES: Final = {"localhost", "ip6-localhost"}


@check(
    "D101",
    "prosody-unproven-peers",
    Severity.DANGER,
    "`s2s_secure_auth` is not true: a server without a valid certificate is believed by dialback, that is by DNS",
    "set `s2s_secure_auth = true` in the global section, and `ssl = { cafile = ... }` for your authority",
)
def unproven_peers(facts: Facts) -> Iterator[Seen]:
    """Look at `s2s_secure_auth` of each host, and of the running server."""
    for config, host in _federating(facts):
        if config.plain(host.name, "s2s_secure_auth") is not True:
            yield Seen(_where(config, host, "s2s_secure_auth"), f"`{host.name}` believes servers without a valid certificate")
    if facts.is_live("prosody") and facts.told.get("secure_auth") is False:
        yield Seen("the running server", "believes servers without a valid certificate")


@check(
    "D102",
    "prosody-dialback",
    Severity.WARNING,
    "the module `dialback` is loaded: where a certificate is not demanded, DNS alone says who somebody is",
    'take "dialback" out of `modules_enabled`; members of a closed community have certificates',
)
def dialback(facts: Facts) -> Iterator[Seen]:
    """Look for the module on each host, and on the running server."""
    for config, host in _federating(facts):
        if "dialback" in config.modules(host.name):
            yield Seen(_where(config, host, "modules_enabled"), f"`{host.name}` loads `dialback`")
    if facts.is_live("prosody") and facts.told.get("dialback") is True:
        yield Seen("the running server", "has `dialback` loaded")


@check(
    "D103",
    "prosody-excepted-domains",
    Severity.DANGER,
    "`s2s_insecure_domains` names domains that are believed without a valid certificate",
    "take them out: a policy that admits such a domain admits whoever controls its DNS",
)
def excepted_domains(facts: Facts) -> Iterator[Seen]:
    """Look at the exceptions from `s2s_secure_auth`."""
    for config, host in _federating(facts):
        for domain, place in config.texts(host.name, "s2s_insecure_domains"):
            yield Seen(str(place), f"`{domain}` is believed without a valid certificate")
    if facts.is_live("prosody"):
        for domain in _texts(facts.told.get("insecure_domains")):
            yield Seen("the running server", f"`{domain}` is believed without a valid certificate")


@check(
    "D104",
    "prosody-plain-streams",
    Severity.DANGER,
    "streams between servers may be without TLS",
    "set `s2s_require_encryption = true`, and load the module `tls`",
)
def plain_streams(facts: Facts) -> Iterator[Seen]:
    """Look at `s2s_require_encryption`, and whether there is TLS at all."""
    for config, host in _federating(facts):
        if config.plain(host.name, "s2s_require_encryption") is False:
            yield Seen(_where(config, host, "s2s_require_encryption"), f"`{host.name}` takes streams without TLS")
        elif "tls" not in config.modules(host.name):
            yield Seen(
                _where(config, host, "modules_enabled"), f"`{host.name}` does not load `tls`, so it can talk to nobody who demands it"
            )
    if facts.is_live("prosody") and facts.told.get("starttls") not in {None, "required"}:
        yield Seen("the running server", "takes streams without TLS")


@check(
    "D105",
    "prosody-old-resolver",
    Severity.WARNING,
    "Prosody runs without lua-unbound: its own resolver asks one server, in the clear, and forgets service records of large answers",
    "apt-get install lua-unbound, and restart Prosody",
)
def old_resolver(facts: Facts) -> Iterator[Seen]:
    """Look at which resolver the running server has; a configuration does not say."""
    if facts.is_live("prosody") and facts.told.get("unbound") is False:
        yield Seen("the running server", "has no lua-unbound")


@check(
    "D106",
    "prosody-module-not-loaded",
    Severity.DANGER,
    "the module `clearinghouse` is not loaded, so this server enforces nothing; as a global module it then governs components as well",
    'add "clearinghouse" to `modules_enabled` in the global section, and write the module with `clearinghouse server-module`',
)
def module_not_loaded(facts: Facts) -> Iterator[Seen]:
    """Look for the module in the global section: below one host it is easily lost, and components inherit nothing."""
    config = facts.prosody
    if config is None or not _hosts(config):
        return
    if MODULE in config.modules(GLOBAL):
        return
    alone = [host.name for host in _hosts(config) if MODULE in config.modules(host.name)]
    what = f"is loaded below {', '.join(f'`{each}`' for each in alone)} and not in the global section" if alone else "is not loaded"
    yield Seen(_first_file(config), f"`clearinghouse` {what}", Severity.WARNING if alone else None)


@check(
    "D107",
    "prosody-module-disabled",
    Severity.DANGER,
    "`modules_disabled` takes away the module that enforces, or TLS",
    'take "clearinghouse" and "tls" out of `modules_disabled`',
)
def module_disabled(facts: Facts) -> Iterator[Seen]:
    """Look at what is disabled, in each section."""
    for section in facts.prosody.sections.values() if facts.prosody else ():
        option = section.options.get("modules_disabled")
        for text, place in facts.prosody.texts(section.name, "modules_disabled") if facts.prosody and option else ():
            if text in {MODULE, "tls"}:
                yield Seen(str(place), f"`{text}` is disabled {'everywhere' if section.name == GLOBAL else f'on `{section.name}`'}")


@check(
    "D108",
    "prosody-slow-pushes",
    Severity.NOTE,
    "Nagle's algorithm is on: answers to the agent are held back for up to 40 ms in the hope of more",
    "set `network_settings = { nagle = false }`",
)
def slow_pushes(facts: Facts) -> Iterator[Seen]:
    """Look at `network_settings`."""
    if facts.prosody is not None and MODULE in facts.prosody.modules(GLOBAL):
        found = facts.prosody.plain(GLOBAL, "network_settings")
        nagle = found.fields.get("nagle") if isinstance(found, Table) else None
        if nagle is None or nagle.plain is not False:
            yield Seen(_first_file(facts.prosody), "`nagle` is not false")
    if facts.is_live("prosody") and facts.told.get("nagle") is True:
        yield Seen("the running server", "has `nagle` on")


@check(
    "D109",
    "prosody-no-agent",
    Severity.DANGER,
    "nobody is named who may push images, or the one who is named can not connect: nothing can ever pass",
    "set `clearinghouse_agent` to the agent's JID, and add a `Component` of that name with a `component_secret`",
)
def no_agent(facts: Facts) -> Iterator[Seen]:
    """Look at `clearinghouse_agent` and at the component of that name."""
    config = facts.prosody
    if config is None or MODULE not in config.modules(GLOBAL):
        return
    agent = config.plain(GLOBAL, "clearinghouse_agent")
    if not isinstance(agent, str) or not agent:
        yield Seen(_first_file(config), "`clearinghouse_agent` is not set")
        return
    section = config.sections.get(agent.lower())
    if section is None or section.component != "component":
        yield Seen(_option_place(config, GLOBAL, "clearinghouse_agent"), f"there is no `Component` with the name `{agent}`")
    elif not config.plain(section.name, "component_secret"):
        yield Seen(str(section.place), f"the component `{agent}` has no `component_secret`")


@check(
    "D110",
    "prosody-open-component-port",
    Severity.DANGER,
    "components can connect from other machines: the link has no TLS, and whoever knows the secret rules over this server",
    'set `component_interfaces = { "127.0.0.1" }`',
)
def open_component_port(facts: Facts) -> Iterator[Seen]:
    """Look at `component_interfaces`, which without a word is the loopback interface."""
    for text, place in facts.prosody.texts(GLOBAL, "component_interfaces") if facts.prosody else ():
        if not is_loopback(text):
            yield Seen(str(place), f"components are taken at `{text}`")
    if facts.is_live("prosody"):
        for text in _texts(facts.told.get("component_interfaces")):
            if not is_loopback(text):
                yield Seen("the running server", f"takes components at `{text}`")


@check(
    "D111",
    "prosody-ungoverned-hosts-open",
    Severity.DANGER,
    "hosts that no image names admit everybody",
    'leave `clearinghouse_ungoverned` out, or set it to "deny", and name every host in the agent\'s `hosts`',
)
def ungoverned_open(facts: Facts) -> Iterator[Seen]:
    """Look at `clearinghouse_ungoverned`."""
    if facts.prosody is not None and facts.prosody.plain(GLOBAL, "clearinghouse_ungoverned") == "allow":
        yield Seen(_option_place(facts.prosody, GLOBAL, "clearinghouse_ungoverned"), "hosts without an image admit everybody")


@check(
    "D112",
    "prosody-module-files",
    Severity.DANGER,
    "the files of the module are not where Prosody looks, or are others than this version's",
    "write them again: `clearinghouse server-module ... --force`, then restart Prosody",
)
def module_files(facts: Facts) -> Iterator[Seen]:
    """Look at the files in `plugin_paths`."""
    for place, fault in facts.modules.items():
        yield Seen(place, fault, None if "not there" in fault else Severity.WARNING)


@check(
    "D113",
    "prosody-any-authority",
    Severity.WARNING,
    "no `cafile` or `capath` in `ssl` names your authority: every authority that the operating system trusts can say who a member is",
    "set `ssl = { cafile = ... }` to the certificates of the authority that your community uses",
)
def any_authority(facts: Facts) -> Iterator[Seen]:
    """Look at `ssl` of each host; without a word Prosody takes the operating system's folder."""
    for config, host in _federating(facts):
        found = config.plain(host.name, "ssl")
        fields = found.fields if isinstance(found, Table) else {}
        if not fields.keys() & {"cafile", "capath"}:
            yield Seen(_where(config, host, "ssl"), f"`{host.name}` believes every authority of the operating system")


def is_loopback(text: str) -> bool:
    """Tell whether an interface or host is this machine's loopback."""
    try:
        return ip_address(text.strip("[]")).is_loopback
    except ValueError:
        return text.lower() in _LOOPBACK_NAMES


def _hosts(config: ProsodyConfig) -> list[Section]:
    """Return the hosts that talk to other servers; a component that connects from outside is none of ours to judge."""
    return [host for host in config.hosts if host.component != "component" and "s2s" in config.modules(host.name)]


def _federating(facts: Facts) -> Iterator[tuple[ProsodyConfig, Section]]:
    if facts.prosody is not None:
        yield from ((facts.prosody, host) for host in _hosts(facts.prosody))


def _where(config: ProsodyConfig, host: Section, option: str) -> str:
    found = config.option(host.name, option)
    return str(found.place if found else host.place)


def _option_place(config: ProsodyConfig, section: str, option: str) -> str:
    found = config.option(section, option)
    return str(found.place) if found else _first_file(config)


def _first_file(config: ProsodyConfig) -> str:
    return config.files[0] if config.files else "the configuration"


def _texts(found: object) -> list[str]:
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
