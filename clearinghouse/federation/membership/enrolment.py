"""What is asked about a member's record, as data: by people, by signed envelopes, and by the member itself (pure).

The words are the same on every way; one that is left out leaves that part of the record as it is:

=============== ======================================================================================
word            meaning
=============== ======================================================================================
``domain``      whose record
``endpoints``   where its server takes streams: ``host:port`` or ``host:port:direct``, separated by blanks
``keys``        its principals, separated by blanks
``agent``       the HTTPS address of its agent
``component``   the JID of its agent
``contacts``    people to write to, one a line
``note``        what the record says besides
``pins``        digests of the keys in its server's certificates, separated by blanks; ``none`` takes all away
=============== ======================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from clearinghouse.clearing.vocabulary import shown
from clearinghouse.errors import BadPrincipal, MalformedRequest
from clearinghouse.federation.names import normal
from clearinghouse.federation.published.members import Endpoint, Member, read_payload, written
from clearinghouse.federation.published.pins import canonical_pins
from clearinghouse.federation.published.refusals import MalformedDocument
from clearinghouse.keynote.principals import normalise

WORDS: Final = ("domain", "endpoints", "keys", "agent", "component", "contacts", "note", "source", "pins")
"""What an act may say."""

NO_PINS: Final = "none"
"""Takes all pins away: on several ways a word without text is one that was not said."""

_ENDPOINT: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:]+):(?P<port>[0-9]{1,5})(?::(?P<tls>start|direct))?")


class Act(StrEnum):
    """What is to become of a record; as the kind of an envelope, with ``member-`` before it."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Change(StrEnum):
    """What a new record differs in from the old one, as policies read it; the gravest of several."""

    ADD = "add"
    CONTACT = "contact"
    ADDRESS = "address"
    KEYS = "keys"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One act about one domain, in normal form, with the words that say how."""

    act: Act
    domain: str
    words: Mapping[str, str] = field(default_factory=dict)


def read_wanted(act: str, words: Mapping[str, str]) -> Wanted:
    """Return what *words* ask for; raises `MalformedRequest`, `BadName`."""
    if act not in set(Act):
        raise MalformedRequest(f"`{shown(act)}` is nothing that happens to a member", mend=f"use {', '.join(Act)}")
    if unknown := [name for name in words if name not in WORDS]:
        raise MalformedRequest(f"a member's record has no `{shown(unknown[0])}`", mend=f"say {', '.join(WORDS)}")
    if "domain" not in words:
        raise MalformedRequest("no domain is named", mend="say whose record it is")
    if act == Act.REMOVE and set(words) - {"domain", "note", "source"}:
        raise MalformedRequest("a removal changes nothing else", mend="say only the domain, and a note if you like")
    return Wanted(Act(act), normal(words["domain"]), {name: text for name, text in words.items() if name != "domain"})


def wanted_words(member: Member) -> dict[str, str]:
    """Return the words that make *member* of nothing."""
    return {
        "domain": member.domain,
        "endpoints": " ".join(_shown(each) for each in member.endpoints),
        "keys": " ".join(member.keys),
        "agent": member.agent,
        "component": member.component,
        "contacts": "\n".join(member.contacts),
        "note": member.note,
        "source": member.source,
        "pins": " ".join(member.pins),
    }


def applied(wanted: Wanted, before: Member | None, *, community: str, serial: int, now: datetime, source: str) -> Member:
    """Return the record that *wanted* makes of *before*, the record of today; raises `MalformedRequest`.

    *source* is where it comes from, unless the words say that.
    """
    there = before is not None and not before.removed
    if (wanted.act is Act.ADD) is there:
        if there:
            raise MalformedRequest(f"`{wanted.domain}` is a member already", mend="change its record: `clearinghouse member change`")
        raise MalformedRequest(f"`{wanted.domain}` is no member", mend="see `clearinghouse member list` for who is")
    words = wanted.words
    base = before if before is not None and there else Member(wanted.domain, community)
    if wanted.act is Act.REMOVE:
        found = Member(wanted.domain, community, removed=True, note=words.get("note", ""))
    else:
        found = replace(
            base,
            endpoints=_endpoints(words["endpoints"]) if "endpoints" in words else base.endpoints,
            keys=_keys(words["keys"]) if "keys" in words else base.keys,
            agent=words.get("agent", base.agent),
            component=words.get("component", base.component).lower(),
            contacts=_lines(words["contacts"]) if "contacts" in words else base.contacts,
            note=words.get("note", base.note),
            pins=_pins(words["pins"]) if "pins" in words else base.pins,
        )
    made = replace(found, serial=serial, issued=now, source=words.get("source", source))
    try:
        return read_payload(written(made))
    except MalformedDocument as error:
        raise MalformedRequest(error.message, mend="write it as the reference page says") from None


def change_between(before: Member | None, after: Member) -> Change:
    """Return in what *after* differs from *before*; the gravest, where it is several."""
    if after.removed:
        return Change.REMOVE
    if before is None or before.removed:
        return Change.ADD
    if before.keys != after.keys:
        return Change.KEYS
    if _reached(before) != _reached(after):
        return Change.ADDRESS
    return Change.CONTACT


def _reached(member: Member) -> tuple[object, ...]:
    """Return where a member is found, and by which key its server is known there."""
    return member.endpoints, member.agent, member.component, member.pins


def _endpoints(text: str) -> tuple[Endpoint, ...]:
    return tuple(map(_endpoint, text.split()))


def _endpoint(text: str) -> Endpoint:
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        raise MalformedRequest(f"`{shown(text)}` is no endpoint", mend="write `host:port`, or `host:port:direct` for direct TLS")
    return Endpoint(found["host"].strip("[]").lower(), int(found["port"]), "direct" if found["tls"] == "direct" else "start")


def _shown(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}" + (":direct" if endpoint.tls == "direct" else "")


def _keys(text: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(normalise(each) for each in text.split()))
    except BadPrincipal as error:
        raise MalformedRequest(f"a key cannot be read: {error.message}", mend=error.mend) from None


def _pins(text: str) -> tuple[str, ...]:
    try:
        return () if text == NO_PINS else canonical_pins(text.split())
    except ValueError as error:
        raise MalformedRequest(f"the record {error}", mend="take pins from certificates with `clearinghouse pin`") from None


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
