"""What a Prosody admits today: the community modules `s2s_whitelist`, `s2s_blacklist`, `s2s_blackwhitelist`, and `firewall`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from clearinghouse.errors import ClearinghouseError
from clearinghouse.importing import firewall
from clearinghouse.importing.entries import BOTH, Entry, Found, Lists, Place, Unread, black_list, white_list
from clearinghouse.importing.prosody import GLOBAL, ProsodyConfig, Section, read_prosody

_LIST_OPTIONS: Final = ("s2s_whitelist", "s2s_blacklist")
_NOT_READ: Final = (
    "host_guard_blockall",
    "host_guard_blockall_exceptions",
    "host_guard_selective",
    "host_guard_blacklist",
    "s2s_insecure_domains",
    "s2s_secure_domains",
)
"""Options that name domains and say something else than who is admitted, or say it in another way."""


def from_prosody(path: Path) -> Found:
    """Return the lists of a configuration, host by host."""
    config = read_prosody(path)
    found = Found(unread=list(config.unread), files=list(config.files))
    agent = config.plain(GLOBAL, "clearinghouse_agent")
    for host in config.hosts:
        if host.name != agent:  # the agent speaks with its own server
            _of_host(config, host, found)
    if config.unread:  # which may be anything, a list too
        found.lists = [replace(each, unclear=True) for each in found.lists]
    _without_effect(config, found)
    _left_out(config, found)
    return found


def _of_host(config: ProsodyConfig, host: Section, found: Found) -> None:
    modules = config.modules(host.name)
    if "s2s" not in modules or config.plain(host.name, "disallow_s2s") is True:
        found.lists.append(white_list(host.name, (), [host.place]))
        return
    before = len(found.lists)
    if "s2s_whitelist" in modules:
        _take(config, host.name, "s2s_whitelist", found, allowed=True)
    if "s2s_blacklist" in modules:
        _take(config, host.name, "s2s_blacklist", found, allowed=False)
    if "s2s_blackwhitelist" in config.modules(GLOBAL) | modules:
        kind = config.plain(GLOBAL, "s2s_enable_blackwhitelist")
        if kind in {"whitelist", "blacklist"}:
            _take(config, host.name, f"s2s_{kind}", found, allowed=kind == "whitelist")
    if "firewall" in modules:
        _of_scripts(config, host.name, found)
    if len(found.lists) == before:
        found.lists.append(black_list(host.name, (), [host.place]))
        _beside(config, host, found)


def _take(config: ProsodyConfig, host: str, option: str, found: Found, *, allowed: bool) -> None:
    entries = list(_entries(config, config.inherited(host, option), allowed=allowed))
    found.entries += entries
    places = [entry.place for entry in entries]
    domains = [entry.domain for entry in entries]
    found.lists.append(white_list(host, domains, places) if allowed else black_list(host, domains, places))


def _entries(config: ProsodyConfig, texts: Iterable[tuple[str, Place]], *, allowed: bool) -> Iterable[Entry]:
    for text, place in texts:
        yield Entry(text, place, allowed, config.comments.get(place.file, {}).get(place.line, ""))


def _of_scripts(config: ProsodyConfig, host: str, found: Found) -> None:
    for text, place in config.texts(host, "firewall_scripts"):
        if text.startswith("module:"):
            continue  # scripts of the module itself: against spam, they name no domain
        try:
            found.add(firewall.from_script(Path(place.file).parent / text, host))
        except ClearinghouseError as error:
            found.unread.append(Unread(place, text, error.message, error.mend))
            found.lists.append(Lists(host, dict.fromkeys(BOTH, ()), dict.fromkeys(BOTH, True), unclear=True, places=(place,)))


def _beside(config: ProsodyConfig, host: Section, found: Found) -> None:
    """Say of a component that a list of the hosts around it does not hold for it."""
    listed = {"s2s_whitelist", "s2s_blacklist"} & config.modules(GLOBAL)
    for module in sorted(listed if host.component else ()):
        fact = f"admits every domain today, because a component does not inherit the module `{module}`"
        found.unread.append(Unread(host.place, host.name, fact, "nothing: the image of the agent governs components as well"))


def _without_effect(config: ProsodyConfig, found: Found) -> None:
    """Take what a list says that no module reads, and say so."""
    read = {entry.place for entry in found.entries}
    for section in config.sections.values():
        for option in _LIST_OPTIONS:
            if option not in section.options:
                continue
            entries = list(_entries(config, config.texts(section.name, option), allowed=option == "s2s_whitelist"))
            if any(entry.place not in read for entry in entries):
                fact = f"has no effect today: no module that reads it is loaded {_on(section)}"
                found.unread.append(
                    Unread(section.options[option].place, option, fact, f'add "{option}" to `modules_enabled`, or forget it')
                )
                found.entries += entries


def _on(section: Section) -> str:
    return "anywhere" if section.name == GLOBAL else f"on `{section.name}`"


def _left_out(config: ProsodyConfig, found: Found) -> None:
    for section in config.sections.values():
        for name, option in section.options.items():
            if name in _NOT_READ:
                fact = "names domains for another purpose than who may federate, and was not imported"
                found.unread.append(Unread(option.place, name, fact, "look at it when policies are written"))
            elif name in _LIST_OPTIONS and getattr(option.value.plain, "fields", None):
                fact = 'has names in `["..."] = ...`, which a list of Prosody does not read'
                found.unread.append(Unread(option.place, name, fact, 'write it as { "a.example", "b.example" }'))
