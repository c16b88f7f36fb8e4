"""What is known of a door of the clearinghouse: its names and keys, its members and their agents' reports, and what the DNS says."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from clearinghouse.doctor.certificates import Certificate, names_of, read_certificates
from clearinghouse.doctor.facts import EMPTY
from clearinghouse.doctor.resolving import Answers, ask
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.membership.registry import Kept
from clearinghouse.federation.published.members import Member, read_member
from clearinghouse.federation.redirection.zone import DIRECT, STARTTLS
from clearinghouse.importing.certificates import read_certificate, read_pin
from clearinghouse.settings import Settings, Store
from clearinghouse.storage.named import read_named


@dataclass(frozen=True, slots=True)
class Stored:
    """Members of a clearinghouse, and what their agents said last, by domain; nothing where the store cannot be read."""

    members: tuple[Member, ...] = ()
    reports: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: EMPTY)

    @classmethod
    def of(cls, hub: Settings | None) -> Stored:
        """Return what the store of these settings has; only where there is a door."""
        if hub is None or hub.redirect is None:
            return cls()
        with suppress(ClearinghouseError):
            kept = asyncio.run(_kept(hub.store))
            members = tuple(read_member(each.sealed).member for each in kept.members if not each.removed)
            there = {each.domain for each in members}
            return cls(members, {each.domain: each.report for each in kept.agents if each.domain in there})
        return cls()


async def _kept(store: Store) -> Kept:
    async with read_named(store) as opened:
        return await opened.federation()


def presented(hub: Settings | None) -> Mapping[str, tuple[Certificate, ...]]:
    """Return the certificate that the door presents for each name: its own, and those of members that it fronts."""
    return {} if hub is None or hub.redirect is None else dict(_presented(hub))


def _presented(hub: Settings) -> Iterator[tuple[str, tuple[Certificate, ...]]]:
    door = hub.redirect
    if door is not None:
        named = [(door.name, door.certificate_file), *((each.domain, each.certificate_file) for each in door.fronted)]
        yield from ((name, tuple(read_certificates(path))) for name, path in named)


@dataclass(frozen=True, slots=True)
class Ways:
    """The doors that send peers on: their *names*, and the *pins* of those whose certificate is known."""

    names: frozenset[str] = frozenset()
    pins: Mapping[str, frozenset[str]] = field(default_factory=lambda: EMPTY)


def gathered(certificates: Iterable[Path], hub: Settings | None) -> Ways:
    """Return what certificates that were handed in say, and the settings of a clearinghouse; raises what reading a certificate raises."""
    pins: dict[str, set[str]] = {}
    names: set[str] = set()
    for path in certificates:
        found = read_certificate(path)
        for name in names_of(found):
            if "*" not in name:
                pins.setdefault(name, set()).add(read_pin(path))
    if hub is not None and hub.redirect is not None:
        names |= {hub.redirect.name, *(each.name for each in hub.redirect.nodes)}
        with suppress(ClearinghouseError):  # what is wrong with the file is said where certificates are looked at
            pins.setdefault(hub.redirect.name, set()).add(read_pin(hub.redirect.certificate_file))
    return Ways(frozenset({*names, *pins}), {name: frozenset(each) for name, each in pins.items()})


def looked_up(domains: Sequence[str], doors: Collection[str], resolver: str) -> Answers:
    """Return what the DNS says of *domains*: their service records, and addresses where one names something else than *doors*."""
    found = ask(((prefix + domain, "SRV") for domain in domains for prefix in (STARTTLS, DIRECT)), resolver)
    others = sorted({each.target for each in found.records} - {*doors} - {"."})
    hosts = [name for name in (*others, *(sorted(doors) if others else ())) if not _is_address(name)]
    return found.joined(ask(((name, kind) for name in hosts for kind in ("A", "AAAA")), resolver))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
