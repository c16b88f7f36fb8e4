"""The store in dictionaries is what tests of everything else rest on: whatever is written, it says what SQLite and PostgreSQL say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.cases import Case, CaseState, Grant
from clearinghouse.clearing.envelope import Replayed
from clearinghouse.clearing.request import Place
from clearinghouse.demo.postgres import Cluster
from clearinghouse.errors import StoreUnavailable
from clearinghouse.federation.membership.registry import AgentStatus, Draft, Kept, KeptMember, Source
from clearinghouse.storage.changes import (
    CaseMoved,
    Change,
    CredentialAdded,
    CredentialWithdrawn,
    Decided,
    DraftClosed,
    Drafted,
    EndCarriedOut,
    EnvelopeSeen,
    GrantEnded,
    Journaled,
    MemberSet,
    Noted,
    Published,
    Repeated,
    Reported,
    Revoked,
    Settled,
)
from clearinghouse.storage.entries import Scribe
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.postgres.opening import open_postgres
from clearinghouse.storage.sql_store import SqlStore, open_store
from clearinghouse.storage.store import Effect, Event, Store
from tests.storage.conftest import Decisions, emptied
from tests.storage.lasting import APPROVAL, DAY, case_of, ended, grant_of, revocation
from tests.world import BROKER, INCIDENTS, NOON

DECISIONS = Decisions()
PENDING, GRANTED = DECISIONS.pending(), DECISIONS.granted()
IDS = st.integers(0, 3).map(lambda number: f"{number:x}" * 4)
UNUSED = st.uuids().map(lambda each: each.hex)
"""Ids of drafts are random, so that none comes twice."""
TIMES = st.integers(-2, 500).map(lambda days: NOON + days * DAY)


@dataclass(frozen=True)
class Erase:
    before: datetime


def case(identity: str, state: CaseState, at: datetime) -> Case:
    closed = None if state is CaseState.PENDING else at
    return replace(case_of(PENDING), id=identity, state=state, closed=closed, approvals=(APPROVAL,) * (state is not CaseState.EXPIRED))


def grant(identity: str, at: datetime, in_case: str) -> Grant:
    return replace(grant_of(GRANTED, case=in_case), id=identity, since=at)


def decided(identity: str, at: datetime, opens: bool, gives: bool, in_case: str) -> Decided:  # noqa: FBT001 - drawn
    made = replace(GRANTED if gives else PENDING, id=identity, at=at)
    opened, given = case(identity, CaseState.PENDING, at), grant(identity, at, in_case)
    return Decided(made, timedelta(microseconds=5), opened if opens else None, given if gives else None)


def repeated(identity: str, decision: str, at: datetime, count: int) -> Repeated:
    answers = tuple((f"{identity * 3}"[:10] + f"{number:02x}", at - timedelta(seconds=number)) for number in range(count))
    return Repeated(f"{identity * 3}"[:10], decision, at, answers)


CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(decided, IDS, TIMES, st.booleans(), st.booleans(), IDS),
    st.builds(lambda name, at: Journaled(decided(name, at, opens=False, gives=False, in_case="").recorded()), IDS, TIMES),
    st.builds(repeated, IDS, IDS, TIMES, st.integers(0, 3)),
    st.builds(Settled, IDS, st.sampled_from([Effect.DONE, Effect.DROPPED]), TIMES),
    st.builds(lambda name, state, at: CaseMoved(case(name, state, at), "moved", at), IDS, st.sampled_from(CaseState), TIMES),
    st.builds(lambda name, at, other: GrantEnded(ended(grant(name, at, other), at)), IDS, TIMES, IDS),
    st.builds(lambda names, at: EndCarriedOut(tuple(names), at), st.lists(IDS, unique=True), TIMES),
    st.builds(lambda number, lifted: Revoked(replace(revocation(number), lifted=lifted)), st.integers(0, 3), st.none() | TIMES),
    st.builds(lambda name, at: CredentialAdded(name, name.encode(), "ann", at), IDS, TIMES),
    st.builds(lambda name, at: CredentialWithdrawn(name, "ann", at), IDS, TIMES),
    st.builds(lambda at: Noted(Event(at, "started", {"a": 1})), TIMES),
    st.builds(lambda name, until: EnvelopeSeen(name, "ab" * 32, until), IDS, TIMES),
    st.builds(lambda name, at, gone: MemberSet(KeptMember(name, 7, b"\xff{}", at, "op", gone), "add"), IDS, TIMES, st.booleans()),
    st.builds(lambda name, domain, at: Drafted(Draft(name, domain, b"{}", Source.JOIN, "op", at, at, "why")), UNUSED, IDS, TIMES),
    st.builds(lambda name, at: DraftClosed(name, "op", "dropped", at), UNUSED, TIMES),
    st.builds(
        lambda names, gone, at, told: Published(at, {each: each.encode() for each in names}, tuple(gone), {"head": "ab"} if told else {}),
        st.lists(IDS, unique=True),
        st.lists(IDS, unique=True),
        TIMES,
        st.booleans(),
    ),
    st.builds(lambda name, at: Reported(AgentStatus(name, at, {"table": "7"})), IDS, TIMES),
)


def in_order(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return *changes* as one caller writes them: a decision before its effect, an end before the broker is told, one publication."""
    published = [each for each in changes if isinstance(each, Published)]
    changes = [each for each in changes if each not in published[1:]]
    return tuple(sorted(changes, key=lambda each: isinstance(each, Settled | EndCarriedOut) - isinstance(each, Decided | Journaled)))


ACTS = st.lists(st.one_of(st.lists(CHANGES, min_size=1, max_size=4).map(in_order), st.builds(Erase, TIMES)), max_size=12)


def salts() -> Callable[[], bytes]:
    numbers = count()
    return lambda: next(numbers).to_bytes(32)


async def done(store: Store, act: tuple[Change, ...] | Erase) -> object:
    """Return what came of an act: a number, nothing, or the kind of error."""
    try:
        if isinstance(act, Erase):
            return await store.erase(act.before)
        await store.write(*act)
    except (StoreUnavailable, Replayed) as error:
        return type(error)
    return None


async def seen(store: Store) -> list[object]:
    """Return all that a store says."""
    standing = await store.standing()
    place = Place(BROKER, INCIDENTS, "ann@a.example")
    return [
        *(standing.cases, standing.grants, standing.revocations, standing.credentials),
        sorted(standing.seen, key=lambda each: each.signer),
        [list(await found) for found in (store.cases(9), store.grants(9, ended=True), store.grants(2, ended=False))],
        [list(await found) for found in (store.decisions(9), store.owed(), store.events(99))],
        [await found for found in (store.case("0"), store.grant("1"), store.decision("2"), store.ruled(place))],
        [await store.decision(each) for each in ("0000000000", "000000000000", "000000000001", "111111111102")],
        _federal(await store.federation()),
        *(store.highest_time, store.log_size, store.log_root, list(await store.entries(0, 999))),
        *(await store.news(0), await store.news(2), await store.known(["0000", "1111"]), await store.document("2222")),
        sorted(await store.members_since(NOON + 99 * DAY), key=lambda each: each.domain),
    ]


def _federal(kept: Kept) -> list[object]:
    """Return what is kept of a federation, in an order of its own: nobody asks in which it came."""
    lists = (kept.members, kept.drafts, kept.agents)
    return [sorted(each, key=lambda one: one.domain) for each in lists] + [dict(kept.documents)]


Open = Callable[[Callable[[], bytes]], AbstractAsyncContextManager[SqlStore]]


async def compare(opened: Open, acts: Sequence[tuple[Change, ...] | Erase]) -> None:
    memory = MemoryStore(Scribe(salts()))
    async with opened(salts()) as sql:
        for act in acts:
            assert await done(sql, act) == await done(memory, act)
            sql.scribe, memory.scribe = Scribe(salts()), Scribe(salts())  # one that failed has drawn some
            assert await seen(sql) == await seen(memory)
    async with opened(salts()) as again:
        assert await seen(again) == await seen(memory)


@settings(max_examples=25, deadline=None)
@given(ACTS)
def test_both_stores_say_the_same_whatever_is_written(acts: list[tuple[Change, ...] | Erase]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "clearinghouse.db"
        asyncio.run(compare(lambda salt: open_store(path, salt=salt), acts))


@pytest.mark.servers
@settings(max_examples=6, deadline=None)
@given(acts=ACTS)
def test_postgresql_says_it_too(postgres: Cluster, laid_out: str, acts: list[tuple[Change, ...] | Erase]) -> None:
    address = emptied(postgres, laid_out)
    asyncio.run(compare(lambda salt: open_postgres(address, salt=salt), acts))
