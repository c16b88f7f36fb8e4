"""What a peer hears at the door for servers, and what the log has of it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import timedelta

import pytest

from clearinghouse import telemetry
from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.request import Request
from clearinghouse.errors import InternalError, StoreUnavailable
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.published.publishing import Publisher
from clearinghouse.federation.redirection.answers import ID_CHARACTERS, Redirect, Refused
from clearinghouse.federation.redirection.places import TURN_SECONDS
from clearinghouse.federation.redirection.seen import Proof, Require
from clearinghouse.runtime.chance import new_id
from clearinghouse.runtime.redirection.gathering import Gatherer
from clearinghouse.runtime.redirection.ground import TableLevels
from clearinghouse.runtime.redirection.porter import ATTEMPTS
from clearinghouse.storage.changes import SHARED_CHARACTERS, Decided, Repeated
from tests.porters import ADDRESS, LEVELS, A, B, C, Diary, Lodge, member, said, sent
from tests.world import NOON

DENIED = "not permitted: not-granted"


@pytest.fixture(autouse=True)
def quiet() -> None:
    telemetry.configure(stream=io.StringIO())  # drawing a trace for people takes seconds


@pytest.fixture
def lodge() -> Lodge:
    made = Lodge()
    made.permits()
    return made


async def test_who_may_is_sent_to_the_recorded_server_and_told_which_decision_that_was(lodge: Lodge) -> None:
    answer = await lodge.answer()
    [recorded] = await lodge.recorded()
    assert answer == Redirect("192.0.2.2", f"the server of b.example (decision {recorded.decision.id[:ID_CHARACTERS]})")
    assert (recorded.decision.outcome, recorded.decision.value) == (Outcome.GRANTED, "level-2")
    observed = recorded.decision.request.observed
    assert (observed["certificate_issuer"], observed["tls_cipher"]) == ("CN=Net CA", "TLS_AES_256_GCM_SHA384")
    assert (observed["address"], observed["direction"], observed["auth_method"]) == (ADDRESS, "in", "external")
    assert recorded.decision.request.known == {"from_level": "level-2", "to_level": "level-1"}


async def test_a_policy_may_rest_on_the_levels_of_both(lodge: Lodge) -> None:
    lodge.permits('from_domain == "c.example" && from_level == "level-3" && to_level == "level-1"', to=C)
    lodge.roll.members[C] = member(C, "192.0.2.3")
    assert said(await lodge.answer(C)) == DENIED
    lodge.table.rows[C] = "level-3"
    assert sent(await lodge.answer(C)) == "192.0.2.2"
    del lodge.table.rows[B]
    assert said(await lodge.answer(C)) == DENIED


async def test_whoever_has_not_proven_enough_hears_nothing_and_is_on_the_log(lodge: Lodge) -> None:
    assert await lodge.answer(proof=Proof.DIALBACK) == Refused() == await lodge.answer(proof=Proof.NOTHING)
    assert await lodge.reasons() == ["not-proven"] * 2
    assert await lodge.answer(proof=Proof.NOTHING, doubt="certificate-expired") == Refused()
    assert "by none (certificate-expired), and certificate is demanded" in (await lodge.recorded())[-1].decision.reason.text
    assert [each.decision.request.door for each in await lodge.recorded()] == ["stream", "unproven", "unproven"]
    assert lodge.porter.answers == {"unproven": 3}


async def test_dialback_is_enough_where_the_settings_say_so() -> None:
    lodge = Lodge(Require.DIALBACK)
    lodge.permits('from_domain == "a.example" && auth_method == "dialback" && certificate_issuer == "none"')
    assert sent(await lodge.answer(proof=Proof.DIALBACK)) == "192.0.2.2"
    assert said(await lodge.answer()) == DENIED
    assert await lodge.answer(proof=Proof.NOTHING) == Refused()


async def test_one_of_several_servers_is_taken_in_turn(lodge: Lodge) -> None:
    direct = Endpoint("192.0.2.9", 5270, "direct")
    lodge.roll.members[B] = replace(member(B), endpoints=(direct, Endpoint("192.0.2.2"), Endpoint("h.example", 5270)))
    places = []
    for _ in range(4):
        places.append(sent(await lodge.answer()))
        lodge.sim.now += timedelta(seconds=TURN_SECONDS)
    assert sorted(places[:2]) == ["192.0.2.2", "h.example:5270"]
    assert places[2:] == places[:2]


# -- what fails ------------------------------------------------------------------------------------------


async def test_a_decision_that_cannot_be_recorded_opens_nothing(lodge: Lodge) -> None:
    lodge.diary.error = StoreUnavailable("the disk is full", mend="make room")
    assert said(await lodge.answer()) == "not permitted: store-unavailable"
    assert await lodge.answer(proof=Proof.NOTHING) == Refused()
    lodge.diary.error = None
    assert sent(await lodge.answer()) == "192.0.2.2"
    lodge.diary.error = StoreUnavailable("the disk is full", mend="make room")
    assert said(await lodge.answer()) == "not permitted: store-unavailable", "also not as a precedent"
    assert lodge.porter.answers == {"failed": 3, "redirected": 1}


@pytest.mark.parametrize("before", [0, 1])
async def test_a_clock_that_is_behind_opens_nothing(lodge: Lodge, before: int) -> None:
    for _ in range(before):
        await lodge.answer()
    lodge.sim.now += timedelta(hours=2)
    await lodge.answer(C)
    lodge.sim.now = NOON + timedelta(minutes=1)
    assert said(await lodge.answer()) == "not permitted: clock-behind"
    assert (await lodge.reasons())[-1] == "clock-behind"


async def test_a_mistake_of_ours_opens_nothing_and_stops_nobody_else(lodge: Lodge) -> None:
    lodge.diary.error = RuntimeError("a mistake")
    assert said(await lodge.answer()) == f"not permitted: {InternalError.code}"
    assert await lodge.answer(proof=Proof.NOTHING) == Refused()
    lodge.diary.error = None
    assert sent(await lodge.answer()) == "192.0.2.2"


async def test_a_mistake_in_ruling_is_no_denial(lodge: Lodge) -> None:
    told: list[str] = []

    def failed(request: Request, error: Exception) -> None:
        told.append(f"{request.operation}: {type(error).__name__}")

    desk: Desk = lodge.sim.ready()
    desk.failed = failed
    desk.levels = ("deny", "deny")
    assert said(await lodge.answer()).startswith("not permitted: ")
    assert (await lodge.recorded())[0].decision.outcome is not Outcome.GRANTED


async def test_what_changes_while_the_decision_is_recorded_counts(lodge: Lodge) -> None:
    def removed() -> None:
        lodge.roll.members[B] = member(B, removed=True)

    lodge.diary.meanwhile = removed
    assert said(await lodge.answer()) == DENIED
    assert await lodge.reasons() == ["granted", "no-such-member"]


async def test_a_policy_that_never_settles_opens_nothing(lodge: Lodge) -> None:
    def other() -> None:
        lodge.permits(f'from_domain == "c{len(lodge.diary.writes)}.example"')
        lodge.sim.ready()

    lodge.diary.meanwhile = other
    assert said(await lodge.answer()) == "not permitted: overtaken"
    assert await lodge.reasons() == ["granted"] * ATTEMPTS
    lodge.diary.meanwhile = lambda: None
    assert sent(await lodge.answer()) == "192.0.2.2"


async def test_what_a_peer_claims_is_shown_to_nobody_raw(lodge: Lodge) -> None:
    for wanted in ("", "evil.example"):
        assert said(await lodge.answer(wanted=wanted)) == DENIED
    assert await lodge.reasons() == ["fact-missing", "no-such-member"]


def test_levels_end_with_their_table() -> None:
    now = NOON
    edition = Publisher("net", "*", 1, LEVELS).edition({A: "level-2"}, now=NOON, expires=NOON + timedelta(days=7))
    assert edition is not None
    levels = TableLevels(lambda: edition.table, LEVELS[0], lambda: now)
    assert (levels.level(A), levels.level(B)) == ("level-2", "deny")
    now += timedelta(days=7)
    assert levels.level(A) == "deny"
    assert TableLevels(lambda: None, LEVELS[0], lambda: NOON).level(A) == "deny"


# -- pace ------------------------------------------------------------------------------------------------


async def test_a_domain_that_asks_too_often_is_held_back_and_nobody_else(lodge: Lodge) -> None:
    lodge.roll.members[C] = member(C, "192.0.2.3")
    answers = [await lodge.answer() for _ in range(60)]
    assert said(answers[-1]) == "not permitted: rate-limited"
    assert sum(isinstance(each, Redirect) for each in answers) == 50
    assert len(await lodge.log()) == 50, "what is held back is not decided"
    assert said(await lodge.answer(C)) == DENIED
    lodge.elapsed += 1
    assert sent(await lodge.answer()) == "192.0.2.2"
    assert lodge.porter.status()["limited"] == {"domains": 10, "addresses": 0, "unproven": 0}


async def test_an_address_of_strangers_is_held_back_and_no_other(lodge: Lodge) -> None:
    for number in range(30):
        assert await lodge.answer(f"n{number}.example", proof=Proof.NOTHING) == Refused()
    assert len(await lodge.log()) == 20
    assert await lodge.answer(proof=Proof.NOTHING, address="192.0.2.67") == Refused()
    assert len(await lodge.log()) == 21
    assert sent(await lodge.answer()) == "192.0.2.2", "a proven domain does not pay for its neighbours"


async def test_all_addresses_of_one_network_are_one_stranger(lodge: Lodge) -> None:
    for number in range(30):
        await lodge.answer(proof=Proof.NOTHING, address=f"2001:db8::{number:x}")
    assert len(await lodge.log()) == 20


async def test_strangers_from_everywhere_fill_neither_log_nor_spool(lodge: Lodge) -> None:
    for number in range(150):
        assert await lodge.answer(f"n{number}.example", proof=Proof.NOTHING, address=f"2001:db8:{number:x}::1") == Refused()
    assert len(await lodge.log()) == 100
    assert lodge.porter.status()["limited"] == {"domains": 0, "addresses": 0, "unproven": 50}
    assert sent(await lodge.answer()) == "192.0.2.2", "whoever has proven enough does not pay for them"


# -- what is written together ----------------------------------------------------------------------------


async def test_answers_that_come_together_are_made_durable_together(lodge: Lodge) -> None:
    await lodge.answer()
    answers = await asyncio.gather(*(lodge.answer() for _ in range(40)))
    assert {sent(each) for each in answers} == {"192.0.2.2"}
    assert len({each.text for each in answers}) == 40, "each has a decision of its own"
    assert len(lodge.diary.writes) <= 3
    first, *others = await lodge.recorded()
    assert {each.repeats for each in others} == {first.decision.id}
    assert all(each.decision.request is first.decision.request for each in others)
    assert sorted(each.text[-13:-1] for each in answers) == sorted(each.decision.id for each in others)


async def test_a_batch_has_an_entry_for_each_decision_and_an_id_for_each_answer() -> None:
    diary = Diary()
    gatherer = Gatherer(diary, new_id)
    ids = await asyncio.gather(*(gatherer.repeat(f"d{each % 3}", NOON + timedelta(seconds=each)) for each in range(300)))
    assert len(set(ids)) == 300
    first, *_ = diary.writes
    assert [each.decision for each in first if isinstance(each, Repeated)] == ["d0", "d1", "d2"]
    told = [answer for batch in diary.writes for each in batch if isinstance(each, Repeated) for answer in each.answers]
    assert sorted(told) == sorted((each, NOON + timedelta(seconds=number)) for number, each in enumerate(ids))
    for each in first:
        assert isinstance(each, Repeated)
        assert all(identity.startswith(each.id) and len(identity) == ID_CHARACTERS for identity, _ in each.answers)


async def test_what_cannot_be_written_befalls_all_who_wait_for_it() -> None:
    diary = Diary(error=StoreUnavailable("it is full", mend="make room"))
    gatherer = Gatherer(diary, new_id)
    found = await asyncio.gather(*(gatherer.repeat("d", NOON) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailable] * 5
    diary.error = None
    identity = await gatherer.repeat("d", NOON)
    assert diary.writes == [(Repeated(identity[:SHARED_CHARACTERS], "d", NOON, ((identity, NOON),)),)]


async def test_whoever_hangs_up_keeps_no_other_from_being_written() -> None:
    diary = Diary()
    gatherer = Gatherer(diary, new_id)
    first, second = (asyncio.create_task(gatherer.repeat(each, NOON)) for each in ("d1", "d2"))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert [each.decision for batch in diary.writes for each in batch if isinstance(each, Repeated)] == ["d1", "d2"]


async def test_the_first_is_written_as_any_decision(lodge: Lodge) -> None:
    await lodge.answer()
    assert [type(each) for batch in lodge.diary.writes for each in batch] == [Decided]
