"""What the grid needs of an XMPP link: ask a question, tell a message; and how a refusal looks.

The elements that cross this boundary are plain `xml.etree` elements with stanzas in the
namespace ``jabber:client``, whatever the link underneath uses.
"""

from __future__ import annotations

from copy import copy
from types import MappingProxyType
from typing import ClassVar, Final, Literal, Protocol, TypeAlias
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.errors import PeerError
from clearinghouse.grid.namespaces import CLEARINGHOUSE, CLIENT, COMMANDS, PUBSUB_ERRORS, STANZA_ERRORS

IQ: Final = f"{{{CLIENT}}}iq"
MESSAGE: Final = f"{{{CLIENT}}}message"
ERROR: Final = f"{{{CLIENT}}}error"

CONDITIONS: Final = MappingProxyType(
    {
        "bad-request": "modify",
        "conflict": "cancel",
        "feature-not-implemented": "cancel",
        "forbidden": "auth",
        "gone": "cancel",
        "internal-server-error": "cancel",
        "item-not-found": "cancel",
        "jid-malformed": "modify",
        "not-acceptable": "modify",
        "not-allowed": "cancel",
        "not-authorized": "auth",
        "policy-violation": "modify",
        "recipient-unavailable": "wait",
        "redirect": "modify",
        "registration-required": "auth",
        "remote-server-not-found": "cancel",
        "remote-server-timeout": "wait",
        "resource-constraint": "wait",
        "service-unavailable": "cancel",
        "subscription-required": "auth",
        "undefined-condition": "cancel",
        "unexpected-request": "wait",
    }
)
"""The stanza error conditions of RFC 6120, section 8.3.3, and the error type that goes with each."""

SPECIFIC: Final = frozenset({PUBSUB_ERRORS, COMMANDS, CLEARINGHOUSE})
"""Namespaces of the conditions that say more than RFC 6120 can (section 8.3.4), as far as we read them."""

MAX_ERROR_TEXT: Final = 200
"""Characters of a peer's error text that we keep: enough for a sentence, too few to drown a log."""

Question: TypeAlias = Literal["get", "set"]


class Stanzas(Protocol):
    """A link to other XMPP entities, as one address of ours."""

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        """Send an ``<iq/>`` and return the ``<iq type="result"/>``.

        Raises `StanzaRefused` when the answer is an error, `BrokerUnavailable` when there is none.
        """

    async def tell(self, message: Element) -> None:
        """Send a ``<message/>`` (its ``to`` set) and return once the receiver has handled it.

        Raises `StanzaRefused` when it came back as an error, `BrokerUnavailable` when nobody can know.
        """


class StanzaRefused(PeerError):
    """The other side answered with a stanza error (RFC 6120, section 8.3).

    ``condition`` is one of the defined conditions or ``undefined-condition``; ``detail`` is the
    condition of a namespace in `SPECIFIC` that came with it (``closed-node``, ...) or empty; ``text`` is
    what the peer wrote, cut and escaped.
    """

    code: ClassVar[str] = "stanza-refused"

    def __init__(self, condition: str, *, detail: str = "", text: str = "") -> None:
        """Keep the parts of the ``<error/>`` that a caller may act on."""
        said = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:MAX_ERROR_TEXT])
        parts = [condition, f"({detail})" if detail else "", f"`{said}`" if said else ""]
        super().__init__(f"refused with {' '.join(part for part in parts if part)}")
        self.condition = condition
        self.detail = detail
        self.text = said


def refusal_in(stanza: Element) -> StanzaRefused:
    """Read the ``<error/>`` of a stanza of type ``error``; one that says nothing is ``undefined-condition``."""
    error = stanza.find(ERROR)
    condition, detail, text = "undefined-condition", "", ""
    for child in error if error is not None else ():
        namespace, _, name = child.tag.removeprefix("{").partition("}")
        if namespace == STANZA_ERRORS and name == "text":
            text = child.text or ""
        elif namespace == STANZA_ERRORS and name in CONDITIONS:
            condition = name
        elif namespace in SPECIFIC and name.isascii():
            detail = name[:MAX_ERROR_TEXT]
    return StanzaRefused(condition, detail=detail, text=text)


def error_reply(stanza: Element, condition: str, *, detail: str = "", text: str = "", namespace: str = PUBSUB_ERRORS) -> Element:
    """Return the error that answers *stanza*: addresses swapped, nothing of the request repeated.

    *detail* is a condition of *namespace* that goes with the defined *condition*.
    """
    reply = reply_to(stanza, "error")
    error = SubElement(reply, ERROR, type=CONDITIONS[condition])
    SubElement(error, f"{{{STANZA_ERRORS}}}{condition}")
    if detail:
        SubElement(error, f"{{{namespace}}}{detail}")
    if text:
        SubElement(error, f"{{{STANZA_ERRORS}}}text").text = text
    return reply


def reply_to(stanza: Element, kind: str = "result", payload: Element | None = None) -> Element:
    """Return an answer to *stanza* of type *kind*, with addresses swapped and the same id."""
    swapped = {"from": stanza.get("to"), "to": stanza.get("from"), "id": stanza.get("id"), "type": kind}
    reply = Element(stanza.tag, {name: value for name, value in swapped.items() if value is not None})
    if payload is not None:
        reply.append(payload)
    return reply


def in_namespace(stanza: Element, old: str, new: str) -> Element:
    """Return *stanza* with its own tag and its direct children moved from namespace *old* to *new*.

    Stanzas live in ``jabber:component:accept`` on a component's link and in ``jabber:client``
    elsewhere; deeper elements have namespaces of their own.
    """
    moved = Element(_moved(stanza.tag, old, new), stanza.attrib)
    moved.text = stanza.text
    for child in stanza:
        kin = child
        if child.tag.startswith(f"{{{old}}}"):
            kin = copy(child)
            kin.tag = _moved(child.tag, old, new)
        moved.append(kin)
    return moved


def _moved(tag: str, old: str, new: str) -> str:
    return f"{{{new}}}{tag.removeprefix(f'{{{old}}}')}" if tag.startswith(f"{{{old}}}") else tag
