"""R10: a component's host can forge any `from`; its word is worth something at that host alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.approvals import approve_request, asked_by, counted, reaches
from clearinghouse.clearing.cases import Approval, Case
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from tests.world import HUB, INCIDENTS, NOON, Community, request, who

EVIL = "evil.example"
OWNER, READER = "olga@hub.example", "fred@hub.example"
NAMES = (f"xmpp:{OWNER}", "xmpp-member:hub.example")
"""Whom the hostile host pretends to be: it writes any `from` that it likes."""


@pytest.fixture
def world(sim: Community) -> Community:
    """The owner may decide about all that a JID may decide about; the evil host hosts one topic of its own."""
    sim.appoint("desk")
    for topic, host in ((INCIDENTS, HUB), ("evil-topic", EVIL)):
        place = f'topic == "{topic}" && vouched_by == "{host}"'
        sim.policy("hub", place, "ask")
        sim.policy("{hub} && {desk}", place, "allow")
    sim.policy(READER, f'topic == "{INCIDENTS}" && vouched_by == "{HUB}"')
    sim.delegate("hub", "xmpp-member:a.example", 'domain == "a.example"')
    for operation in ("approve", "revoke", "explain"):
        sim.policy(OWNER, 'subject ~= "@" && topic ~= "^[a-z-]+$"', operation=operation)
    return sim


def case_of(world: Community, topic: str, host: str) -> Case:
    asked = request("ann@a.example", to=topic)
    opened, _ = consequences(world.ask(replace(asked, observed={**asked.observed, "vouched_by": host})))
    assert opened is not None
    return opened


def forged(host: str) -> Approval:
    return Approval("Olga", NAMES, NOON, Door.CHAT, host, "")


def test_r10_a_request_under_a_forged_name_is_refused_where_policy_names_the_host(world: Community) -> None:
    asked = request(READER)
    assert world.ask(asked).value == "allow"
    assert world.ask(replace(asked, observed={**asked.observed, "vouched_by": EVIL})).value == "deny"


@pytest.mark.parametrize("vouched_by, counts", [(HUB, 1), (EVIL, 0), ("", 0), ("HUB.example", 0)])
def test_r10_an_approval_by_a_jid_counts_where_its_own_host_enforces(world: Community, vouched_by: str, counts: int) -> None:
    case = case_of(world, INCIDENTS, HUB)
    approvals = counted(case, (forged(vouched_by),), ())
    assert len(approvals) == counts
    assert world.ask(approve_request(case, approvals, "question")).value == ("allow" if counts else "deny")


def test_r10_at_its_own_topics_a_host_may_say_what_it_likes(world: Community) -> None:
    """It could deliver the items to anybody anyway."""
    case = case_of(world, "evil-topic", EVIL)
    assert world.ask(approve_request(case, counted(case, (forged(EVIL),), ()), "question")).value == "allow"


def test_r10_what_was_approved_at_one_host_is_approved_at_no_other(world: Community) -> None:
    """The desk pins the host together with everything else."""
    pending = world.ask(request("ann@a.example"))
    approval = world.approval(pending)
    assert world.asks("ann@a.example", approvals=[approval]).value == "allow"
    world.policy("hub", f'topic == "{INCIDENTS}" && vouched_by == "{EVIL}"', "ask")
    world.policy("{hub} && {desk}", f'topic == "{INCIDENTS}" && vouched_by == "{EVIL}"', "allow")
    assert world.asks("ann@a.example", approvals=[approval], observed={"vouched_by": EVIL}).value == "ask"


@pytest.mark.parametrize("name", ["key", "local user"])
def test_r10_a_host_cannot_bring_a_key_or_a_local_user(world: Community, name: str) -> None:
    principal = {"key": who("boss"), "local user": "unix:root"}[name]
    world.policy(f"{{{principal}}}", 'subject ~= "@" && topic ~= "^[a-z-]+$"', operation="approve")
    case = case_of(world, INCIDENTS, HUB)
    brought = replace(forged(HUB), principals=(principal,))
    assert counted(case, (brought,), ()) == ()
    assert world.asks("boss", "explain", door=Door.CHAT, requesters=(principal,)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("operation", ["approve", "revoke", "explain", "administer"])
def test_r10_no_command_under_a_forged_name_reaches_another_hosts_topics(world: Community, operation: str) -> None:
    """Whatever policy says of the JID: under that name nobody asks."""
    case, own = case_of(world, INCIDENTS, HUB), case_of(world, "evil-topic", EVIL)
    speaker = Speaker("Olga", NAMES, Door.CHAT, EVIL)
    for of in (case.request, None):
        assert not reaches(speaker, of)
        assert world.ask(asked_by(speaker, operation, "question", of=of, thing=case.id)).outcome is Outcome.REFUSED
    if operation != "administer":
        assert world.ask(asked_by(speaker, operation, "question", of=own.request, thing=own.id)).value == "allow", "its own topic"


@pytest.mark.parametrize("operation", ["revoke", "explain"])
def test_r10_policy_may_name_the_host_as_well(sim: Community, operation: str) -> None:
    sim.policy(OWNER, f'subject ~= "@" && topic ~= "^[a-z-]+$" && vouched_by == "{HUB}"', operation=operation)
    for host, value in ((HUB, "allow"), (EVIL, "deny")):
        assert sim.asks("ann", operation, door=Door.CHAT, requesters=NAMES, observed={"vouched_by": host}).value == value


@pytest.mark.parametrize("door", Door)
def test_r10_to_administer_takes_more_than_a_hosts_word(sim: Community, door: Door) -> None:
    """Though policy licenses the JID: the door that a host vouches at cannot ask it, and no other vouches for JIDs."""
    sim.policy("{" + NAMES[0] + "} || {" + NAMES[1] + "}", operation="administer")
    decision = sim.asks("ann", "administer", door=door, requesters=NAMES)
    assert (decision.outcome, decision.value) == (Outcome.REFUSED, "deny")
    if door in OPERATIONS["administer"].doors():
        assert decision.reason.code == "foreign-requester"
