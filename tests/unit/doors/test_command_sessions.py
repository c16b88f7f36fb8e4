"""Sessions of commands belong to one client and end by themselves; strangers have none."""

from __future__ import annotations

import pytest

from clearinghouse.doors.xmpp.chat import Chat
from clearinghouse.doors.xmpp.talks import MAX_TALKS, MAX_TALKS_EACH, TALK_SECONDS
from clearinghouse.grid.commands import COMMAND, Command
from tests.unit.doors.client import ANN, US, Client, command
from tests.unit.doors.paper import case_of
from tests.unit.doors.people import ASKER, House


async def test_session_belongs_to_one_client_and_one_command() -> None:
    house = House()
    page = await house.ann.start("explain")
    for client, node in ((house.bob, "explain"), (Client(house.counter, f"{ANN}/desk"), "explain"), (house.ann, "revoke")):
        assert await client.refused(command(node, "cancel", page.session)) == ("bad-request", "bad-sessionid")
    assert (await house.ann.go(page, "cancel")).status == "canceled"
    assert await house.ann.refused(command("explain", "cancel", page.session)) == ("bad-request", "bad-sessionid")


@pytest.mark.parametrize("session", ["", "1", "x" * 100_000, "\u202e", "F" * 32])
async def test_session_that_never_was(session: str) -> None:
    house = House()
    assert await house.ann.refused(command("pending", "next", session)) == ("bad-request", "bad-sessionid")


async def test_unknown_action_and_command() -> None:
    house = House()
    assert await house.ann.refused(command("pending", "explode")) == ("bad-request", "malformed-action")
    assert await house.ann.refused(command("format-disk", "execute")) == ("item-not-found", "no-such-thing")


async def test_two_forms_and_huge_forms_are_refused() -> None:
    house = House()
    page = await house.ann.start("add-credential")
    twice = command("add-credential", "next", page.session, {"text": "a"})
    twice.append(twice[0])
    for bad in (twice, *(command("add-credential", "next", page.session, {"text": text}) for text in (["x"] * 1_025, "x" * 16_385))):
        assert await house.ann.refused(bad) == ("bad-request", "bad-payload")


async def test_sessions_end_by_themselves() -> None:
    house = House()
    now = 0.0
    house.counter.exchange.counter.chat = Chat(lambda: now)
    page = await house.ann.start("explain")
    now = TALK_SECONDS
    assert await house.ann.refused(command("explain", "cancel", page.session)) == ("not-allowed", "session-expired")


async def test_oldest_session_of_a_person_makes_room_for_the_next() -> None:
    house = House()
    pages = [await house.ann.start("explain") for _ in range(MAX_TALKS_EACH + 1)]
    assert await house.ann.refused(command("explain", "cancel", pages[0].session)) == ("bad-request", "bad-sessionid")
    for page in pages[1:]:
        assert (await house.ann.go(page, "cancel")).status == "canceled"


async def test_sessions_are_bounded_and_old_ones_make_room() -> None:
    house = House()
    now = 0.0
    house.counter.exchange.counter.chat = Chat(lambda: now)
    house.reception.people |= {f"p{number}@example.net": "p" for number in range(MAX_TALKS + 1)}
    clients = [Client(house.counter, f"p{number}@example.net/x") for number in range(MAX_TALKS + 1)]
    for client in clients[:-1]:
        await client.start("explain")
    assert await clients[-1].refused(command("explain", "execute")) == ("resource-constraint", "too-many-sessions")
    assert len(house.counter.exchange.counter.chat.talks) == MAX_TALKS
    now = TALK_SECONDS
    await clients[-1].start("explain")
    assert len(house.counter.exchange.counter.chat.talks) == 1


# -- strangers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stranger", ["eve@evil.example/x", "ann@evil.example/x", "ann2@example.net/x", "example.net", "Ann@\u0455xample.net/x"]
)
async def test_strangers_hear_of_no_commands(stranger: str) -> None:
    house = House()
    house.office.open(case_of(ASKER))
    for name in (*Command, "other"):
        assert await house.counter.refused(stranger, "set", command(name, "execute")) == ("service-unavailable", "", "")


async def test_commands_are_at_our_own_address_only() -> None:
    house = House()
    asked = command("explain", "execute")
    assert await house.counter.refused(house.ann.jid, "set", asked, to=f"x@{US}") == ("service-unavailable", "", "")
    assert await house.counter.refused(house.ann.jid, "get", asked) == ("service-unavailable", "", "")


async def test_answer_to_a_command_is_a_command() -> None:
    assert (await House().ann.start("explain")).command.tag == COMMAND
