"""What people have approved is proven again, from the archived snapshot and the approvals of then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.runtime.records.replay import proven_again
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.folders import CREDENTIALS, FileRead
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.recorded import Recorded
from tests.world import NOON, Community, assertion, request, signed, who

TEST = 'operation == "subscribe" && topic == "incidents"'
FILES = [
    FileRead(
        "topics/a.kn", "topics", assertion("POLICY", "hub", TEST, "ask") + b"\n" + assertion("POLICY", "{hub} && {desk}", TEST, "allow")
    ),
    FileRead("credentials/b.kn", CREDENTIALS, signed("hub", "xmpp-member:a.example", 'domain == "a.example"')),
]
ANN = request("ann@a.example")


def believing(**gone: list[str]) -> Holdings:
    return Loader(desk=who("desk")).load(FILES, Holdings()).believing(**gone)  # type: ignore[arg-type]  # names of lists


def ruled(holdings: Holdings, approvals: tuple[bytes, ...] = ()) -> Decision:
    sim = Community()
    sim.desk.snapshot = holdings.snapshot
    return rule(replace(ANN, approvals=approvals), sim.desk, now=NOON)


def approval() -> bytes:
    sim = Community()
    return sim.approval(ruled(believing()))


@pytest.mark.parametrize("approved", [True, False])
def test_a_decision_that_people_had_a_part_in_is_proven_again(approved: bool) -> None:  # noqa: FBT001 - a row of the table
    held = believing()
    then = ruled(held, (approval(),) if approved else ())
    assert then.outcome is (Outcome.GRANTED if approved else Outcome.PENDING)
    again = proven_again(Recorded.of(then), Archive.unpack(then.version, Archive.of(held).pack()).holdings())
    assert again.agrees
    assert (again.decision.value, again.decision.until) == (then.value, then.until)


def test_without_the_approvals_the_answer_differs_and_that_is_told() -> None:
    held = believing()
    then = ruled(held, (approval(),))
    forgotten = replace(then, request=replace(then.request, approvals=()), proof=then.proof)
    assert not proven_again(Recorded.of(forgotten), held).agrees


@pytest.mark.parametrize("gone", ["revoked", "below"])
def test_what_was_revoked_then_is_revoked_in_the_replay(gone: str) -> None:
    held = believing(**{gone: [who("desk")]})
    then = ruled(held, (approval(),))
    assert then.outcome is Outcome.PENDING
    again = Archive.unpack(then.version, Archive.of(held).pack()).holdings()
    assert proven_again(Recorded.of(then), again).agrees
    assert not proven_again(Recorded.of(then), believing()).agrees
