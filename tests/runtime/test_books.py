"""What stands, in memory: durable first, the same after a restart, and each case and place changed by one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from clearinghouse.clearing.cases import Approval, Case, CaseChange, CaseClosed, CaseState, Grant, Revocation, RevocationKind
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import StoreUnavailable
from clearinghouse.runtime.standing.books import SUPERSEDED, Books, Crossed
from clearinghouse.storage.changes import (
    CaseMoved,
    Change,
    CredentialAdded,
    CredentialWithdrawn,
    Decided,
    EndCarriedOut,
    EnvelopeSeen,
    GrantEnded,
    Revoked,
)
from clearinghouse.storage.memory import MemoryStore
from tests.world import BROKER, INCIDENTS, NOON, request

ANN, BEA = "ann@a.example", "bea@b.example"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OVER = Reason("revoked", "a test says so")


def asked(jid: str = ANN, to: str = INCIDENTS, *, subid: str = "", operation: str = "subscribe") -> Request:
    return replace(request(jid, operation, to=to), place=Place(BROKER, to, jid, subid))


def decided(identity: str, outcome: Outcome, of: Request, at: datetime = NOON) -> Decision:
    return Decision(identity, of, outcome, "ask", Reason("pending", ""), "v1", at, None, None)


def opening(identity: str, of: Request | None = None, *, wait: timedelta = DAY) -> Decided:
    of = of or asked()
    return Decided(decided(identity, Outcome.PENDING, of), opens=Case(identity, of, NOON, NOON + wait))


def giving(identity: str, of: Request | None = None, *, ends: timedelta = DAY) -> Decided:
    of = of or asked()
    return Decided(decided(identity, Outcome.GRANTED, of), gives=Grant(identity, of, NOON, NOON + ends, NOON + 30 * DAY))


def moved(case: Case, change: CaseChange) -> CaseMoved:
    return CaseMoved(case.moved(change, at=NOON), change, NOON)


def ended(grant: Grant) -> GrantEnded:
    return GrantEnded(replace(grant, ended=NOON, why=OVER))


def approval(person: str = "op") -> Approval:
    return Approval(person, (f"unix:{person}",), NOON, Door.OPERATOR, "", "")


@dataclass
class Slow(MemoryStore):
    """A store whose writes wait for the test, and which fails when it is told to."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = False
    written: list[Sequence[Change]] = field(default_factory=list)

    async def write(self, *changes: Change) -> None:
        await self.gate.wait()
        if self.broken:
            raise StoreUnavailable("the disk is full", mend="make room")
        await super().write(*changes)
        self.written.append(changes)


@pytest.fixture
async def books() -> Books:
    return await Books.opened(MemoryStore(), now=NOON)


async def reopened(books: Books, now: datetime = NOON) -> Books:
    return await Books.opened(books.store, now=now)


async def test_a_case_stands_at_its_place_until_it_is_closed(books: Books) -> None:
    await books.write(opening("c1", asked(subid="7")))
    assert books.case_at(Place(BROKER, INCIDENTS, ANN)) is books.cases["c1"]
    assert books.case_at(Place(BROKER, INCIDENTS, ANN), "publish") is None
    await books.write(moved(books.cases["c1"], CaseChange.DENY))
    assert not books.cases
    assert books.case_at(Place(BROKER, INCIDENTS, ANN)) is None


async def test_what_stands_is_the_same_after_a_restart(books: Books) -> None:
    bar = Revocation("r1", NOON, RevocationKind.HOLDER, f"{BEA} {INCIDENTS}", "op")
    await books.write(opening("c1"), giving("g1", asked(BEA)), giving("g2", asked(BEA, "other")), Revoked(bar))
    await books.write(CredentialAdded("aa", b"text", "op", NOON), EnvelopeSeen("key", "digest", NOON + HOUR), ended(books.grants["g2"]))
    again = await reopened(books)
    assert (again.cases, again.grants, again.revocations) == (books.cases, books.grants, books.revocations)
    assert [each.id for each in again.owed_ends()] == ["g2"]
    assert again.barred(BEA, INCIDENTS) == bar
    assert list(again.credentials) == ["aa"]
    assert again.seen("key", "digest", NOON)
    assert again.next_due() == books.next_due() == NOON + DAY


async def test_grants_are_found_by_place_holder_and_node(books: Books) -> None:
    await books.write(giving("g1"), giving("g2", asked(BEA)), giving("g3", asked(BEA, "other")))
    assert books.grant_at("subscribe", Place(BROKER, INCIDENTS, BEA)) is books.grants["g2"]
    assert books.grant_at("retrieve", Place(BROKER, INCIDENTS, BEA)) is None
    assert [each.id for each in books.held(jid=BEA)] == ["g2", "g3"]
    assert [each.id for each in books.held(broker=BROKER, node=INCIDENTS)] == ["g1", "g2"]
    assert [each.id for each in books.held(jid=BEA, node="other")] == ["g3"]
    assert len(books.held()) == len(books.held(broker=BROKER)) == 3
    assert not books.held(broker="elsewhere.example")


async def test_an_ended_grant_is_owed_to_the_broker_until_it_was_told(books: Books) -> None:
    await books.write(giving("g1"))
    await books.write(ended(books.grants["g1"]))
    assert not books.held()
    assert not books.due(NOON + 90 * DAY)
    assert [each.why for each in books.owed_ends()] == [OVER]
    await books.write(EndCarriedOut(("g1",), NOON))
    assert not books.grants
    assert not books.owed_ends()


async def test_grants_and_cases_are_due_at_their_time_and_stay_until_something_is_written(books: Books) -> None:
    await books.write(
        giving("late", ends=3 * HOUR), giving("soon", asked(BEA), ends=HOUR), opening("c1", asked(BEA, "other"), wait=2 * HOUR)
    )
    assert books.next_due() == NOON + HOUR
    assert not books.due(NOON)
    assert [each.id for each in books.due(NOON + 4 * HOUR)] == ["soon", "late"] == [each.id for each in books.due(NOON + 4 * HOUR)]
    assert [each.id for each in books.due_cases(NOON + 4 * HOUR)] == ["c1"]
    renewed = replace(books.grants["soon"], ends=NOON + 5 * HOUR)
    await books.write(Decided(decided("d2", Outcome.GRANTED, asked(BEA)), gives=renewed))
    assert [each.id for each in books.due(NOON + 4 * HOUR)] == ["late"]
    assert books.next_due() == NOON + 2 * HOUR


async def test_a_new_grant_ends_the_old_one_at_its_place_and_its_end_is_never_carried_out(books: Books) -> None:
    """The broker would end the new subscription, for it knows but one."""
    await books.write(giving("g1"))
    await books.write(giving("g2"))
    assert [each.id for each in books.held()] == ["g2"]
    assert not books.owed_ends()
    old = await books.store.grant("g1")
    assert old is not None
    assert old.why == SUPERSEDED
    assert not (await reopened(books)).owed_ends()


async def test_an_end_that_is_owed_is_forgotten_when_the_same_is_granted_anew(books: Books) -> None:
    await books.write(giving("g1"))
    await books.write(ended(books.grants["g1"]))
    await books.write(giving("g2"))
    assert not books.owed_ends()
    assert list(books.grants) == ["g2"] == list((await reopened(books)).grants)


async def test_who_asks_anew_cancels_what_waited(books: Books) -> None:
    await books.write(opening("c1", asked(subid="1")))
    await books.write(opening("c2", asked(subid="2")))
    assert list(books.cases) == ["c2"]
    old = await books.store.case("c1")
    assert old is not None
    assert (old.state, old.why) == (CaseState.CANCELLED, "it was asked for anew")


async def test_what_the_desk_signed_is_for_exactly_this_request(books: Books) -> None:
    await books.write(opening("c1"))
    case = replace(books.cases["c1"].moved(CaseChange.APPROVE, at=NOON), credential=b"signed")
    await books.write(CaseMoved(case, CaseChange.APPROVE, NOON))
    assert books.approvals_for(replace(asked(subid="9"), id="another")) == (b"signed",)
    assert books.approvals_for(asked(BEA)) == ()
    assert books.approvals_for(asked(operation="publish")) == ()
    assert books.approvals_for(replace(asked(), known={**asked().known, "access_model": "open"})) == ()
    assert books.approvals_for(replace(asked(), validity=60)) == ()
    assert books.due_cases(NOON + DAY) == [case]


async def test_a_case_is_closed_once(books: Books) -> None:
    await books.write(opening("c1"))
    case = books.cases["c1"]
    await books.write(moved(case, CaseChange.DENY))
    with pytest.raises(CaseClosed):
        await books.write(moved(case, CaseChange.APPROVE))
    with pytest.raises(CaseClosed):
        await books.write(CaseMoved(replace(case, approvals=(approval(),)), "approval", NOON))


async def test_of_an_approval_and_a_denial_that_cross_the_second_is_told() -> None:
    store = Slow()
    books = await Books.opened(store, now=NOON)
    store.gate.set()
    await books.write(opening("c1"))
    store.gate.clear()
    case = books.cases["c1"]
    acts = [asyncio.create_task(books.write(moved(case, each))) for each in (CaseChange.APPROVE, CaseChange.DENY)]
    await asyncio.sleep(0)
    store.gate.set()
    first, second = await asyncio.gather(*acts, return_exceptions=True)
    assert first is None
    assert isinstance(second, CaseClosed)
    assert books.cases["c1"].state is CaseState.APPROVED


async def test_of_two_approvals_that_cross_none_is_lost(books: Books) -> None:
    await books.write(opening("c1"))
    case = books.cases["c1"]
    await books.write(CaseMoved(replace(case, approvals=(approval("a"),)), "approval", NOON))
    with pytest.raises(Crossed):
        await books.write(CaseMoved(replace(case, approvals=(approval("b"),)), "approval", NOON))
    assert [each.person for each in books.cases["c1"].approvals] == ["a"]


async def test_a_grant_ends_once(books: Books) -> None:
    await books.write(giving("g1"))
    grant = books.grants["g1"]
    await books.write(ended(grant))
    with pytest.raises(Crossed):
        await books.write(ended(grant))
    with pytest.raises(Crossed):
        await books.write(Decided(decided("d2", Outcome.GRANTED, asked()), gives=grant))


async def test_where_the_store_fails_nothing_has_changed() -> None:
    store = Slow(broken=True)
    store.gate.set()
    books = await Books.opened(store, now=NOON)
    heard: list[Change] = []
    books.heard.append(heard.append)
    with pytest.raises(StoreUnavailable):
        await books.write(opening("c1"))
    assert (books.cases, heard) == ({}, [])
    store.broken = False
    await books.write(opening("c1"))
    assert list(books.cases) == ["c1"]
    assert heard == [opening("c1")]


async def test_whoever_stops_waiting_does_not_undo_what_is_written() -> None:
    store = Slow()
    books = await Books.opened(store, now=NOON)
    writing = asyncio.create_task(books.write(opening("c1")))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    store.gate.set()
    await books.write(opening("c2", asked(BEA)))
    assert set(books.cases) == {"c1", "c2"}


async def test_what_stands_at_different_places_is_written_at_the_same_time() -> None:
    """Else a service that waits for its disk would decide one question after the other."""
    store = Slow()
    books = await Books.opened(store, now=NOON)
    writes = [asyncio.create_task(books.write(giving(f"g{n}", asked(f"u{n}@a.example")))) for n in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(books._in_hand) == 100
    store.gate.set()
    await asyncio.gather(*writes)
    assert len(books.held()) == 50
    assert not books._in_hand


async def test_a_bar_stands_until_it_is_lifted(books: Books) -> None:
    bar = Revocation("r1", NOON, RevocationKind.HOLDER, f"{ANN} {INCIDENTS}", "op")
    await books.write(Revoked(bar))
    assert books.barred(ANN, INCIDENTS) == bar
    assert books.barred(ANN, "other") is None
    await books.write(Revoked(replace(bar, lifted=NOON)))
    assert books.barred(ANN, INCIDENTS) is None
    assert list(books.revocations) == ["r1"]


async def test_credentials_come_and_go(books: Books) -> None:
    await books.write(CredentialAdded("aa", b"text", "op", NOON))
    assert (books.credentials["aa"].raw, books.credentials["aa"].by) == (b"text", "op")
    await books.write(CredentialWithdrawn("aa", "op", NOON))
    assert not books.credentials


async def test_an_envelope_is_remembered_until_it_expires(books: Books) -> None:
    await books.write(EnvelopeSeen("key", "digest", NOON + HOUR))
    assert books.seen("key", "digest", NOON)
    assert not books.seen("key", "other", NOON)
    assert not books.seen("key", "digest", NOON + HOUR)
    assert not books._seen


async def test_ten_thousand_grants_and_cases_are_found_without_looking_at_each(books: Books) -> None:
    await books.write(*(giving(f"g{n}", asked(f"u{n}@a.example"), ends=HOUR + timedelta(seconds=n)) for n in range(10_000)))
    await books.write(*(opening(f"c{n}", asked(f"u{n}@a.example", "other")) for n in range(10_000)))
    for n in range(10_000):  # a look at each of all would take minutes
        assert books.grant_at("subscribe", Place(BROKER, INCIDENTS, f"u{n}@a.example")) is not None
        assert books.case_at(Place(BROKER, "other", f"u{n}@a.example")) is not None
        assert len(books.held(jid=f"u{n}@a.example")) == 1
        assert books.next_due() == NOON + HOUR
