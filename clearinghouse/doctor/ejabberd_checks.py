"""What is unsafe in an ejabberd: from its configuration, and from what our module in it says of it (23.01)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from clearinghouse.doctor.catalogue import Seen, Severity, check
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.prosody_checks import is_loopback
from clearinghouse.importing.ejabberd import EjabberdConfig, Setting

MODULE: Final = "mod_clearinghouse"
DIALBACK: Final = "mod_s2s_dialback"

LONGEST_RETRY_SECONDS: Final = 10
"""After a permission has been given, nobody should wait longer for a server to try again."""

DEFAULT_RETRY_SECONDS: Final = 300
"""What ejabberd 23.01 takes without a word."""

OF_THE_SYSTEM: Final = ("", "/etc/ssl/certs/ca-certificates.crt")
"""Where Debian keeps every authority that is known; ejabberd 23.01 takes it without a word."""

_LENGTH: Final = re.compile(r"([0-9]{1,12})\s*(ms|milliseconds?|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)?")
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - what ejabberd takes without a word is what is looked for


@check(
    "D201",
    "ejabberd-unverified-certificates",
    Severity.DANGER,
    "with `mod_s2s_dialback` and `access: all`, its default, ejabberd does not verify the certificate of a server that it connects to",
    "take `mod_s2s_dialback` out of `modules`; if a partner needs it, give it an `access` rule with that partner alone",
)
def unverified(facts: Facts) -> Iterator[Seen]:
    """Look for the module and its access rule, on each host and on the running server."""
    for config, host in _hosts(facts):
        module = _module(config, host, DIALBACK)
        if module is None:
            continue
        access = module.get("access")
        if access is None or access.node.text == "all":
            yield Seen(str(module.place), f"`{host}` does not verify certificates of servers that it connects to")
        elif access.node.text != "none":
            yield Seen(str(access.place), f"`{host}` verifies no certificates of the servers in that rule", Severity.WARNING)
    if facts.is_live("ejabberd") and facts.told.get("dialback") is True:
        access_name = facts.told.get("dialback_access")
        severity = None if access_name == "all" else Severity.WARNING
        yield Seen("the running server", f"has `mod_s2s_dialback` loaded with `access: {access_name}`", severity)


@check(
    "D202",
    "ejabberd-plain-streams",
    Severity.DANGER,
    "`s2s_use_starttls` is not `required`: streams between servers may be without TLS",
    "set `s2s_use_starttls: required`",
)
def plain_streams(facts: Facts) -> Iterator[Seen]:
    """Look at `s2s_use_starttls`, which without a word is off."""
    for config, host in _hosts(facts):
        found = config.option("s2s_use_starttls", host)
        if found is None or found.node.text != "required":
            yield Seen(_where(config, found), f"`{host}` takes streams without TLS")
    if facts.is_live("ejabberd") and facts.told.get("starttls") not in {None, "required"}:
        yield Seen("the running server", "takes streams without TLS")


@check(
    "D203",
    "ejabberd-slow-retries",
    Severity.WARNING,
    "after a refusal ejabberd does not ask again for up to `s2s_max_retry_delay` (300 seconds): what is granted works minutes later",
    f"set `s2s_max_retry_delay: 1`, at most {LONGEST_RETRY_SECONDS}",
)
def slow_retries(facts: Facts) -> Iterator[Seen]:
    """Look at `s2s_max_retry_delay`."""
    if facts.ejabberd is not None and facts.ejabberd.hosts:
        found = facts.ejabberd.option("s2s_max_retry_delay")
        seconds = DEFAULT_RETRY_SECONDS if found is None else _seconds(found.node.text)
        if seconds > LONGEST_RETRY_SECONDS:
            yield Seen(_where(facts.ejabberd, found), f"a refused pair may stay refused for {seconds:g} seconds")
    delay = facts.told.get("retry_delay")
    if facts.is_live("ejabberd") and isinstance(delay, int) and delay > LONGEST_RETRY_SECONDS:
        yield Seen("the running server", f"a refused pair may stay refused for {delay} seconds")


@check(
    "D204",
    "ejabberd-any-authority",
    Severity.WARNING,
    "no `s2s_cafile` or `ca_file` names your authority: every authority that the operating system trusts can say who a member is",
    "set `s2s_cafile` to the certificates of the authority that your community uses",
)
def any_authority(facts: Facts) -> Iterator[Seen]:
    """Look at both options; without them the operating system's file is taken."""
    for config, host in _hosts(facts):
        if not (config.option("s2s_cafile", host) or config.option("ca_file", host)):
            yield Seen(_where(config, None), f"`{host}` believes every authority of the operating system")
    if facts.is_live("ejabberd") and facts.told.get("ca_file") in OF_THE_SYSTEM:  # which somebody may have chosen
        yield Seen("the running server", "believes every authority of the operating system", Severity.NOTE)


@check(
    "D205",
    "ejabberd-module-not-loaded",
    Severity.DANGER,
    "`mod_clearinghouse` is not loaded on a host, so nothing is enforced there",
    "add `mod_clearinghouse: {agent: agent.a.example}` to `modules`, also where `host_config` has its own list",
)
def module_not_loaded(facts: Facts) -> Iterator[Seen]:
    """Look for the module on each host."""
    for config, host in _hosts(facts):
        if _module(config, host, MODULE) is None:
            yield Seen(_where(config, config.option("modules", host)), f"`{host}` does not load `{MODULE}`")


@check(
    "D206",
    "ejabberd-no-agent",
    Severity.DANGER,
    "nobody can push images: the agent is not named, or there is no listener for its component",
    "name it in `mod_clearinghouse: {agent: ...}`, and in `hosts` of a listener with `module: ejabberd_service`",
)
def no_agent(facts: Facts) -> Iterator[Seen]:
    """Look at the module's option, and for a listener that knows the agent."""
    for config, host in _hosts(facts):
        module = _module(config, host, MODULE)
        if module is None:
            continue
        agent = module.get("agent")
        name = agent.node.text if agent else ""
        if not name:
            yield Seen(str(module.place), f"`{host}` names no agent")
        elif not any(listener.get("hosts", name) for listener in _services(config)):
            yield Seen(str(module.place), f"no listener takes the component `{name}`")


@check(
    "D207",
    "ejabberd-open-component-port",
    Severity.DANGER,
    "components can connect from other machines: the link has no TLS, and whoever knows the secret rules over this server",
    "give the listener of `ejabberd_service` `ip: 127.0.0.1`",
)
def open_component_port(facts: Facts) -> Iterator[Seen]:
    """Look at where `ejabberd_service` listens, which without a word is everywhere."""
    for listener in _services(facts.ejabberd) if facts.ejabberd else ():
        ip = listener.get("ip")
        text = ip.node.text if ip else _EVERYWHERE
        if not is_loopback(text):
            yield Seen(str(listener.place), f"components are taken at `{text}`")
    found = facts.told.get("component_interfaces")
    for text in found if facts.is_live("ejabberd") and isinstance(found, list) else ():
        if not is_loopback(str(text)):
            yield Seen("the running server", f"takes components at `{text}`")


@check(
    "D208",
    "ejabberd-open-api",
    Severity.DANGER,
    "`mod_http_api` answers beyond this machine: whoever gets past its permissions can change who is admitted",
    "listen at 127.0.0.1 only, and let `api_permissions` allow single commands",
)
def open_api(facts: Facts) -> Iterator[Seen]:
    """Look at where the API is served, and what it may do for whoever is on this machine."""
    config = facts.ejabberd
    for listener in config.listeners() if config else ():
        handlers = listener.get("request_handlers")
        if handlers is None or all(value.node.text != "mod_http_api" for _, value in handlers.pairs()):
            continue
        ip = listener.get("ip")
        text = ip.node.text if ip else _EVERYWHERE
        if not is_loopback(text):
            yield Seen(str(listener.place), f"the API is served at `{text}`")
    if facts.is_live("ejabberd") and facts.told.get("api_open") is True:
        yield Seen("the running server", "serves its API beyond this machine")


@check(
    "D209",
    "ejabberd-no-certificate",
    Severity.WARNING,
    "no `certfiles` are named, so this server cannot prove who it is",
    "name the certificate of each host, and its key, in `certfiles`",
)
def no_certificate(facts: Facts) -> Iterator[Seen]:
    """Look for `certfiles`."""
    if facts.ejabberd is not None and facts.ejabberd.hosts and not facts.ejabberd.top.get("certfiles") and "acme" not in facts.ejabberd.top:
        yield Seen(_where(facts.ejabberd, None), "there are no `certfiles`")


@check(
    "D210",
    "ejabberd-ungoverned-hosts-open",
    Severity.DANGER,
    "hosts that no image names admit everybody",
    "leave `ungoverned` out of `mod_clearinghouse`, and name every host in the agent's `hosts`",
)
def ungoverned_open(facts: Facts) -> Iterator[Seen]:
    """Look at the module's option `ungoverned`."""
    for config, host in _hosts(facts):
        module = _module(config, host, MODULE)
        found = module.get("ungoverned") if module else None
        if found is not None and found.node.text == "allow":
            yield Seen(str(found.place), f"`{host}` admits everybody while no image names it")


@check(
    "D211",
    "ejabberd-api-for-everybody-here",
    Severity.WARNING,
    "whoever runs a program on this machine may use every command of the API, those that change who is admitted included",
    "let `api_permissions` name single commands, and demand a token (`oauth`) instead of a loopback address",
)
def api_for_everybody(facts: Facts) -> Iterator[Seen]:
    """Look for permissions that ask for a loopback address only and allow everything, while the API is served."""
    config = facts.ejabberd
    served = [each for each in config.listeners() if "mod_http_api" in _texts_in(each.get("request_handlers"))] if config else []
    for name, rule in config.joined("api_permissions") if config and served else ():
        who, what, through = (_texts_in(rule.get(part)) for part in ("who", "what", "from"))
        by_address = "loopback" in who or any(is_loopback(text.partition("/")[0]) for text in who) or "all" in who
        if by_address and "*" in what and (not through or "mod_http_api" in through):
            yield Seen(str(rule.place), f"`{name}` lets every local program do everything")


def _texts_in(setting: Setting | None) -> set[str]:
    """Return every text below a setting; a part that stands in several places is looked at once."""
    waiting = [setting.node] if setting else []
    seen = set[int]()
    for node in waiting:  # which grows meanwhile
        if id(node) in seen:
            continue
        seen.add(id(node))
        waiting += node.value if isinstance(node.value, list) else [value for _, value in node.pairs()]
    return {node.text for node in waiting if node.text}


def _hosts(facts: Facts) -> Iterator[tuple[EjabberdConfig, str]]:
    if facts.ejabberd is not None:
        yield from ((facts.ejabberd, host) for host, _ in facts.ejabberd.hosts)


def _module(config: EjabberdConfig, host: str, name: str) -> Setting | None:
    return next((module for found, module in reversed(config.joined("modules", host)) if found == name), None)


def _services(config: EjabberdConfig) -> list[Setting]:
    found = ((each, each.get("module")) for each in config.listeners())
    return [each for each, module in found if module and module.node.text == "ejabberd_service"]


def _where(config: EjabberdConfig, setting: Setting | None) -> str:
    if setting is not None:
        return str(setting.place)
    return config.files[0] if config.files else "the configuration"


def _seconds(text: str) -> float:
    """Return a length of time as ejabberd writes it, in seconds; what is none counts as the default."""
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        return DEFAULT_RETRY_SECONDS
    unit = found[2] or "s"
    if unit.startswith(("ms", "milli")):
        return int(found[1]) / 1_000
    return int(found[1]) * _UNITS.get(unit[0], 1)
