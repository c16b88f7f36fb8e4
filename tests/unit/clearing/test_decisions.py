"""From a proven value to what happens outside: each outcome, each reason, and the order of things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.clear import clear
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import ApproveSubscription, Enforcement, LeavePending, Nothing, RefuseSubscription, enforcement_of
from clearinghouse.clearing.vocabulary import OPERATIONS
from clearinghouse.errors import BrokerUnavailable, StoreUnavailable
from clearinghouse.keynote import Limits
from tests.world import Community, Journal, finish, request, signed

INCIDENTS = 'topic == "incidents"'


@pytest.fixture
def sim() -> Community:
    return Community()


@pytest.mark.parametrize(
    "value, outcome, enforcement",
    [
        ("allow", Outcome.GRANTED, ApproveSubscription),
        ("ask", Outcome.PENDING, LeavePending),
        ("deny", Outcome.REFUSED, RefuseSubscription),
        ("perhaps", Outcome.REFUSED, RefuseSubscription),
    ],
)
def test_each_value_has_its_outcome_and_its_enforcement(
    sim: Community, value: str, outcome: Outcome, enforcement: type[Enforcement]
) -> None:
    sim.policy("ann@a.example", INCIDENTS, value)
    decision = sim.asks("ann@a.example")
    assert (decision.outcome, decision.value) == (outcome, value if value in {"allow", "ask"} else "deny")
    assert sim.journal.story == [decision, enforcement(request("ann@a.example").place, decision.id)]  # type: ignore[call-arg, arg-type]  # not Nothing


@pytest.mark.parametrize("level, outcome", [(1, Outcome.GRANTED), (2, Outcome.GRANTED), (0, Outcome.REFUSED)])
def test_every_level_but_the_lowest_is_granted(level: int, outcome: Outcome) -> None:
    names = ("none", "level-1", "level-2")
    sim = Community(levels=names)
    sim.policy("a.example", value=names[level], operation="federate")
    decision = sim.asks("a.example", "federate")
    assert (decision.outcome, decision.value) == (outcome, names[level])
    assert sim.journal.story[-1] == Nothing()


def test_a_level_called_as_in_the_settings_is_the_lowest_of_what_cannot_be_asked() -> None:
    sim = Community(levels=("none", "level-1"))
    assert sim.asks("a.example", "federate", without=["to_domain"]).value == "none"
    assert sim.ask(replace(request("ann@a.example"), operation="conquer")).value == "deny"


def test_a_decision_names_its_request_its_snapshot_and_its_time(sim: Community) -> None:
    sim.policy("ann@a.example", INCIDENTS)
    decision = sim.asks("ann@a.example")
    assert decision.request == request("ann@a.example")
    assert decision.version == sim.desk.snapshot.version
    assert (decision.at, decision.id) == (sim.now, "decision-1")
    assert decision.proof is not None


# -- reasons ----------------------------------------------------------------------------------------------


def test_a_grant_says_how_many_assertions_carry_it(sim: Community) -> None:
    sim.policy("hub", INCIDENTS)
    sim.delegate("hub", "ann@a.example")
    assert sim.asks("ann@a.example").reason.text == "2 assertions carry `allow`"
    sim.policy("bob@a.example", INCIDENTS)
    assert sim.asks("bob@a.example").reason.text == "1 assertion carries `allow`"


def test_what_waits_says_that_a_person_decides(sim: Community) -> None:
    sim.policy("ann@a.example", INCIDENTS, "ask")
    assert sim.asks("ann@a.example").reason.code == "pending"


def test_a_missing_licence_is_told(sim: Community) -> None:
    sim.policy("hub", INCIDENTS)
    reason = sim.asks("ann@a.example").reason
    assert reason.code == "no-licence"
    assert reason.text.startswith("`allow` would need a licence for `xmpp:ann@a.example` from `ed25519-")


def test_where_people_can_approve_a_refusal_says_what_it_takes_to_be_asked_about(sim: Community) -> None:
    """More than that is theirs to give, and no credential that the requester could get."""
    sim.appoint("desk")
    sim.policy("hub", INCIDENTS, "ask")
    sim.policy("{hub} && {desk}", INCIDENTS, "allow")
    decision = sim.asks("ann@a.example")
    assert decision.reason.code == "no-licence"
    assert decision.reason.text.startswith("`ask` would need a licence for `xmpp:ann@a.example` from")
    assert [each.value for each in decision.missing] == ["ask"]


def test_a_failed_condition_is_told(sim: Community) -> None:
    sim.policy("hub", INCIDENTS)
    sim.delegate("hub", "ann@a.example", until="20261101")
    reason = sim.asks("ann@a.example").reason
    assert reason.code == "condition-failed"
    assert '`date < "20261101"` failed: `date` is `20261120`' in reason.text


def test_a_revoked_credential_is_told(sim: Community) -> None:
    sim.policy("hub", INCIDENTS)
    sim.revoke(sim.delegate("hub", "ann@a.example"))
    assert sim.asks("ann@a.example").reason.code in {"revoked", "no-licence"}


def test_where_there_is_no_policy_nothing_is_granted(sim: Community) -> None:
    reason = sim.asks("ann@a.example").reason
    assert reason.code in {"no-licence", "nothing-granted"}


@pytest.mark.parametrize("operation", ["", "conquer", "Subscribe", "subscribe ", "\ud800", "x" * 10_000])
def test_an_unknown_operation_is_malformed(sim: Community, operation: str) -> None:
    decision = sim.ask(replace(request("ann@a.example"), operation=operation))
    assert (decision.outcome, decision.value, decision.reason.code) == (Outcome.REFUSED, "deny", "malformed-request")
    assert decision.reason.text.isprintable()
    assert len(decision.reason.text) < 400


def test_a_bad_credential_is_left_out_and_named(sim: Community) -> None:
    sim.policy("hub", 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"', operation="whitelist")
    good = signed("hub", "ann")
    bad = [b"no assertion", good.replace(b"Licensees", b"Licensee"), good[:-4] + b'0"\n', b"", b"\xff" * 9_000]
    decision = sim.asks("ann", "whitelist", credentials=[*bad, good])
    assert decision.outcome is Outcome.GRANTED
    assert decision.proof is not None
    assert [each.source for each in decision.proof.skipped] == [f"credential {n}" for n in range(1, 6)]
    assert [each.reason for each in decision.proof.skipped] == ["malformed", "malformed", "bad-signature", "malformed", "too-large"]


def test_too_long_a_chain_is_no_proof(sim: Community) -> None:
    sim.desk.limits = Limits().with_(chain=3)
    sim.policy("k0", INCIDENTS)
    for n in range(5):
        sim.delegate(f"k{n}", f"k{n + 1}" if n < 4 else "ann@a.example")
    assert sim.asks("ann@a.example").outcome in {Outcome.REFUSED, Outcome.GRANTED}


# -- the order of things ----------------------------------------------------------------------------------


class Broken(Journal):
    """A store that cannot be written."""

    async def record(self, decision: Decision) -> None:
        raise StoreUnavailable(f"nothing can be written about {decision.id}")


class Away(Journal):
    """A broker that does not answer."""

    async def carry_out(self, enforcement: Enforcement) -> None:
        raise BrokerUnavailable(f"nobody answers {type(enforcement).__name__}")


def test_what_is_not_recorded_takes_no_effect_and_is_not_answered(sim: Community) -> None:
    sim.policy("ann@a.example", INCIDENTS)
    sim.desk.ledger = Broken()
    with pytest.raises(StoreUnavailable):
        sim.asks("ann@a.example")
    assert sim.journal.story == []


def test_what_takes_no_effect_is_recorded_as_owed(sim: Community) -> None:
    sim.policy("ann@a.example", INCIDENTS)
    sim.desk.enforcer = Away()
    with pytest.raises(BrokerUnavailable):
        sim.asks("ann@a.example")
    assert [type(each) for each in sim.journal.story] == [Decision]


def test_a_refusal_is_recorded_like_a_grant(sim: Community) -> None:
    decision = sim.ask(replace(request("ann@a.example"), operation="conquer"))
    assert sim.journal.story == [decision, Nothing()]


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "subscribe"])
def test_no_other_operation_touches_a_subscription(sim: Community, operation: str) -> None:
    for outcome in Outcome:
        decision = Decision(
            "1",
            replace(request("ann@a.example"), operation=operation),
            outcome,
            "allow",
            sim.asks("x@y.example").reason,
            "",
            sim.now,
            None,
            None,
        )
        assert not isinstance(enforcement_of(decision), ApproveSubscription | RefuseSubscription | LeavePending)


def test_the_clearing_of_a_request_never_waits_for_anything_but_store_and_enforcer(sim: Community) -> None:
    assert finish(clear(request("ann@a.example"), sim.ready(), now=sim.now)).outcome is Outcome.REFUSED
