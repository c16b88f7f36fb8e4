"""What every store does: each test runs in memory and in SQLite."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from clearinghouse.clearing.request import Place
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.folders import CREDENTIALS, FileRead
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.store import Effect, Event, Recorded, Store
from tests.storage.conftest import Decisions
from tests.world import BROKER, INCIDENTS, NOON, assertion, signed


async def test_a_decision_comes_back_as_it_was(store: Store, decide: Decisions) -> None:
    made = [decide.granted(), decide.pending(), decide.refused()]
    for each in made:
        await store.record(each)
    found = await store.decisions(10)
    assert [each.decision for each in found] == [replace(each, proof=None, missing=()) for each in made]
    for each, recorded in zip(made, found, strict=True):
        assert each.proof is not None
        assert recorded.proof == each.proof.as_json(each.missing)
        assert recorded.values == ("deny", "ask", "allow")
        assert recorded.attributes["date"] == "20261120"
        assert recorded.attributes["jid"] == each.request.observed["jid"]


async def test_what_was_asked_comes_back_part_by_part(store: Store, decide: Decisions) -> None:
    made = decide.granted()
    await store.record(made)
    [found] = await store.decisions(1)
    request = found.decision.request
    assert (request.observed, request.known, request.claims) == (made.request.observed, made.request.known, made.request.claims)
    assert (request.requesters, request.door, request.place) == (made.request.requesters, made.request.door, made.request.place)


async def test_a_request_that_could_not_be_asked_is_recorded_with_its_reason(store: Store, decide: Decisions) -> None:
    made = decide.sim.asks("ann@a.example", observed={"jid": "not a JID"})
    await store.record(made)
    [found] = await store.decisions(1)
    assert found.decision.reason.code == "malformed-request"
    assert (found.proof, found.values, found.attributes["jid"]) == (None, (), "not a JID")


async def test_the_last_decisions_are_listed_oldest_first(store: Store, decide: Decisions) -> None:
    made = [decide.granted() for _ in range(5)]
    for each in made:
        await store.record(each)
    assert [each.decision.id for each in await store.decisions(2)] == [each.id for each in made[-2:]]


async def test_a_decision_is_found_by_how_its_id_begins(store: Store, decide: Decisions) -> None:
    first, second = decide.granted(), decide.granted()
    await store.record(first)
    await store.record(second)
    found = await store.decision(second.id[:6])
    assert found is not None
    assert found.decision.id == second.id
    assert await store.decision("00") is None  # both begin so
    assert await store.decision("ffff") is None
    assert await store.decision("%") is None


async def test_the_last_decision_about_a_place_is_found_by_all_its_parts(store: Store, decide: Decisions) -> None:
    await store.record(decide.granted(subid="one"))
    second = decide.granted(subid="one")
    await store.record(second)
    await store.record(decide.granted(subid="two"))
    found = await store.ruled(Place(BROKER, INCIDENTS, "ann@a.example", "one"))
    assert found is not None
    assert found.decision.id == second.id
    assert await store.ruled(Place(BROKER, INCIDENTS, "ann@a.example", "three")) is None
    assert await store.ruled(Place("other.example", INCIDENTS, "ann@a.example", "one")) is None


async def test_an_effect_is_owed_until_it_is_settled(store: Store, decide: Decisions) -> None:
    granted, pending, refused = decide.granted(), decide.pending(), decide.refused()
    for each in (granted, pending, refused):
        await store.record(each)
    assert [each.decision.id for each in await store.owed()] == [granted.id, refused.id]
    await store.settle(granted.id, Effect.DONE, at=NOON, latency=timedelta(milliseconds=12.5))
    await store.settle(refused.id, Effect.DROPPED, at=NOON)
    assert await store.owed() == []
    effects = [(each.effect, each.latency) for each in await store.decisions(3)]
    assert effects == [(Effect.DONE, timedelta(milliseconds=12.5)), (Effect.NONE, None), (Effect.DROPPED, None)]


async def test_the_highest_time_only_grows(store: Store, decide: Decisions) -> None:
    assert store.highest_time is None
    await store.record(decide.granted(at=NOON))
    await store.record(decide.granted(at=NOON - timedelta(days=1)))
    assert store.highest_time == NOON
    await store.note(Event(NOON + timedelta(hours=1), "started", {}))
    assert store.highest_time == NOON + timedelta(hours=1)


async def test_when_the_clock_could_change_an_answer_is_known(store: Store, decide: Decisions) -> None:
    made = decide.granted()
    await store.record(made)
    [found] = await store.decisions(1)
    assert made.proof is not None
    assert found.stable_until == made.proof.stable_until is not None
    assert Recorded.of(replace(made, proof=None)).stable_until is None


async def test_events_come_back_in_order(store: Store) -> None:
    made = [Event(NOON + timedelta(minutes=each), "policy-changed", {"after": str(each), "refused": ["ü"]}) for each in range(3)]
    for each in made:
        await store.note(each)
    assert list(await store.events(2)) == made[1:]


async def test_a_snapshot_is_archived_once_and_comes_back_whole(store: Store) -> None:
    policy = assertion("POLICY", "hub", 'operation == "subscribe"', "allow", comment="für alle")
    files = [FileRead("topics/a.kn", "topics", policy), FileRead("credentials/b.kn", CREDENTIALS, signed("hub", "ann@a.example"))]
    held = Loader().load(files, Holdings())
    archive = Archive.of(held)
    await store.archive(archive, at=NOON)
    await store.archive(archive, at=NOON)
    found = await store.archived(held.snapshot.version)
    assert found == archive
    again = found.holdings()
    assert again.snapshot.version == held.snapshot.version
    assert [each.source for each in again.admitted()] == ["topics/a.kn", "credentials/b.kn"]
    assert await store.archived("0" * 64) is None
