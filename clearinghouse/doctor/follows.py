"""By which doors a server lets itself be sent on: as its configuration says, as its module tells, as its agent reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clearinghouse.importing import lua
from clearinghouse.importing.ejabberd import EjabberdConfig
from clearinghouse.importing.prosody import GLOBAL, ProsodyConfig

OPTION: Final = "clearinghouse_doors"
"""Prosody's option; ejabberd has `doors` in that of its module."""
MODULE: Final = "mod_clearinghouse"


@dataclass(frozen=True, slots=True)
class Follows:
    """Whom somebody follows: *doors* have the pins by their names, empty for none.

    *where* says who says so.  Pins that nobody tells are ``None``.
    """

    where: str
    doors: Mapping[str, frozenset[str] | None]


def of_prosody(config: ProsodyConfig | None) -> Iterator[Follows]:
    """Yield what a configuration says, where it loads our module; nothing where only running it would tell."""
    if config is None or "clearinghouse" not in config.modules(GLOBAL):
        return
    option = config.option(GLOBAL, OPTION)
    if option is None:
        yield Follows(config.files[0] if config.files else "the configuration", {})
    elif isinstance(option.value.plain, lua.Table):
        fields = option.value.plain.fields
        yield Follows(str(option.place), {_plain(name): _pins(_texts(value.plain)) for name, value in fields.items()})


def of_ejabberd(config: EjabberdConfig | None) -> Iterator[Follows]:
    """Yield what a configuration says of each host that loads our module."""
    for host, place in config.hosts if config is not None else ():
        module = next((each for name, each in reversed(config.joined("modules", host)) if name == MODULE), None) if config else None
        if module is not None:
            doors = module.get("doors")
            pairs = doors.pairs() if doors is not None else ()
            found = {_plain(name): _pins(node.text for node in value.node.items()) for name, value in pairs}
            yield Follows(str(doors.place if doors is not None else place), found)


def told(facts: Mapping[str, Any]) -> Iterator[Follows]:
    """Yield what the module in a running server tells; a module of before there were doors tells of none."""
    names, pins = facts.get("doors"), facts.get("door_pins")
    known = pins if isinstance(pins, Mapping) else {}
    if facts:
        found = names if isinstance(names, list) else []
        yield Follows("the running server", {_plain(str(name)): _known(known.get(name)) for name in found})


def reported(domain: str, doors: str) -> Follows:
    """Return what the agent of *domain* reports of its server."""
    entries = (each.partition("=") for each in doors.split())
    return Follows(domain, {_plain(name): _pins(pins.split(",")) if sign else None for name, sign, pins in entries})


def _known(found: object) -> frozenset[str] | None:
    return _pins(map(str, found)) if isinstance(found, list) else None


def _texts(plain: lua.Plain) -> Iterator[str]:
    values = plain.items if isinstance(plain, lua.Table) else ()
    yield from (each.plain for each in values if isinstance(each.plain, str))
    if isinstance(plain, str):
        yield plain


def _pins(found: Iterable[str]) -> frozenset[str]:
    return frozenset(each.lower().replace(":", "") for each in found)


def _plain(name: str) -> str:
    return name.lower().rstrip(".")
