"""Members of a community: the records that the registrar's key signs, one for each domain (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from clearinghouse.clearing.dsse import MEMBER, Envelope, opened, seal
from clearinghouse.clearing.vocabulary import Kind, is_canonical, shown
from clearinghouse.clearing.wire import canonical, check_members, read_canonical, read_object, read_stamp, stamp
from clearinghouse.errors import BadPrincipal
from clearinghouse.federation.names import BadName, normal
from clearinghouse.federation.published.documents import MAX_MEMBER_BYTES, MAX_MEMBERS_BYTES, RESERVED, check_size, list_of
from clearinghouse.federation.published.payloads import community_of, number_of, reading, texts_of
from clearinghouse.federation.published.pins import check_pins
from clearinghouse.federation.published.refusals import MalformedDocument
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.principals import is_key, normalise

MAX_ENDPOINTS: Final = 16
"""Addresses of one member's server; a cluster has two or three."""

MAX_KEYS: Final = 8
"""Keys of one member: one in use, one announced, and room for both at a change of algorithm."""

MAX_TEXT_CHARACTERS: Final = 1_023
"""Characters of a contact, a note, an address or a source."""

MAX_CONTACTS: Final = 16
"""Contacts of one member."""

PORTS: Final = 65_535
"""The highest port number."""

Tls = Literal["start", "direct"]
"""How a stream to an endpoint is encrypted: by STARTTLS (RFC 6120), or from its first byte (XEP-0368)."""

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a member's server takes streams from other servers."""

    host: str
    port: int = 5269
    tls: Tls = "start"


@dataclass(frozen=True, slots=True)
class Member:
    """What a community knows of one domain.

    ``domain`` is in normal form.  ``keys`` are principals in normal form; with any of them the member signs its
    requests.  ``agent`` is the HTTPS URL and ``component`` the JID of its agent, empty for none.  ``serial`` only
    goes up.  ``removed`` says that it is no member any more, and keeps its serial.  ``source`` says where the
    record came from, as in ``import ejabberd.yml:12``.  ``pins`` are those of the certificates that its server
    presents to others, in their one form; a record without any has the bytes that it had before there were pins.
    """

    domain: str
    community: str
    endpoints: tuple[Endpoint, ...] = ()
    keys: tuple[str, ...] = ()
    agent: str = ""
    component: str = ""
    contacts: tuple[str, ...] = ()
    serial: int = 1
    issued: datetime = field(default=_LONG_AGO)
    removed: bool = False
    source: str = ""
    note: str = ""
    pins: tuple[str, ...] = ()


class ReadMember(NamedTuple):
    """A member, and who signed its record."""

    member: Member
    signers: tuple[str, ...]


def written(member: Member) -> bytes:
    """Return the payload of *member* in canonical JSON; raises `MalformedDocument` as reading it would."""
    payload = canonical(as_members(member))
    read_payload(payload)
    return payload


def as_members(member: Member) -> dict[str, Any]:
    """Return *member* as the members of its JSON object; ``pins`` is left out where there are none."""
    pins = {"pins": list(member.pins)} if member.pins else {}
    return pins | {
        "agent": member.agent,
        "community": member.community,
        "component": member.component,
        "contacts": list(member.contacts),
        "domain": member.domain,
        "endpoints": [{"host": each.host, "port": each.port, "tls": each.tls} for each in member.endpoints],
        "issued": stamp(member.issued),
        "keys": list(member.keys),
        "note": member.note,
        "removed": "yes" if member.removed else "no",
        "serial": member.serial,
        "source": member.source,
    }


def seal_member(member: Member, keys: Sequence[PrivateKey]) -> bytes:
    """Return *member*'s record signed with *keys*: the registrar's, or of a request to join the member's own."""
    return seal(written(member), MEMBER, keys, most=MAX_MEMBER_BYTES)


def read_member(raw: bytes) -> ReadMember:
    """Return the member in the sealed record *raw*, all of whose signatures hold, and who signed.

    Whether those may sign is another question: `clearinghouse.federation.roles.entitlement`.  Raises `EndlessData`,
    what `opened` raises, and `MalformedDocument`.
    """
    envelope = envelope_of(raw)
    return ReadMember(read_payload(envelope.payload), envelope.signers)


def envelope_of(raw: bytes) -> Envelope:
    """Return the envelope of a sealed record, all of whose signatures hold."""
    check_size(raw, MAX_MEMBER_BYTES, "the member's record")
    return opened(raw, payload_type=MEMBER)


def read_payload(payload: bytes) -> Member:
    """Return the member that `written` wrote as *payload*; raises `MalformedDocument`."""
    with reading("the member's record", mend="have the registrar sign it again"):
        found = read_canonical(payload)
        check_members(found, _WITH_PINS if _PINS in found else _MEMBERS)
        return _member(found)


def listed(records: Iterable[bytes]) -> bytes:
    """Return the document `members/<digest>` of sealed *records*, sorted so that equal sets are equal documents."""
    return list_of(sorted(map(_plain, records)))


def _plain(record: bytes) -> bytes:
    """Return an envelope in canonical JSON, also one that was carried in a file with lines."""
    return record if _is_plain(record) else canonical(read_object(record))


def _is_plain(record: bytes) -> bool:
    return record.startswith(_BEGIN) and record.endswith(b"}") and record.translate(None, b" \t\r\n") == record


def unlisted(raw: bytes, most: int = MAX_MEMBERS_BYTES) -> tuple[bytes, ...]:
    """Return the sealed records in the document that `listed` wrote; raises `EndlessData`, `MalformedDocument`.

    The list is cut where a record begins: no text in JSON has an unescaped quotation mark, so nothing else looks
    like it.  Whether each piece is an envelope is found when it is opened, which happens once for each record.
    """
    check_size(raw, most, "the list of members")
    if raw == b"[]":
        return ()
    if not (raw.startswith(b"[" + _BEGIN) and raw.endswith(b"}]")):
        raise _not_listed()
    records = [_BEGIN + part + b"}" for part in raw[1 + len(_BEGIN) : -2].split(b"}," + _BEGIN)]
    if records != sorted(set(records)) or not all(map(_is_plain, records)):
        raise _not_listed()
    return tuple(records)


def _not_listed() -> MalformedDocument:
    return MalformedDocument("the list of members is not in its one form", mend="fetch it again")


_BEGIN: Final = b'{"payload":"'
"""How every envelope begins in canonical JSON."""

_PINS: Final = "pins"

_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("agent", "community", "component", "domain", "issued", "note", "removed", "source"), str),
    **dict.fromkeys(("contacts", "endpoints", "keys"), list),
    "serial": int,
}
_WITH_PINS: Final[Mapping[str, type]] = {**_MEMBERS, _PINS: list}


def _member(found: dict[str, Any]) -> Member:
    if found["removed"] not in {"yes", "no"}:
        raise ValueError("does not say yes or no to `removed`")
    return Member(
        domain=_domain(found["domain"]),
        community=community_of(found),
        endpoints=_endpoints(found["endpoints"]),
        keys=_keys(texts_of(found, "keys")),
        agent=_agent(found["agent"]),
        component=_component(found["component"]),
        contacts=_texts(texts_of(found, "contacts"), MAX_CONTACTS),
        serial=number_of(found, "serial"),
        issued=read_stamp(found["issued"]),
        removed=found["removed"] == "yes",
        source=_text(found["source"]),
        note=_text(found["note"]),
        pins=_pins(texts_of(found, _PINS)) if _PINS in found else (),
    )


def _domain(text: str) -> str:
    try:
        right = normal(text) == text and text not in RESERVED
    except BadName:
        right = False
    if not right:
        raise ValueError(f"has the domain `{shown(text)}`, which is no member's name in its normal form")
    return text


def _endpoints(found: list[Any]) -> tuple[Endpoint, ...]:
    if len(found) > MAX_ENDPOINTS:
        raise ValueError(f"has more than {MAX_ENDPOINTS} endpoints")
    return tuple(map(_endpoint, found))


def _endpoint(found: object) -> Endpoint:
    if not isinstance(found, dict):
        raise ValueError("has an endpoint that is no object")  # noqa: TRY004 - of the text that is read
    check_members(found, {"host": str, "port": int, "tls": str})
    host, port = _text(found["host"]), number_of(found, "port", most=PORTS)
    if not host or any(letter.isspace() for letter in host):
        raise ValueError("has an endpoint without a host")
    tls: Tls | None = "start" if found["tls"] == "start" else "direct" if found["tls"] == "direct" else None
    if tls is None:
        raise ValueError("has an endpoint whose `tls` is neither start nor direct")
    return Endpoint(host, port, tls)


def _keys(found: tuple[str, ...]) -> tuple[str, ...]:
    if len(found) > MAX_KEYS or len(set(found)) != len(found):
        raise ValueError(f"has more than {MAX_KEYS} keys, or one twice")
    for each in found:
        if not _is_normal_key(each):
            raise ValueError(f"has the key `{shown(each)}`, which is none in its normal form")
    return found


def _pins(found: tuple[str, ...]) -> tuple[str, ...]:
    if not found:
        raise ValueError("has an empty list of pins, which is written by leaving it out")
    check_pins(found)
    return found


def _is_normal_key(text: str) -> bool:
    try:
        return is_key(text) and normalise(text) == text
    except BadPrincipal:
        return False


def _agent(text: str) -> str:
    if text and (not text.startswith("https://") or any(letter.isspace() for letter in text)):
        raise ValueError("has an agent that is no HTTPS address")
    return _text(text)


def _component(text: str) -> str:
    if text and not is_canonical(Kind.JID, text):
        raise ValueError("has a component that is no JID")
    return text


def _texts(found: tuple[str, ...], most: int) -> tuple[str, ...]:
    if len(found) > most:
        raise ValueError(f"has more than {most} texts in a list")
    return tuple(map(_text, found))


def _text(text: str) -> str:
    if len(text) > MAX_TEXT_CHARACTERS or not is_canonical(Kind.TEXT, text):
        raise ValueError(f"has a text of more than {MAX_TEXT_CHARACTERS} characters, or with characters that are none")
    return text
