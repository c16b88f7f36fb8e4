"""The clearinghouse's own IQs, ``urn:x-clearinghouse:1``: read strictly, written plainly (docs/reference/xmpp.md; pure)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.clearing.people import Changed, Party, Ruling
from clearinghouse.clearing.vocabulary import Kind, is_canonical
from clearinghouse.errors import MalformedRequest, TooLarge
from clearinghouse.grid.namespaces import CLEARINGHOUSE
from clearinghouse.grid.reception import PlatformAnswered, PlatformAsked
from clearinghouse.grid.texts import MAX_LINES, plain
from clearinghouse.grid.topics import Subscriber

OPERATIONS: Final = ("create", "publish", "subscribe", "retrieve", "discover")
"""What a platform may ask for."""

MAX_NAME_CHARACTERS: Final = 256
"""Characters of a node, a title or a namespace, as in the settings."""

MAX_SECONDS: Final = 2**31 - 1
"""The longest period, because ``ValidityPeriod`` is an integer of KeyNote (RFC 2704, section 4.4)."""

MAX_ENVELOPE_BYTES: Final = 65_536
"""Bytes of a sealed envelope: eight of the largest credentials, and in base64 a third of the 256 kB stanza that servers take."""

REQUEST: Final = f"{{{CLEARINGHOUSE}}}request"
DECISION: Final = f"{{{CLEARINGHOUSE}}}decision"
RECEIPT: Final = f"{{{CLEARINGHOUSE}}}receipt"
ENVELOPE: Final = f"{{{CLEARINGHOUSE}}}envelope"

_NAMES: Final = frozenset({"operation", "broker", "topic", "payload-type", "title", "seconds", "receipt"})
_MADE: Final = frozenset({"payload-type", "title"})
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}

_is_seconds = re.compile(r"[1-9][0-9]{0,9}").fullmatch


def write_request(asked: PlatformAsked) -> Element:
    """Return the ``<request/>`` of a platform."""
    attributes = {"operation": asked.operation, "broker": asked.broker, "topic": asked.topic}
    attributes |= {"payload-type": asked.payload_type} if asked.payload_type else {}
    attributes |= {"title": asked.title} if asked.title else {}
    attributes |= {"seconds": str(asked.seconds)} if asked.seconds is not None else {}
    attributes |= {"receipt": "true"} if asked.receipt else {}
    return Element(REQUEST, attributes)


def read_request(request: Element, asker: Subscriber) -> PlatformAsked:
    """Read a ``<request/>`` of *asker*; raises `MalformedRequest` for whatever it should not hold.

    An attribute that we do not know may be meant to narrow what is asked for, so it is not passed over.
    """
    if len(request) or (request.text or "").strip() or not _NAMES.issuperset(request.keys()):
        raise MalformedRequest("a request with more than it may have", mend=f"use the attributes {', '.join(sorted(_NAMES))} only")
    operation = request.get("operation", "")
    if operation not in OPERATIONS:
        raise MalformedRequest("a request for no such operation", mend=f"use {', '.join(OPERATIONS)}")
    if operation != "create" and not _MADE.isdisjoint(request.keys()):
        raise MalformedRequest("a payload type or title where nothing is made", mend="leave them to `create`")
    return PlatformAsked(
        operation,
        _broker(request.get("broker", "")),
        _name(request, "topic", needed=True),
        asker,
        payload_type=_name(request, "payload-type", needed=operation == "create"),
        title=_name(request, "title", needed=False),
        seconds=_seconds(request.get("seconds")),
        receipt=_truth(request.get("receipt", "false")),
    )


def _broker(written: str) -> str:
    if not is_canonical(Kind.JID, written):
        raise MalformedRequest("the broker is no JID in normal form", mend="write it as the broker's own address, in lower case")
    return written


def _name(request: Element, name: str, *, needed: bool) -> str:
    text = request.get(name, "")
    if len(text) > MAX_NAME_CHARACTERS:
        raise TooLarge(f"a {name} of {len(text)} characters", mend=f"use at most {MAX_NAME_CHARACTERS}")
    if not text.isprintable() or (needed and not text):
        raise MalformedRequest(f"the {name} is missing or cannot be printed", mend=f"use 1 to {MAX_NAME_CHARACTERS} printable characters")
    return text


def _seconds(written: str | None) -> int | None:
    if written is None:
        return None
    if not _is_seconds(written) or int(written) > MAX_SECONDS:
        raise MalformedRequest("a period that is no number of seconds", mend=f"use 1 to {MAX_SECONDS}, or leave it out")
    return int(written)


def _truth(written: str) -> bool:
    if written not in _TRUTHS:
        raise MalformedRequest("`receipt` is neither true nor false", mend="use `true`, or leave it out")
    return _TRUTHS[written]


def write_decision(answered: PlatformAnswered) -> Element:
    """Return the ``<decision/>`` that answers a request, with the receipt in base64 if there is one."""
    attributes = {"id": answered.id, "outcome": answered.outcome, "value": answered.value, "reason": answered.reason}
    if answered.ends is not None:
        attributes["ends"] = f"{answered.ends:%Y-%m-%dT%H:%M:%SZ}"
    decision = Element(DECISION, {name: plain(value) for name, value in attributes.items()})
    if answered.receipt:
        SubElement(decision, RECEIPT).text = base64.b64encode(answered.receipt).decode("ascii")
    return decision


def write_envelope(sealed: bytes) -> Element:
    """Return the ``<envelope/>`` that hands in a sealed DSSE envelope."""
    element = Element(ENVELOPE)
    element.text = base64.b64encode(sealed).decode("ascii")
    return element


def read_envelope(envelope: Element) -> bytes:
    """Return the bytes in an ``<envelope/>``: base64 with padding (RFC 4648, section 4), white space between or not."""
    text = "".join((envelope.text or "").split())
    if len(text) > 4 * (MAX_ENVELOPE_BYTES // 3 + 1):
        raise TooLarge("an envelope that is too large", mend=f"at most {MAX_ENVELOPE_BYTES} bytes are read")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequest("an envelope that is not base64", mend="write it with padding, as RFC 4648 says") from None
    if not raw or len(envelope) or envelope.attrib:
        raise MalformedRequest("an envelope that is empty or has more than text", mend="put nothing but base64 into it")
    return raw


def write_ruling(ruling: Ruling) -> Element:
    """Return the ``<ruling/>`` that answers an envelope about a case."""
    attributes = {"case": ruling.case.id, "state": ruling.case.state.value}
    if ruling.decision is not None:
        attributes |= {"decision": ruling.decision.id, "outcome": ruling.decision.outcome.value}
    if ruling.waits_for:
        attributes["waits-for"] = plain(ruling.waits_for)
    return Element(f"{{{CLEARINGHOUSE}}}ruling", attributes)


def write_changed(changed: Changed) -> Element:
    """Return the ``<changed/>`` that answers an envelope which adds or takes away; of very many parties the first."""
    element = Element(f"{{{CLEARINGHOUSE}}}changed", done="true" if changed.done else "false", version=changed.version)
    element.set("unchecked", str(changed.unchecked))
    for name in changed.names[:MAX_LINES]:
        SubElement(element, f"{{{CLEARINGHOUSE}}}name").text = plain(name)
    _write_parties(element, "losing", changed.losing)
    _write_parties(element, "winning", changed.winning)
    return element


def _write_parties(element: Element, name: str, parties: tuple[Party, ...]) -> None:
    element.set(name, str(len(parties)))
    for party in parties[:MAX_LINES]:
        facts: Iterable[tuple[str, str]] = (
            ("jid", party.jid),
            ("operation", party.operation),
            ("topic", party.topic),
            ("before", party.before),
            ("after", party.after),
            ("reason", party.reason),
        )
        SubElement(element, f"{{{CLEARINGHOUSE}}}{name}", {key: plain(value) for key, value in facts})
