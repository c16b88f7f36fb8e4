"""Published documents over XMPP: asked for in pieces, since no server takes a stanza of any size (pure).

::

    <iq type='get'><document xmlns='urn:x-clearinghouse:1' name='community/table/7' offset='0'/></iq>
    <iq type='result'><document xmlns='urn:x-clearinghouse:1' name='community/table/7' offset='0' size='2400000'>BASE64</document></iq>

What an agent hands in is an ``<envelope/>``, and the answer an ``<answer/>``; requests for its own domain it
takes from the ``<inbox/>``, and its answers go into the ``<outbox/>``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.errors import MalformedRequest, TooLarge
from clearinghouse.federation.membership.reception import Answer
from clearinghouse.grid.namespaces import CLEARINGHOUSE, PUBSUB
from clearinghouse.grid.texts import plain

DOCUMENT: Final = f"{{{CLEARINGHOUSE}}}document"
ANSWER: Final = f"{{{CLEARINGHOUSE}}}answer"
INBOX: Final = f"{{{CLEARINGHOUSE}}}inbox"
OUTBOX: Final = f"{{{CLEARINGHOUSE}}}outbox"

PIECE_BYTES: Final = 90_000
"""Bytes of one piece: 120,000 characters of base64, half of what servers take in a stanza as packaged."""

MAX_NAME_CHARACTERS: Final = 512
"""Characters of a document's name: the longest domain, and a digest."""

MAX_DIGITS: Final = 9
"""Digits of an offset; no document has a gigabyte."""

TABLES: Final = "tables/"
"""With this the names of the nodes begin that tell of new tables, and a view's name follows."""


def read_document(element: Element) -> tuple[str, int]:
    """Return which document is asked for, and from which byte on; raises `MalformedRequest`."""
    name, offset = element.get("name", ""), element.get("offset", "0")
    if not name or len(name) > MAX_NAME_CHARACTERS or not (offset.isascii() and offset.isdecimal() and len(offset) <= MAX_DIGITS):
        raise MalformedRequest("no document is named, or no offset", mend="give `name`, and `offset` as a whole number")
    return name, int(offset)


def write_document(name: str, body: bytes, offset: int) -> Element:
    """Return the piece of *body* that begins at *offset*."""
    element = Element(DOCUMENT, name=name, offset=str(offset), size=str(len(body)))
    element.text = base64.b64encode(body[offset : offset + PIECE_BYTES]).decode("ascii")
    return element


def write_answer(answer: Answer) -> Element:
    """Return what came of something that was handed in."""
    element = Element(ANSWER, state=answer.state)
    if identity := answer.told.get("id"):
        element.set("id", plain(str(identity)))
    if answer.body:
        element.text = base64.b64encode(answer.body).decode("ascii")
    return element


def write_inbox(waiting: Mapping[str, bytes]) -> Element:
    """Return the first of the requests that wait: one for each question, since each may have the size of a stanza."""
    element = Element(INBOX, count=str(len(waiting)))
    for identity, envelope in [*waiting.items()][:1]:
        SubElement(element, f"{{{CLEARINGHOUSE}}}envelope", id=identity).text = base64.b64encode(envelope).decode("ascii")
    return element


def read_outbox(element: Element, most: int) -> tuple[str, bytes]:
    """Return which request is answered, and the answer of at most *most* bytes; raises `MalformedRequest`, `TooLarge`."""
    text = "".join((element.text or "").split())
    if len(text) > 4 * (most // 3 + 1):
        raise TooLarge("an answer that is too large", mend=f"at most {most} bytes are passed on")
    try:
        return element.get("id", ""), base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequest("an answer that is not base64", mend="write it with padding, as RFC 4648 says") from None


def publish_timestamp(view: str, name: str, sealed: bytes, tag: str) -> Element:
    """Return the payload that publishes a timestamp at the node of *view* (XEP-0060, section 7.1)."""
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    publish = SubElement(pubsub, f"{{{PUBSUB}}}publish", node=f"{TABLES}{view}")
    item = SubElement(publish, f"{{{PUBSUB}}}item", id="current")
    item.append(_timestamp(name, sealed, tag))
    return pubsub


def _timestamp(name: str, sealed: bytes, tag: str) -> Element:
    element = Element(f"{{{CLEARINGHOUSE}}}timestamp", name=name, sha256=tag)
    element.text = base64.b64encode(sealed).decode("ascii")
    return element
