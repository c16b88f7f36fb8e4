"""What the desk signs when people have approved: one request, pinned in full, until one instant (rule R4; pure).

The text is printed from syntax, read back and compared, so nothing that a stranger wrote can become
anything but a value between quotation marks; and it is plain ASCII, whatever those values are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from clearinghouse.clearing.facts import LONGEST_VALIDITY, FactMissing
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import ASK, COMMON, OPERATIONS, Attribute, Operation, is_canonical, shown
from clearinghouse.errors import ClearinghouseError, HolderError
from clearinghouse.keynote import POLICY, Limits, parse, print_assertion, syntax
from clearinghouse.keynote.context import ACTION_AUTHORIZERS
from clearinghouse.keynote.octets import from_octets, octets_to_bytes, to_octets
from clearinghouse.keynote.principals import normalise

GRANTED: Final = "allow"
"""What an approval gives: the strongest of `deny`, `ask` and `allow`."""

MAX_BYTES: Final = 65_536
"""Of one text: a node's name, a title and three addresses of 3,071 bytes each (RFC 7622, section 3.1), four characters a byte."""

_TIME: Final = "%Y%m%d%H%M%S"
_HEAD = re.compile(r"case: ([A-Za-z0-9._:-]{1,64})\n  shown: ([0-9a-f]{64})\n  serial: ([A-Za-z0-9._:-]{1,64})")
_BEYOND_ASCII = {octet: f"\\{octet:03o}" for octet in range(0x80, 0x100)}


class NoDeskText(HolderError):
    """What the desk is to sign is not an approval of one request, in the one form that it signs."""

    code: ClassVar[str] = "no-desk-text"


@dataclass(frozen=True, slots=True)
class DeskText:
    """An approval before it is signed; ``pins`` are attribute and value, in the vocabulary's order.

    ``requesters`` are principals in normal form, sorted.  ``until`` is in UTC, in whole seconds.  ``case`` is the
    case's id, ``shown`` the digest of what the approvers saw, ``serial`` makes the id unlike any other.
    """

    desk: str
    requesters: tuple[str, ...]
    pins: tuple[tuple[str, str], ...]
    until: datetime
    case: str
    shown: str
    serial: str

    def written(self) -> bytes:
        """Return the text; raises `NoDeskText` where it would not read back as this approval."""
        text = _printed(self._tree())
        if read(text) != self:
            raise NoDeskText("what was composed reads back as something else", mend="report this request")
        return text

    def _tree(self) -> syntax.Assertion:
        names = [syntax.Principal(syntax.Literal(name)) for name in self.requesters]
        tests = [_test("==", name, to_octets(value)) for name, value in self._all_pins()]
        tests.append(_test("<", "time", self.until.strftime(_TIME)))
        return syntax.Assertion(
            authorizer=syntax.Literal(self.desk),
            licensees=names[0] if len(names) == 1 else syntax.AllOf(tuple(names)),
            conditions=syntax.Program((syntax.Clause(syntax.And(tuple(tests)), syntax.Literal(GRANTED)),)),
            comment=f"case: {self.case}\n  shown: {self.shown}\n  serial: {self.serial}",
        )

    def _all_pins(self) -> tuple[tuple[str, str], ...]:
        return ((ACTION_AUTHORIZERS, from_octets(",".join(self.requesters))), *self.pins)


def pins_of(request: Request, community: str = "") -> tuple[tuple[str, str], ...]:
    """Return every attribute of *request* with its value, but for the clock; raises `FactMissing` for one that nobody set."""
    operation = OPERATIONS[request.operation]
    given = {**request.claims, **request.known, **request.observed}
    pins = [("operation", operation.name)] + ([("community", community)] if community else [])
    for attribute in _own(operation):
        if request.door in attribute.doors:
            value = given.get(attribute.name, attribute.default)
            if value is None:
                raise FactMissing(f"`{attribute.name}` is not known", mend=f"the {request.door} door must supply it")
            pins.append((attribute.name, value))
    return (*pins, ("ValidityPeriod", str(request.validity or LONGEST_VALIDITY)))


def requesters_of(request: Request) -> tuple[str, ...]:
    """Return the requesters as KeyNote compares them: in normal form, sorted by bytes, each once (rule R9)."""
    return tuple(sorted({normalise(to_octets(name)) for name in request.requesters}))


def read(text: bytes) -> DeskText:
    """Return the approval that *text* is; any other text, or another spelling of it, is `NoDeskText`."""
    if len(text) > MAX_BYTES:
        raise _no(f"has {len(text)} bytes, and {MAX_BYTES} at most are signed")
    try:
        tree = parse(text, limits=Limits.local())
    except ClearinghouseError as error:
        raise _no(f"is no assertion ({error.message})") from None
    found = _said(tree)
    if _printed(found._tree()) != text:  # noqa: SLF001 - the other half of this class
        raise _no("is not written as the desk writes it")
    return found


def check(text: bytes, desk: str, *, now: datetime, longest: timedelta) -> None:
    """Raise `NoDeskText` unless *text* is an approval by *desk* that holds now, and for *longest* at most."""
    found = read(text)
    if found.desk != desk:
        raise _no("is by another authorizer than the desk")
    if not now < found.until <= now + longest:
        raise _no(f"holds until {found.until:%Y-%m-%d %H:%M:%S}, which is over, or later than {longest.days} days from now")


def _said(tree: syntax.Assertion) -> DeskText:
    """Return what a tree of the right shape says; what is beside it is found when it is printed again."""
    match tree:
        case syntax.Assertion(
            authorizer=syntax.Literal(desk),
            conditions=syntax.Program((syntax.Clause(syntax.And((*tests, syntax.TextRelation("<", _, syntax.Literal(end)))), _),)),
        ):
            pins = tuple(map(_pin, tests))
        case _:
            raise _no("has not the shape of an approval")
    head = _HEAD.fullmatch(tree.comment or "")
    if head is None:
        raise _no("does not name its case, what was shown, and a serial")
    requesters = _requesters(tree.licensees)
    if not pins or pins[0] != (ACTION_AUTHORIZERS, from_octets(",".join(requesters))):
        raise _no("does not pin who asks")
    _check_pins(pins[1:])
    return DeskText(desk, requesters, pins[1:], _instant(end), head[1], head[2], head[3])


def _pin(test: syntax.Test) -> tuple[str, str]:
    match test:
        case syntax.TextRelation("==", syntax.Attribute(name), syntax.Literal(value)) if to_octets(from_octets(value)) == value:
            return name, from_octets(value)
        case _:
            raise _no("tests something else than what each attribute is")


def _requesters(licensees: object) -> tuple[str, ...]:
    parts = licensees.parts if isinstance(licensees, syntax.AllOf) else (licensees,)
    names = tuple(part.name.text for part in parts if isinstance(part, syntax.Principal) and isinstance(part.name, syntax.Literal))
    good = len(names) == len(parts) and names == tuple(sorted({normalise(name) for name in names}))
    if not good or any(name in {"", POLICY} or "," in name for name in names):
        raise _no("does not name the requesters, each once, in normal form")
    return names


def _check_pins(pins: tuple[tuple[str, str], ...]) -> None:
    """Each attribute that the operation has at some door, in order, each with a value that a request could have."""
    values, names = dict(pins), [name for name, _ in pins]
    operation = OPERATIONS.get(values.get("operation", ""))
    if operation is None or ASK not in (operation.values or ()):
        raise _no("names no operation that is left to people")
    rows = operation.attributes
    head = ["operation", *(["community"] if "community" in values else [])]
    doors = [[*head, *(each.name for each in _own(operation) if door in each.doors), "ValidityPeriod"] for door in operation.doors()]
    if names not in doors:
        raise _no(f"does not pin every attribute of `{operation.name}`, each once, in order")
    for name, value in pins:
        if not (value == rows[name].default or (is_canonical(rows[name].kind, value) and (value or not rows[name].origin.reserved))):
            raise _no(f"pins `{name}` to `{shown(value)}`, which no request can have")


def _own(operation: Operation) -> list[Attribute]:
    return [each for each in operation.attributes.values() if each.name not in COMMON]


def _instant(written: str) -> datetime:
    try:
        return datetime.strptime(written, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise _no("does not say until when it holds") from None


def _test(relation: syntax.Relation, name: str, value: str) -> syntax.TextRelation:
    return syntax.TextRelation(relation, syntax.Attribute(name), syntax.Literal(value))


def _printed(tree: syntax.Assertion) -> bytes:
    """Return the text of *tree* with every octet beyond ASCII escaped: bidirectional marks and the like are not left to a terminal."""
    return octets_to_bytes(print_assertion(tree).translate(_BEYOND_ASCII))


def _no(why: str) -> NoDeskText:
    return NoDeskText(f"the text {why}", mend="the desk signs approvals of single requests, and nothing else")
