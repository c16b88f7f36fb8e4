"""R2: where a person decides, the question is put twice: without what the desk has signed, and with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import ApproveSubscription, LeavePending
from clearinghouse.clearing.policies import DeskAlone, check_policy
from clearinghouse.keynote import admit
from tests.world import NOON, Community, assertion, key, plain, request, signed, who

INCIDENTS = 'topic == "incidents"'
ANN, BOB = "ann@a.example", "bob@a.example"
APPROVED = ("{hub} && {desk}", "allow")


@pytest.fixture
def asking(sim: Community) -> Community:
    """Whoever the hub reaches may ask, and the desk approves."""
    sim.appoint("desk")
    sim.policy("hub", INCIDENTS, "ask")
    sim.policy(APPROVED[0], INCIDENTS, APPROVED[1])
    sim.delegate("hub", "xmpp-member:a.example", 'domain == "a.example"')
    return sim


def approved(sim: Community, name: str = ANN, days: float = 90) -> tuple[bytes, ...]:
    pending = sim.asks(name)
    assert (pending.outcome, pending.reason.code) == (Outcome.PENDING, "pending")
    return (sim.approval(pending, days=days),)


def authors(decision: Decision) -> set[str]:
    assert decision.proof is not None
    return {link.authorizer for link in decision.proof.chain}


def test_r02_an_approval_lifts_what_was_left_to_people(asking: Community) -> None:
    approvals = approved(asking)
    decision = asking.asks(ANN, approvals=approvals)
    assert (decision.outcome, decision.value) == (Outcome.GRANTED, "allow")
    assert who("desk") in authors(decision)
    assert [type(each) for each in asking.journal.story[1::2]] == [LeavePending, ApproveSubscription]


def test_r02_keynotes_maximum_alone_would_keep_a_grant_after_the_requesters_own_chain_has_gone(asking: Community) -> None:
    """The hole: a policy that licenses the desk alone, and an approval that outlives the licence."""
    approvals = approved(asking)
    careless = [assertion("POLICY", "desk", 'operation == "subscribe"'), *approvals]
    facts = {**request(ANN).observed, **request(ANN).known, "operation": "subscribe", "ValidityPeriod": str(366 * 24 * 3600)}
    assert plain(careless, ANN, facts).value == "allow", "the hole"
    asking.revoke(asking.credentials[0])
    assert asking.asks(ANN, approvals=approvals).outcome is Outcome.REFUSED


@pytest.mark.parametrize("alone", ["desk", "{desk} || {hub}", "1-of({hub}, {desk})", "{hub} || ({desk} && {desk})", "2-of({desk}, {desk})"])
def test_r02_policy_may_not_license_the_desk_alone(alone: str) -> None:
    text = admit(assertion("POLICY", alone, f'operation == "subscribe" && {INCIDENTS}', "allow"), policy=True)
    check_policy(text, "topics")
    with pytest.raises(DeskAlone, match="is licensed alone: license it beside whoever licenses the requester"):
        check_policy(text, "topics", desk=who("desk"))


@pytest.mark.parametrize("beside", ["{hub} && {desk}", "2-of({hub}, {desk}, {office})", "({hub} || {office}) && {desk}", "hub"])
def test_r02_policy_may_license_the_desk_beside_others(beside: str) -> None:
    check_policy(
        admit(assertion("POLICY", beside, f'operation == "subscribe" && {INCIDENTS}', "allow"), policy=True), "topics", desk=who("desk")
    )


def test_r02_a_policy_that_slipped_in_with_the_desk_alone_grants_nothing_all_the_same(asking: Community) -> None:
    """The check is for people; the two queries hold without it."""
    asking.policies["topics"].append(admit(assertion("POLICY", "desk", f'operation == "subscribe" && {INCIDENTS}', "allow"), policy=True))
    asking.store(signed("desk", "eve@c.example", INCIDENTS))
    assert asking.asks("eve@c.example").outcome is Outcome.REFUSED


def test_r02_without_an_ask_there_is_nothing_to_approve(sim: Community) -> None:
    sim.appoint("desk")
    sim.policy(*APPROVED[:1], INCIDENTS, APPROVED[1])
    sim.delegate("hub", ANN)
    sim.store(signed("desk", ANN, INCIDENTS))
    assert sim.asks(ANN).outcome is Outcome.REFUSED


def test_r02_what_the_desk_signed_for_a_whole_domain_counts_in_the_second_query_only(asking: Community) -> None:
    domain = asking.store(signed("desk", "xmpp-member:a.example", 'domain == "a.example"'))
    decision = asking.asks(ANN)
    assert decision.value == "allow"
    snapshot = asking.ready().snapshot
    assert domain not in set(snapshot.assertions("topics"))
    assert domain in set(snapshot.approved("topics"))


@pytest.mark.parametrize("where", ["whitelist", "people", "publish", "federate"])
def test_r02_the_desk_says_nothing_where_nobody_is_asked(sim: Community, where: str) -> None:
    """Policies by the desk's own hand, and its credentials, are no part of any first query."""
    sim.appoint("desk")
    operation = {"whitelist": "whitelist", "people": "approve", "publish": "publish-table", "federate": "federate"}[where]
    asker = "a.example" if where == "federate" else "ann"
    claims = {**request(asker, operation).observed, **request(asker, operation).claims}
    test = " && ".join(f'{name} == "{value}"' for name, value in claims.items())
    sim.policy("hub", test, operation=operation)
    sim.load(assertion("hub", "desk", test), where)
    sim.store(signed("desk", asker, test))
    assert sim.asks(asker, operation).outcome is Outcome.REFUSED
    sim.appoint("another")
    assert sim.asks(asker, operation).outcome is Outcome.GRANTED, "for any other key that would do"


def test_r02_the_desk_asks_for_nothing_itself(sim: Community) -> None:
    sim.policy("desk", 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"', operation="whitelist")
    assert sim.asks("desk", "whitelist").value == "allow"
    sim.appoint("desk")
    assert sim.asks("desk", "whitelist").value == "deny"


def test_r02_what_is_handed_in_by_the_desks_key_counts_in_neither_query(sim: Community) -> None:
    host = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
    sim.appoint("desk")
    sim.policy("hub", host, "ask", operation="whitelist")
    sim.policy("{hub} && {desk}", host, "allow", operation="whitelist")
    by_hub, by_desk = signed("hub", "ann", host), signed("desk", "ann", host)
    decision = sim.asks("ann", "whitelist", credentials=[by_hub, by_desk])
    assert (decision.value, decision.outcome) == ("ask", Outcome.PENDING)
    assert decision.proof is not None
    assert [each.reason for each in decision.proof.skipped if each.source == "credential 2"] == ["handed-in-approval"]
    assert sim.asks("ann", "whitelist", credentials=[by_hub], approvals=[by_desk]).value == "allow", "our own store may hold it"


def test_r02_an_approval_by_any_other_key_is_none(asking: Community) -> None:
    pending = asking.asks(ANN)
    decision = asking.asks(ANN, approvals=[asking.approval(pending, by="hub"), b"not even KeyNote"])
    assert decision.outcome is Outcome.PENDING
    assert decision.proof is not None
    assert {each.reason for each in decision.proof.skipped} >= {"no-approval", "malformed"}


def test_r02_the_desks_word_is_no_audit(sim: Community) -> None:
    """It repeats what the requester said; who vouches for that is another matter (rule R8)."""
    host = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
    audit = 'XMPP_TLS_for_s2s == "required"'
    sim.appoint("desk")
    sim.policy("hub", host, "ask", operation="whitelist")
    sim.policy("{hub} && {desk}", f"{host} && {audit}", "allow", operation="whitelist")
    approvals, claims = [signed("desk", "ann", f"{host} && {audit}")], {"XMPP_TLS_for_s2s": "required"}
    for by_hub, value in ((host, "ask"), (f"{host} && {audit}", "allow")):
        licence = signed("hub", "ann", by_hub)
        assert sim.asks("ann", "whitelist", claims=claims, credentials=[licence], approvals=approvals).value == value


# -- how long it holds ------------------------------------------------------------------------------------


def test_r02_a_grant_ends_with_its_approval_for_certain(asking: Community) -> None:
    decision = asking.asks(ANN, approvals=approved(asking, days=3))
    assert decision.until == decision.ends == NOON + timedelta(days=3)
    asking.sleep(days=3)
    assert asking.asks(ANN, approvals=approved(asking)).value == "allow", "it may be approved anew"


def test_r02_it_is_looked_at_again_at_the_minimum_over_both_proofs(sim: Community) -> None:
    sim.appoint("desk")
    sim.policy("hub", INCIDENTS, "ask", until="20261201")
    sim.policy("{hub} && {desk}", INCIDENTS, "allow")
    sim.delegate("hub", ANN)
    decision = sim.asks(ANN, approvals=[sim.approval(sim.asks(ANN))])
    assert decision.proof is not None
    assert decision.ends is not None
    assert f"{decision.ends:%Y%m%d%H%M%S}" == "20261201000000", "the first proof rests on that date, the second does not"
    assert decision.until == NOON + timedelta(days=90)


@pytest.mark.parametrize("days, wanted", [(400, 90), (2, 2)])
def test_r02_no_approval_outlives_the_cap(asking: Community, days: int, wanted: int) -> None:
    decision = asking.asks(ANN, approvals=approved(asking, days=days))
    assert decision.until == NOON + timedelta(days=wanted)


def test_r02_the_period_that_was_asked_for_is_part_of_what_was_approved(asking: Community) -> None:
    pending = asking.asks(ANN, validity=3600)
    approval = asking.approval(pending)
    assert asking.asks(ANN, approvals=[approval], validity=3600).until == NOON + timedelta(hours=1)
    assert asking.asks(ANN, approvals=[approval], validity=7200).outcome is Outcome.PENDING


def test_r02_only_the_approvals_that_carry_the_proof_bound_it(asking: Community) -> None:
    others = approved(asking, BOB, days=1)
    decision = asking.asks(ANN, approvals=(*others, *approved(asking, days=9)))
    assert decision.until == NOON + timedelta(days=9)


def test_r02_what_waits_for_nobody_has_no_end(asking: Community) -> None:
    decision = asking.asks(ANN)
    assert (decision.ends, decision.until) == (None, None)


def test_r02_the_desks_key_revoked_every_approval_is_gone(asking: Community) -> None:
    approvals = approved(asking)
    asking.revoke("desk")
    assert asking.asks(ANN, approvals=approvals).outcome is Outcome.PENDING
    assert key("desk").principal in asking.revoked
