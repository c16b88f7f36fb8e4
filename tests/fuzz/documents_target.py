"""What must hold for any bytes that come as a published document:

1. they are what their name promises, or an error of our own tree of errors; nothing else is ever raised;
2. what is read is written as the same bytes: there is one form of everything that is signed;
3. a receiver believes nothing but what was published, and a refusal leaves it as it was.

`check` raises `Broken` where one of these does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from clearinghouse.clearing.dsse import REVOCATIONS, TABLE, TIMESTAMP, opened
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published import deltas, members, revocations, roots, tables, timestamps
from clearinghouse.federation.roles import ceremonies
from tests.fuzz.parser_target import Broken
from tests.presses import LEVELS, Press, made, member, plan, who

STATES = ({"a.example": "level-1", "b.example": "level-2"}, {"a.example": "level-3", "b.example": "level-2"})
MORE = {f"m{number}.example": "level-1" for number in range(9)}


def _published() -> tuple[Press, dict[str, bytes]]:
    press = Press()
    press.enrols(member("a.example"))
    press.prints(STATES[0] | MORE)
    before = dict(press.documents)
    press.revokes(*who("old"))
    press.prints(STATES[1] | MORE)
    press.crowns(made(plan(2)))
    return press, before


PRESS, BEFORE = _published()
KNOWN = {*BEFORE.values(), *PRESS.documents.values()}
RECEIVERS = {"new": PRESS.trusted(), "old": PRESS.trusted()}
for _name in ("community/timestamp", "revocations/1", *(each for each in BEFORE if "/members/" in each), "community/table/1"):
    RECEIVERS["old"].update(_name, BEFORE[_name], PRESS.now)
RECEIVERS["named"] = RECEIVERS["old"].copy()
RECEIVERS["named"].update("community/timestamp", PRESS.documents["community/timestamp"], PRESS.now)
NAMES = ("root/2", "community/timestamp", "revocations/2", "community/members/0", "community/table/2", "community/delta/2")

READERS: tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
    (roots.read_payload, roots.written),
    (timestamps.read_payload, timestamps.written),
    (revocations.read_payload, revocations.written),
    (tables.read_payload, tables.written),
    (members.read_payload, members.written),
    (members.unlisted, members.listed),
    (lambda raw: tables.read_content(raw, LEVELS), lambda rows: tables.content_of(rows, LEVELS)),
    (lambda raw: deltas.read_delta(raw, LEVELS), deltas.written),
)


def documents() -> list[bytes]:
    """Return texts to begin with: what was published, and its parts."""
    found = sorted(KNOWN)  # in one order, so that a seed finds the same again
    for raw in sorted(KNOWN):
        found += raw.split(b"\n")
    for kind, name in ((TIMESTAMP, "community/timestamp"), (REVOCATIONS, "revocations/2")):
        found.append(opened(PRESS.documents[name], payload_type=kind).payload)
    found.append(opened(PRESS.documents["community/table/2"].partition(b"\n")[0], payload_type=TABLE).payload)
    return [raw for raw in dict.fromkeys(found) if len(raw) < 4_096]


def check(data: bytes) -> None:
    """Hold readers and receivers to their invariant."""
    for read, write in READERS:
        try:
            found = read(data)
        except ClearinghouseError:
            continue
        if write(found) != data:
            raise Broken(f"{data!r} is read as {found} and written as {write(found)!r}")
    with suppress(ClearinghouseError):
        ceremonies.read_draft(data)
    for kind, receiver in RECEIVERS.items():
        for name in NAMES:
            _believed(kind, name, data, receiver.copy())


def _believed(kind: str, name: str, data: bytes, trusted: Any) -> None:  # noqa: ANN401 - a receiver
    before = trusted.state
    try:
        trusted.update(name, data, PRESS.now)
    except ClearinghouseError:
        if trusted.state is not before:
            raise Broken(f"a refusal of {name} changed the receiver `{kind}`") from None
        return
    if data not in KNOWN and trusted.state is not before and not _same_payload(data):
        raise Broken(f"the receiver `{kind}` believes {data!r} as {name}")
    if dict(trusted.rows.items()) not in ({}, STATES[0] | MORE, STATES[1] | MORE):
        raise Broken(f"the receiver `{kind}` has rows that nobody published")


def _same_payload(data: bytes) -> bool:
    """Say whether *data* is what was published, laid out in another way: white space in an envelope is nobody's word."""
    plain = {b"".join(raw.split()) for raw in KNOWN}
    return b"".join(data.split()) in plain
