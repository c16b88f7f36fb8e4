"""From entries to members, with where each came from; what cannot become one is said, row by row."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.enforced.shadow import Side, Today
from clearinghouse.federation.names import BadName, normal
from clearinghouse.federation.published.documents import RESERVED
from clearinghouse.federation.published.members import MAX_CONTACTS, MAX_ENDPOINTS, MAX_TEXT_CHARACTERS, Endpoint, Member, written
from clearinghouse.importing.entries import Entry, Found, Lists, Place, Unread

IMPORT_ID_DIGITS: Final = 12
"""Hexadecimal digits of an import's id: enough to tell some thousand imports apart by eye."""

_S2S_PORT: Final = 5269
_SIGNS_OF_PATTERNS: Final = frozenset("*?/^$\\[")
_PLACES_SHOWN: Final = 16
"""Places that the source of one record names; the answer of the command has them all."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A domain that today's lists refuse: it becomes no member, and nobody has to do anything for that."""

    domain: str
    places: tuple[Place, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import gives: members, the unsigned payloads of their records, refusals, what is left over, and who is admitted today."""

    id: str
    members: tuple[Member, ...]
    drafts: tuple[bytes, ...]
    places: Mapping[str, tuple[Place, ...]]
    refusals: tuple[Refusal, ...]
    unread: tuple[Unread, ...]
    today: tuple[Today, ...]
    files: tuple[str, ...]


def merged(found: Found, *, community: str, now: datetime) -> Imported:
    """Return what the entries of *found* say together: one draft for each domain that is admitted."""
    name = import_id(found)
    names, unread = _names(found)
    by_domain: dict[str, list[Entry]] = defaultdict(list)
    for entry in found.entries:
        if entry.domain in names:
            by_domain[names[entry.domain]].append(entry)
    members: list[tuple[Member, bytes]] = []
    refusals: list[Refusal] = []
    for domain, entries in by_domain.items():
        refusing = [entry for entry in entries if not entry.allowed]
        if refusing:
            refusals.append(Refusal(domain, _places(refusing), _note(refusing, unread)))
            unread += [_torn(entry, refusing[0]) for entry in entries if entry.allowed]
            continue
        try:
            member = _member(domain, entries, unread, community=community, name=name, now=now)
            members.append((member, written(member)))
        except ClearinghouseError as error:
            unread.append(Unread(entries[0].place, domain, error.message, error.mend))
    members.sort(key=lambda pair: pair[0].domain)
    return Imported(
        id=name,
        members=tuple(member for member, _ in members),
        drafts=tuple(draft for _, draft in members),
        places={domain: _places(entries) for domain, entries in by_domain.items()},
        refusals=tuple(sorted(refusals, key=lambda refusal: refusal.domain)),
        unread=tuple(sorted(dict.fromkeys((*found.unread, *unread)), key=lambda each: each.place)),
        today=tuple(_today(found.lists, names, name)),
        files=tuple(found.files),
    )


def import_id(found: Found) -> str:
    """Return the id of an import: the same for the same entries from the same places."""
    written_down = hashlib.sha256()
    for entry in found.entries:
        written_down.update(f"{entry}\n".encode("utf-8", "replace"))
    return written_down.hexdigest()[:IMPORT_ID_DIGITS]


def _names(found: Found) -> tuple[dict[str, str], list[Unread]]:
    """Return the normal form of each domain as it is written, and a report for each that has none."""
    names: dict[str, str] = {}
    unread: list[Unread] = []
    for entry in found.entries:
        if entry.domain in names:
            continue
        if entry.domain.startswith(".") or set(entry.domain) & _SIGNS_OF_PATTERNS:
            unread.append(Unread(entry.place, entry.domain, "is a pattern and no domain", "name each domain: a table has no patterns"))
            continue
        try:
            name = normal(entry.domain)
        except BadName as error:
            unread.append(Unread(entry.place, entry.domain, error.message, error.mend))
            continue
        if name in RESERVED:
            unread.append(Unread(entry.place, entry.domain, "is a name that no member can have", "nothing"))
        else:
            names[entry.domain] = name
    return names, unread


def _places(entries: Iterable[Entry]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(entry.place for entry in entries))


def _torn(entry: Entry, refusing: Entry) -> Unread:
    fact = f"is admitted here and refused at {refusing.place}; it became no member"
    return Unread(entry.place, entry.domain, fact, "decide, and add it by hand")


# -- one record ---------------------------------------------------------------------------------------


def _member(domain: str, entries: list[Entry], unread: list[Unread], *, community: str, name: str, now: datetime) -> Member:
    return Member(
        domain=domain,
        community=community,
        endpoints=_endpoints(entries, unread),
        contacts=_contacts(entries, unread),
        issued=now,
        source=_source(entries, name),
        note=_note(entries, unread),
    )


def _source(entries: list[Entry], name: str) -> str:
    places = list(dict.fromkeys(str(entry.place) for entry in entries))
    more = f" and {len(places) - _PLACES_SHOWN} more" if len(places) > _PLACES_SHOWN else ""
    text = f"import {_plain(', '.join(places[:_PLACES_SHOWN]))}{more} ({name})"
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"import {len(places)} places ({name})"


def _endpoints(entries: list[Entry], unread: list[Unread]) -> tuple[Endpoint, ...]:
    found: dict[Endpoint, Entry] = {}
    for entry in entries:
        if not entry.host:
            continue
        host = entry.host.strip("[]")
        if any(letter.isspace() for letter in host) or not host.isprintable() or len(host) > MAX_TEXT_CHARACTERS:
            unread.append(Unread(entry.place, entry.host, "is no address, and was left out", "write an address or a host's name"))
            continue
        found.setdefault(Endpoint(host, entry.port or _S2S_PORT), entry)
    unread += [_many(entry, entry.host, MAX_ENDPOINTS, "endpoints") for entry in list(found.values())[MAX_ENDPOINTS:]]
    return tuple(found)[:MAX_ENDPOINTS]


def _contacts(entries: list[Entry], unread: list[Unread]) -> tuple[str, ...]:
    found = {_plain(contact): entry for entry in entries for contact in entry.contacts}
    kept = [contact for contact in found if len(contact) <= MAX_TEXT_CHARACTERS]
    unread += [_many(found[contact], contact, MAX_TEXT_CHARACTERS, "characters") for contact in found if contact not in kept]
    unread += [_many(found[contact], contact, MAX_CONTACTS, "contacts") for contact in kept[MAX_CONTACTS:]]
    return tuple(kept[:MAX_CONTACTS])


def _note(entries: Iterable[Entry], unread: list[Unread]) -> str:
    """Return the notes of all entries, each once; what does not fit is said."""
    notes = dict.fromkeys(_plain(entry.note) for entry in entries if entry.note)
    text = "; ".join(note for note in notes if note)
    if len(text) > MAX_TEXT_CHARACTERS:
        entry = next(entry for entry in entries if entry.note)
        unread.append(_many(entry, text[MAX_TEXT_CHARACTERS:], MAX_TEXT_CHARACTERS, "characters of notes"))
    return text[:MAX_TEXT_CHARACTERS]


def _many(entry: Entry, text: str, most: int, what: str) -> Unread:
    return Unread(entry.place, text, f"is beyond the {most} {what} that a record has, and was left out", "shorten it, or keep it elsewhere")


def _plain(text: str) -> str:
    """Return a text of somebody else as a record may hold it: on one line, without what could move or turn a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


# -- what is allowed today ----------------------------------------------------------------------------


def _today(lists: Iterable[Lists], names: Mapping[str, str], name: str) -> Iterable[Today]:
    """Yield, for each local domain, what all of its lists admit together: who is stopped by one is stopped."""
    by_local: dict[str, list[Lists]] = defaultdict(list)
    for each in lists:
        by_local[each.local].append(each)
    for local, several in sorted(by_local.items()):
        written_names = {domain for each in several for rules in each.rules.values() for rule in rules for domain in rule.domains}
        known = {domain: names[domain] for domain in written_names if domain in names}
        inbound, outbound = (_side(several, known, direction) for direction in ("in", "out"))
        places = tuple(dict.fromkeys(place.file for each in several for place in each.places if place.file))
        yield Today(local, inbound, outbound, any(each.unclear for each in several), places, name)


def _side(several: list[Lists], known: Mapping[str, str], direction: str) -> Side:
    verdicts: dict[str, bool] = {}
    for domain, name in known.items():
        admitted = all(each.admits(domain, direction) for each in several)
        verdicts[name] = verdicts.get(name, True) and admitted
    return Side(
        default=all(each.admits("", direction) for each in several),
        allow=frozenset(name for name, admitted in verdicts.items() if admitted),
        deny=frozenset(name for name, admitted in verdicts.items() if not admitted),
    )
