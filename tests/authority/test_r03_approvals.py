"""R3: all who have approved a request ask together whether they may; a person counts once, and never for themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from clearinghouse.clearing.approvals import about, approve_request, asked_by, contributes, counted
from clearinghouse.clearing.cases import Approval, Case
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import Door
from tests.world import BROKER, HUB, NOON, Community, key, who

ANN = "ann@a.example"
TOPIC = 'topic == "incidents" && subject ~= "@"'


@pytest.fixture
def case(sim: Community) -> Case:
    sim.policy(ANN, 'topic == "incidents"', "ask")
    opened, _ = consequences(sim.asks(ANN))
    assert opened is not None
    return opened


def by_chat(jid: str, person: str = "", *, host: str = HUB, at: int = 0) -> Approval:
    names = (f"xmpp:{jid}", f"xmpp-member:{jid.partition('@')[2]}")
    return Approval(person or names[0], names, NOON + timedelta(seconds=at), Door.CHAT, host, "")


def by_key(*names: str, person: str = "") -> Approval:
    keys = tuple(map(who, names))
    return Approval(person or keys[0], keys, NOON, Door.ENVELOPE, "", "")


def at_host(user: str, person: str = "") -> Approval:
    return Approval(person or f"unix:{user}", (f"unix:{user}",), NOON, Door.OPERATOR, "", "")


def together(sim: Community, case: Case, *approvals: Approval) -> Decision:
    return sim.ask(approve_request(case, counted(case, approvals, ()), "question"))


def test_r03_one_who_may_approve_is_enough_where_policy_says_so(sim: Community, case: Case) -> None:
    sim.policy("xmpp:olga@hub.example", TOPIC, operation="approve")
    assert together(sim, case, by_chat("olga@hub.example")).value == "allow"
    assert together(sim, case, by_chat("eve@hub.example")).value == "deny"


def test_r03_nobody_has_approved_so_nobody_asks(sim: Community, case: Case) -> None:
    decision = together(sim, case)
    assert (decision.outcome, decision.reason.code) == (Outcome.REFUSED, "malformed-request")


def test_r03_two_owners_are_two_people(sim: Community, case: Case) -> None:
    sim.policy("2-of({olga}, {oleg}, {unix:root})", TOPIC, operation="approve")
    olga, oleg, root = by_key("olga", person="Olga"), by_key("oleg", person="Oleg"), at_host("root", "Oleg")
    assert together(sim, case, olga).value == "deny"
    assert together(sim, case, olga, oleg).value == "allow"
    assert together(sim, case, olga, root).value == "allow"
    assert together(sim, case, oleg, root).value == "deny", "root is Oleg as well"


@pytest.mark.parametrize(
    "again", [by_key("oleg", person="Olga"), at_host("root", "Olga"), by_chat("olga@hub.example", "Olga")], ids=lambda each: each.door
)
def test_r03_a_person_counts_once_whatever_keys_and_names_they_hold(sim: Community, case: Case, again: Approval) -> None:
    sim.policy("2-of({olga}, {oleg}, {unix:root}, {xmpp:olga@hub.example})", TOPIC, operation="approve")
    first = by_key("olga", person="Olga")
    assert counted(case, (first, again), ()) == (first,)
    assert together(sim, case, first, again).value == "deny"


def test_r03_a_person_who_signs_with_two_keys_brings_one(sim: Community, case: Case) -> None:
    sim.policy("2-of({olga}, {oleg})", TOPIC, operation="approve")
    (only,) = counted(case, (by_key("olga", "oleg", person="Olga"),), ())
    assert only.principals == (key("olga").principal,)
    assert together(sim, case, by_key("olga", "oleg", person="Olga")).value == "deny"


def test_r03_the_one_that_counts_is_the_first_that_may_count(case: Case) -> None:
    """A chat at another host counts for nothing, so it takes nothing from the signature that follows."""
    elsewhere, signed = by_chat("olga@c.example", "Olga", host="c.example"), by_key("olga", person="Olga")
    assert counted(case, (elsewhere, signed), ()) == (signed,)


@pytest.mark.parametrize("door", ["chat", "another-name", "by-person"])
def test_r03_the_requester_is_no_approver(sim: Community, case: Case, door: str) -> None:
    sim.policy(f"{{xmpp:{ANN}}} || {{ann}} || {{unix:ann}}", TOPIC, operation="approve")
    sim.share(f"xmpp:{ANN}")
    own = {"chat": by_chat(ANN), "another-name": by_key("ann", person="Ann"), "by-person": at_host("ann", "Ann")}[door]
    people = () if door == "chat" else ("Ann",)
    assert sim.ask(approve_request(case, (own,), "question")).value == "allow", "the hole"
    assert counted(case, (own,), people) == ()


def test_r03_to_be_of_the_requesters_domain_is_no_matter(sim: Community, case: Case) -> None:
    sim.policy("xmpp:olga@a.example", TOPIC, operation="approve")
    assert together(sim, case, by_chat("olga@a.example")).value == "allow"


def test_r03_the_query_says_what_is_approved(case: Case) -> None:
    asked = approve_request(case, (by_key("olga"),), "question")
    assert (asked.door, asked.operation, asked.requesters) == (Door.DESK, "approve", (who("olga"),))
    assert asked.claims == {"subject": ANN, "topic": "incidents", "case": case.id, "asked": "subscribe", "broker": BROKER}
    assert about(case.request, case.id) == asked.claims


@pytest.mark.parametrize(
    "where",
    ['subject ~= "@b\\\\.example$"', 'asked == "publish"', 'broker == "pubsub.elsewhere.example"', 'case == "another"'],
)
def test_r03_a_right_to_approve_goes_as_far_as_it_says(sim: Community, case: Case, where: str) -> None:
    sim.policy("olga", f"{TOPIC} && {where}", operation="approve")
    assert together(sim, case, by_key("olga")).value == "deny"


@pytest.mark.parametrize(
    "where", ["", 'topic == "incidents"', 'subject ~= "@"', 'topic != "secrets" && subject ~= "@"', 'topic ~= "." && subject ~= "@"']
)
def test_r03_a_right_to_approve_says_for_whom_and_for_which_topics(sim: Community, case: Case, where: str) -> None:
    """Rule R5: the effect of an approval is somebody's access to a topic."""
    sim.policy("olga", where, operation="approve")
    assert together(sim, case, by_key("olga")).reason.code == "unbound-effect"


def test_r03_who_counts_only_together_with_others_contributes(sim: Community, case: Case) -> None:
    sim.policy("2-of({olga}, {oleg})", TOPIC, operation="approve")
    sim.policy("eve", f'{TOPIC} && topic == "lunch"', operation="approve")
    for name, may in (("olga", True), ("eve", False), ("mallory", False)):
        decision = together(sim, case, by_key(name))
        assert decision.value == "deny"
        assert decision.proof is not None
        assert contributes(decision.proof, [who(name)]) is may


IN_PERSON = {
    "two at least": '_ACTION_AUTHORIZERS ~= "^[^,]+,.+$"',
    "these two": f'_ACTION_AUTHORIZERS == "{",".join(sorted(map(who, ("olga", "oleg"))))}"',
}


@pytest.mark.parametrize("where", IN_PERSON.values(), ids=IN_PERSON.keys())
def test_r03_the_first_of_two_contributes_where_two_must_ask_in_person(sim: Community, case: Case, where: str) -> None:
    """Rule R13 wants thresholds to test who asks; the first to approve is alone, and no stranger for that."""
    sim.policy("2-of({olga}, {oleg}, {root})", f"{TOPIC} && {where}", operation="approve")
    first = together(sim, case, by_key("olga"))
    assert first.value == "deny"
    assert first.proof is not None
    assert contributes(first.proof, [who("olga")])
    assert together(sim, case, by_key("olga"), by_key("oleg")).value == "allow"
    elsewhere = sim.ask(replace(approve_request(case, (by_key("olga"),), "q"), claims={"subject": ANN, "topic": "lunch"}))
    assert elsewhere.proof is not None
    assert not contributes(elsewhere.proof, [who("olga")])


def test_r03_the_query_is_made_again_on_every_snapshot(sim: Community, case: Case) -> None:
    """What an approval rests on can go, and the approval goes with it."""
    sim.policy("boss", TOPIC, operation="approve")
    right = sim.delegate("boss", "olga")
    approvals = (by_key("olga"),)
    assert together(sim, case, *approvals).value == "allow"
    sim.revoke(right)
    assert together(sim, case, *approvals).value == "deny"


def test_r03_the_desk_itself_approves_nothing(sim: Community, case: Case) -> None:
    sim.policy("desk", TOPIC, operation="approve")
    assert together(sim, case, by_key("desk")).value == "allow"
    sim.appoint("desk")
    assert together(sim, case, by_key("desk")).value == "deny"


# -- what a decision comes to -----------------------------------------------------------------------------


def test_r03_what_is_left_to_people_is_a_case_with_the_decisions_name(sim: Community) -> None:
    sim.policy(ANN, 'topic == "incidents"', "ask")
    decision = sim.asks(ANN)
    case, grant = consequences(decision, wait=timedelta(days=3))
    assert grant is None
    assert case is not None
    assert (case.id, case.opened, case.expires, case.open) == (decision.id, NOON, NOON + timedelta(days=3), True)
    assert (case.subject, case.topic) == (ANN, "incidents")


def test_r03_a_grant_has_the_decisions_name_and_both_of_its_ends(sim: Community) -> None:
    sim.policy(ANN, 'topic == "incidents"', until="20261201")
    decision = sim.asks(ANN)
    case, grant = consequences(decision)
    assert case is None
    assert grant is not None
    assert (grant.id, grant.since, grant.ends, grant.until) == (decision.id, NOON, decision.ends, decision.until)
    assert grant.ends < grant.until


def test_r03_what_changes_nothing_at_a_broker_does_not_last(sim: Community) -> None:
    for operation, value in (("discover", "allow"), ("discover", "ask")):
        world = Community()
        world.policy(ANN, 'topic == "incidents"', value, operation=operation)
        assert consequences(world.asks(ANN, operation)) == (None, None)
    assert consequences(sim.asks(ANN)) == (None, None), "a refusal"
    sim.policy(ANN, 'topic == "incidents"')
    without_a_place = replace(sim.asks(ANN).request, place=None)
    assert consequences(sim.ask(without_a_place)) == (None, None)


def test_r03_a_case_and_a_grant_do_not_keep_approvals_that_may_go(sim: Community) -> None:
    sim.appoint("desk")
    sim.policy("hub", 'topic == "incidents"', "ask")
    sim.policy("{hub} && {desk}", 'topic == "incidents"', "allow")
    sim.delegate("hub", ANN)
    pending = sim.asks(ANN)
    granted = sim.asks(ANN, approvals=[sim.approval(pending)])
    case, grant = consequences(pending)[0], consequences(granted)[1]
    assert case is not None
    assert grant is not None
    assert granted.request.approvals
    assert grant.request == case.request


# -- one person alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["revoke", "explain"])
def test_r03_a_person_is_asked_about_by_the_door_where_they_speak(sim: Community, case: Case, operation: str) -> None:
    names = ("xmpp:olga@hub.example", "xmpp-member:hub.example")
    sim.policy("xmpp:olga@hub.example", TOPIC, operation=operation)
    sim.policy("unix:root", f'{TOPIC} && asked == "publish"', operation=operation)
    speakers = {Speaker("Olga", names, Door.CHAT, HUB): "allow", Speaker("root", ("unix:root",), Door.OPERATOR): "deny"}
    for speaker, value in speakers.items():
        assert sim.ask(asked_by(speaker, operation, "question", of=case.request, thing=case.id)).value == value


def test_r03_who_administers_names_what_they_act_on(sim: Community) -> None:
    sim.policy("unix:root", operation="administer")
    sim.policy("unix:ops", 'case == "0123"', operation="administer")
    for user, thing, value in (("root", "0123", "allow"), ("root", "*", "allow"), ("ops", "0123", "allow"), ("ops", "4567", "deny")):
        speaker = Speaker(user, (f"unix:{user}",), Door.OPERATOR)
        assert sim.ask(asked_by(speaker, "administer", "question", thing=thing)).value == value
