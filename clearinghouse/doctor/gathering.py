"""Fetches facts: configurations, files, certificates, what the agent has written down of its server, and what is handed in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clearinghouse.clearing.wire import read_stamp
from clearinghouse.doctor import disk, redirection
from clearinghouse.doctor.dns import Record, records
from clearinghouse.doctor.facts import EMPTY, Facts
from clearinghouse.doctor.follows import Follows, of_ejabberd, of_prosody, told
from clearinghouse.doctor.hosts import certificates_of
from clearinghouse.doctor.redirection import Stored, presented
from clearinghouse.doctor.state import Kept
from clearinghouse.doors.control.client import call_at
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.enforced.shadow import module_in
from clearinghouse.importing.ejabberd import EjabberdConfig, read_ejabberd
from clearinghouse.importing.entries import Unread
from clearinghouse.importing.files import read_bytes, text_of
from clearinghouse.importing.prosody import ProsodyConfig, read_prosody
from clearinghouse.importing.records import read_members
from clearinghouse.settings import Settings, read_settings
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import read_agent_settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be inspected; each may be left out."""

    prosody: Path | None = None
    ejabberd: Path | None = None
    agent: Path | None = None
    clearinghouse: Path | None = None
    status: Path | None = None
    dns: Path | None = None
    members: Path | None = None
    doors: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    door_certificates: tuple[Path, ...] = ()
    resolver: str = ""


def gathered(asked: Asked, now: datetime) -> Facts:
    """Return the facts; raises what stands in the way of reading a file that was named."""
    prosody = read_prosody(asked.prosody) if asked.prosody else None
    ejabberd = read_ejabberd(asked.ejabberd) if asked.ejabberd else None
    agent = read_agent_settings(asked.agent) if asked.agent else None
    clearinghouse = read_settings(asked.clearinghouse) if asked.clearinghouse else None
    status = _status(asked.status) if asked.status or agent is None else _running(agent)
    state = Kept.of(agent)
    live = state.live or module_in(status)
    found = Facts(
        now=now,
        prosody=prosody,
        ejabberd=ejabberd,
        modules=disk.module_faults(prosody, asked.prosody),
        files=tuple(disk.modes(_named(asked, prosody, ejabberd, agent, clearinghouse))),
        certificates=certificates_of(prosody, ejabberd, _mapping(live.get("facts")), now),
        agent=agent,
        clearinghouse=clearinghouse,
        asked=agent is not None or asked.status is not None,
        live=live,
        live_at=_instant(live.get("at")),
        status=status if "standing" in status else EMPTY,
        images=state.images,
        images_at=state.images_at,
        dns=tuple(records(text_of(read_bytes(asked.dns)))) if asked.dns else (),
        doors=_doors(asked, agent),
        members=(*state.members, *(read_members(asked.members) if asked.members else ())),
        lifetimes=(*state.lifetimes, *disk.root_of(clearinghouse)),
        admits=disk.admits(agent),
        unread=tuple(_unread(prosody, ejabberd)),
        follows=tuple(_follows(prosody, ejabberd, live)),
        presented=presented(clearinghouse),
    )
    return _looked_up(asked, found)


def _looked_up(asked: Asked, found: Facts) -> Facts:
    """Return what was *found* together with what doors, their members and the DNS say, where peers are sent on."""
    agent, hub = found.agent, found.clearinghouse
    ways, stored = redirection.gathered(asked.door_certificates, hub), Stored.of(hub)
    doors = found.doors | ways.names
    asks = bool(asked.resolver) or any(each.doors for each in found.follows)
    domains = (*(agent.governed if agent and asks else ()), *(each.domain for each in stored.members))
    answers = redirection.looked_up(domains, doors, asked.resolver)
    dns = (*found.dns, *answers.records)
    return replace(
        found,
        dns=dns,
        doors=doors,
        addresses=_addresses(asked, agent, dns) | (ways.names if hub else frozenset()),
        members=(*found.members, *stored.members),
        named_doors=ways.names | frozenset(map(_plain, asked.doors)),
        door_pins=ways.pins,
        reports=stored.reports,
        asked_about=domains,
        unanswered=frozenset(answers.unknown),
    )


def _named(
    asked: Asked, prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None, agent: AgentSettings | None, hub: Settings | None
) -> Iterator[disk.Named]:
    """Yield every file whose mode matters."""
    yield from ((path, "settings") for path in (asked.agent, asked.clearinghouse))
    yield from disk.of_servers(prosody, ejabberd)
    yield from disk.of_agent(agent) if agent else ()
    yield from disk.of_clearinghouse(hub) if hub else ()


def _follows(prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None, live: Mapping[str, Any]) -> Iterator[Follows]:
    yield from of_prosody(prosody)
    yield from of_ejabberd(ejabberd)
    yield from told(_mapping(live.get("facts")))


def _unread(prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None) -> Iterator[Unread]:
    for config in (prosody, ejabberd):
        yield from config.unread if config else ()


# -- what was handed in -------------------------------------------------------------------------------


def _status(path: Path | None) -> Mapping[str, Any]:
    """Return a saved status: what `agent status --json` printed, or what a module answered."""
    if path is None:
        return EMPTY
    try:
        found = json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadSettings(f"`{path}` is no status", mend="give what `clearinghouse agent status --json` printed")
    inner = found.get("status")
    return inner if isinstance(inner, dict) else found


def _running(agent: AgentSettings) -> Mapping[str, Any]:
    """Return the status of the agent if it runs, and we may ask it."""
    if agent.socket.exists():
        with suppress(ClearinghouseError):
            return _mapping(call_at(agent.socket, "status").get("status"))
    return EMPTY


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else EMPTY


def _instant(found: object) -> datetime | None:
    with suppress(ValueError):
        return read_stamp(found) if isinstance(found, str) else None
    return None


def _doors(asked: Asked, agent: AgentSettings | None) -> frozenset[str]:
    """Return the names under which the clearinghouse listens: those that are given, and where the agent's tables come from."""
    urls = [each.url for each in agent.source if each.url] if agent else []
    return frozenset({*map(_plain, asked.doors)} | {urlsplit(url).hostname or "" for url in urls}) - {""}


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _addresses(asked: Asked, agent: AgentSettings | None, dns: Iterable[Record]) -> frozenset[str]:
    """Return our own addresses: those that are given, and the targets of our own domains in the DNS data."""
    ours = set(agent.governed) if agent else set[str]()
    return frozenset(asked.addresses) | {record.target for record in dns if record.domain in ours}
