"""R21: whatever a hundred hostile senders hand in, the honest one is answered, and soon."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import cycle, islice

import pytest

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import LeavePending
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.senders import EXPLAINED, SHARE, TOGETHER, SenderBudgets
from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from clearinghouse.keynote import Admissions, Limits
from tests.unit.clearing.hostile import CONDITIONS, request_by
from tests.world import Community, request, signed

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
SECOND = 500_000
"""Steps of a second: one takes about 2 us."""


class Meter(SenderBudgets):
    """Budgets that keep the bill."""

    def __init__(self) -> None:
        super().__init__()
        self.bill: list[tuple[str, int]] = []
        self.explained = 0

    def charge(self, sender: str, steps: int, now: datetime) -> None:
        super().charge(sender, steps, now)
        self.bill.append((sender, steps))

    def explains(self, steps: int, now: datetime) -> bool:
        may = super().explains(steps, now)
        self.explained += steps if may else 0
        return may

    @property
    def spent(self) -> int:
        return sum(steps for _, steps in self.bill) + self.explained


@pytest.fixture
def meter(sim: Community) -> Meter:
    sim.policy("hub", operation="whitelist")
    sim.desk.senders = Meter()
    return sim.desk.senders


def honest() -> Request:
    """Return a request with a chain of three, that nobody has seen before."""
    chain = (signed("hub", "sector"), signed("sector", "a-domain", HOST), signed("a-domain", "ann", 'date < "20270101"'))
    return replace(request("ann", "whitelist"), credentials=chain)


def ruled(sim: Community, asked: Request) -> Decision:
    return rule(asked, sim.ready(), now=sim.now)


@pytest.mark.parametrize("kind", CONDITIONS)
def test_r21_one_request_costs_no_more_than_its_budget(sim: Community, meter: Meter, kind: str) -> None:
    decision = ruled(sim, request_by("eve", kind))
    ((_, steps),) = meter.bill
    assert steps <= Limits().steps
    assert decision.value == "deny"
    assert decision.reason.code in {"budget-exhausted", "no-licence", "not-granted"}


def test_r21_a_hundred_hostile_senders_do_not_keep_the_honest_one_waiting(sim: Community, meter: Meter) -> None:
    kinds = list(islice(cycle(CONDITIONS), 100))
    for number, kind in enumerate(kinds):
        assert ruled(sim, request_by(f"eve-{number}", kind)).outcome is not Outcome.GRANTED
        if number in {0, 49, 99}:  # as often as its share allows
            sim.desk.admissions = Admissions()
            assert ruled(sim, honest()).outcome is Outcome.GRANTED
    assert meter.spent <= TOGETHER.burst + Limits().steps + 100 * (SHARE + 50) + EXPLAINED.burst + 20_000 < SECOND


def test_r21_who_has_used_up_its_share_waits_and_the_others_do_not(sim: Community, meter: Meter) -> None:
    for number in range(30):
        ruled(sim, request_by(f"eve-{number}", "a wide test"))
    before = meter.spent
    for number in range(30):
        decision = ruled(sim, request_by(f"eve-{number}", "a wide test", salt="again"))
        assert (decision.outcome, decision.reason.code) == (Outcome.UNANSWERED, "budget-exhausted")
    assert meter.spent == before
    assert ruled(sim, honest()).outcome is Outcome.GRANTED


def test_r21_a_budget_comes_back_with_time(sim: Community, meter: Meter) -> None:
    for salt in "abc":
        ruled(sim, request_by("eve", "a wide test", salt=salt))
    assert ruled(sim, request_by("eve", "a wide test", salt="d")).reason.text.startswith("this sender has caused too much work")
    sim.sleep(seconds=30)
    ruled(sim, request_by("eve", "a wide test", salt="e"))
    assert meter.bill[-1][1] > 10_000


def test_r21_no_answer_is_no_denial(sim: Community) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"')
    sim.desk.limits = Limits().with_(steps=1)
    decision = sim.asks("ann@a.example")
    assert (decision.outcome, decision.value, decision.reason.code) == (Outcome.UNANSWERED, "deny", "budget-exhausted")
    assert isinstance(sim.journal.story[-1], LeavePending)


@pytest.mark.parametrize("door", [door for door in Door if door is not Door.ENVELOPE])
def test_r21_credentials_without_a_signed_request_are_not_even_read(sim: Community, meter: Meter, door: Door) -> None:
    """The envelope's signature is checked before its credentials: here nobody has signed."""
    for operation in OPERATIONS:
        asked = replace(request("ann@a.example", operation, door=door), credentials=request_by("eve", "a wide test").credentials)
        assert ruled(sim, asked).reason.code == "malformed-request"
    assert {steps for _, steps in meter.bill} == {50}
    assert not len(sim.desk.admissions)


@pytest.mark.parametrize(
    "change, code",
    [
        ({"claims": {"operation": "x"}}, "malformed-request"),
        ({"requesters": ("POLICY",)}, "malformed-request"),
        ({"operation": "conquer"}, "malformed-request"),
        ({"credentials": (b"x",) * 33}, "too-large"),
        ({"credentials": (b"x" * 70_000,)}, "too-large"),
    ],
)
def test_r21_a_malformed_request_costs_next_to_nothing_however_much_it_brings(
    sim: Community, meter: Meter, change: dict[str, object], code: str
) -> None:
    asked = replace(replace(request_by("eve", "a wide test"), claims={}), **change)  # type: ignore[arg-type]  # a request's own fields
    assert ruled(sim, asked).reason.code == code
    assert meter.spent == 50


def test_r21_what_strangers_hand_in_is_remembered_within_bounds(sim: Community) -> None:
    sim.desk.admissions = Admissions(64)
    for number in range(4):
        ruled(sim, request_by(f"eve-{number}", "licensees"))
    assert len(sim.desk.admissions) < 64


def test_r21_saying_what_is_missing_is_paid_for(sim: Community, meter: Meter) -> None:
    """In a large community an explanation costs more than a decision, and strangers are refused all the time."""
    for number in range(300):
        sim.delegate("hub", f"xmpp:u{number}@b.example", 'topic == "incidents"')
    sim.policy("hub", 'topic == "incidents"')
    sim.policy("xmpp:ann@a.example", 'topic == "incidents"')
    refused = [sim.asks(f"eve{number}@c.example") for number in range(40)]
    assert sim.asks("ann@a.example").outcome is Outcome.GRANTED
    codes = [each.reason.code for each in refused]
    assert codes[0] == "no-licence"
    assert codes[-1] == "not-granted"
    assert {each.outcome for each in refused} == {Outcome.REFUSED}
    assert meter.explained <= EXPLAINED.burst + 300 * 40
    sim.sleep(seconds=10)
    assert sim.asks("eve@c.example").reason.code == "no-licence"


def test_r21_a_denial_that_is_too_dear_to_explain_stays_a_denial(sim: Community, meter: Meter) -> None:
    decision = ruled(sim, replace(request_by("eve", "explanations"), credentials=request_by("eve", "explanations").credentials[:3]))
    assert (decision.outcome, decision.reason.code) == (Outcome.REFUSED, "not-granted")
    assert "`clearinghouse decisions ID` says what is missing" in decision.reason.text
    assert meter.bill[-1][1] < Limits().steps
