"""What policy leaves to the site's people: it waits, is approved under policy or denied, and ends with what it rests on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.agent.granting.cases import WAIT, NobodyDecides, NoSuchCase
from clearinghouse.clearing.cases import CaseState
from clearinghouse.clearing.people import AlreadyApproved, NotEntitled, Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.demo.keys import demonstration_key
from tests.targets import HOST, Target
from tests.world import NOON

ADMIN, DESK = demonstration_key("Alice").principal, demonstration_key("desk").principal
POLICY = f"""
Authorizer: "POLICY"
Licensees: "{ADMIN}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example"
  && Server_IP_Address ~= "^192\\\\.168\\\\.40\\\\.[0-9]+$" -> "ask";

Authorizer: "POLICY"
Licensees: "{ADMIN}" && "{DESK}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example"
  && Server_IP_Address ~= "^192\\\\.168\\\\.40\\\\.[0-9]+$" -> "allow";
"""
PEOPLE = """
Authorizer: "POLICY"
Licensees: 2-of("unix:ann", "unix:bea", "unix:cem")
Conditions: operation == "approve" && asked == "whitelist" && subject == "partner.example" && topic == "*" -> "allow";
"""


def person(name: str) -> Speaker:
    return Speaker(name, (f"unix:{name}",), Door.OPERATOR)


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    return await Target(tmp_path, NOON).policy(POLICY).policy(PEOPLE, "people").open(desk="desk")


async def test_a_request_waits_until_enough_people_have_approved(target: Target) -> None:
    answer = await target.ask(HOST, "Alice", seconds=600)
    assert (answer.outcome, answer.value, answer.until) == ("pending", "ask", None)
    assert target.live() == ()
    case, decision = await target.requests.approve(person("ann"), answer.id[:8], None)
    assert (case.state, decision) == (CaseState.PENDING, None)
    case, decision = await target.requests.approve(person("bea"), answer.id[:8], timedelta(minutes=5))
    assert decision is not None
    assert (case.state, decision.value) == (CaseState.APPROVED, "allow")
    [grant] = target.live()
    assert grant.until == int((NOON + timedelta(minutes=5)).timestamp()), "the shortest of what was asked and approved"
    assert target.grants.cases.waiting() == []


async def test_nobody_approves_twice_or_without_a_say(target: Target) -> None:
    answer = await target.ask(HOST, "Alice")
    await target.requests.approve(person("ann"), answer.id, None)
    with pytest.raises(AlreadyApproved):
        await target.requests.approve(person("ann"), answer.id, None)
    with pytest.raises(NotEntitled):
        await target.requests.approve(person("mal"), answer.id, None)
    assert target.live() == ()


async def test_an_approval_that_is_taken_back_ends_the_grant(target: Target) -> None:
    """R3: whoever approved may not any more."""
    answer = await target.ask(HOST, "Alice", seconds=600)
    for name in ("ann", "bea"):
        await target.requests.approve(person(name), answer.id, None)
    assert len(target.live()) == 1
    target.policy(PEOPLE.replace('"unix:bea", ', ""), "people")
    await target.authority.load()
    await target.grants.review()
    assert target.live() == ()
    [case] = await target.store.cases(9)
    assert case.state is CaseState.WITHDRAWN


async def test_an_approval_does_not_outlive_the_requesters_own_licence(target: Target) -> None:
    """R2: the first query alone must give at least `ask`."""
    answer = await target.ask(HOST, "Alice", seconds=600)
    for name in ("ann", "bea"):
        await target.requests.approve(person(name), answer.id, None)
    target.policy(
        POLICY.partition('\nAuthorizer: "POLICY"\nLicensees: "' + ADMIN + '" &&')[2].join(
            ['\nAuthorizer: "POLICY"\nLicensees: "' + ADMIN + '" &&', ""]
        )
    )
    await target.authority.load()
    await target.grants.review()
    assert target.live() == ()


async def test_what_was_approved_is_restored_after_a_crash(target: Target) -> None:
    answer = await target.ask(HOST, "Alice", seconds=600)
    waits = await target.ask({**HOST, "Server_IP_Address": "192.168.40.56"}, "Alice", seconds=600)
    for name in ("ann", "bea"):
        await target.requests.approve(person(name), answer.id, None)
    await target.requests.approve(person("ann"), waits.id, None)
    before = target.live()
    await target.open(desk="desk")
    assert target.live() == before != ()
    assert [each.id for each in target.grants.cases.waiting()] == [waits.id]
    await target.requests.approve(person("bea"), waits.id, None)
    assert len(target.live()) == 2


async def test_the_same_asked_again_waits_once(target: Target) -> None:
    first = await target.ask(HOST, "Alice")
    await target.ask(HOST, "Alice")
    assert [each.id for each in target.grants.cases.waiting()] == [first.id]


async def test_a_no_ends_it_and_so_does_time(target: Target) -> None:
    answer = await target.ask(HOST, "Alice")
    assert (await target.requests.deny(person("mal"), answer.id, "not now")).state is CaseState.DENIED
    with pytest.raises(NoSuchCase):
        await target.requests.deny(person("mal"), answer.id, "")
    late = await target.ask(HOST, "Alice")
    target.sleep(days=WAIT.days)
    await target.grants.review()
    with pytest.raises(NoSuchCase):
        await target.requests.approve(person("ann"), late.id, None)
    assert [each.state for each in await target.store.cases(9)] == [CaseState.DENIED, CaseState.EXPIRED]


async def test_without_a_desk_nobody_decides(tmp_path: Path) -> None:
    target = await Target(tmp_path, NOON).policy(POLICY).open()
    with pytest.raises(NobodyDecides):
        await target.ask(HOST, "Alice")
