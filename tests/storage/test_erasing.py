"""What the retention rule erases, and what it leaves: most tests run in memory and in SQLite."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from clearinghouse.clearing.cases import CaseChange, RevocationKind
from clearinghouse.clearing.decision import Decision
from clearinghouse.ledger.merkle import Frontier
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import CaseMoved, Decided, EndCarriedOut, GrantEnded, Revoked, Settled
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.sql_store import open_store
from clearinghouse.storage.store import Effect, Event, Store
from tests.storage.conftest import Decisions
from tests.storage.lasting import DAY, case_of, ended, grant_of, revocation
from tests.storage.test_holdings import GOOD, policies
from tests.world import NOON

LATER = NOON + 400 * DAY


async def written(store: Store, decision: Decision, **rest: object) -> Decision:
    """Write a decision whose effect is carried out."""
    await store.write(Decided(decision, **rest), Settled(decision.id, Effect.DONE, decision.at))  # type: ignore[arg-type] # handed on
    return decision


async def test_old_facts_and_records_go_and_the_tree_stays(store: Store, decide: Decisions) -> None:
    old, new = await written(store, decide.granted()), await written(store, decide.granted(at=LATER))
    before = await store.entries(0, 9)
    assert await store.erase(NOON + DAY) == 1
    first, second, last = await store.entries(0, 9)
    assert (first.salt, first.record, first.entry, first.leaf_hash) == (None, None, before[0].entry, before[0].leaf_hash)
    assert second == before[1]
    assert (last.entry.kind.value, last.entry.at) == ("erased", LATER)
    told = json.loads(last.record or b"")["detail"]
    assert told == {"before": "2026-11-21T12:00:00.000000Z", "entries": 1, "decisions": 1, "snapshots": 0}
    assert Frontier().extended(each.leaf_hash for each in (first, second, last)).root() == store.log_root
    gone, kept = await store.decisions(9)
    assert (gone.decision.id, kept.decision.id) == (old.id, new.id)
    assert (gone.erased, gone.decision.outcome, gone.decision.reason.code) == (LATER, old.outcome, "granted")
    assert kept.erased is None


async def test_nothing_of_who_asked_remains_of_an_erased_decision(store: Store, decide: Decisions) -> None:
    made = await written(store, decide.granted())
    await store.erase(LATER)
    [found] = await store.decisions(9)
    assert "ann" not in repr(found)
    assert (found.attributes, found.values, found.proof, found.decision.request.place) == ({}, (), None, None)
    assert made.request.place is not None
    assert await store.ruled(made.request.place) is None


async def test_what_is_erased_is_in_no_file_any_more(path: Path, decide: Decisions) -> None:
    secret = b"a-name-that-nobody-may-know"
    async with open_store(path) as store:
        made = decide.granted()
        request = replace(made.request, observed={**made.request.observed, "jid": secret.decode()})
        made = replace(made, request=request, proof=None)
        case = case_of(made)
        await store.write(Decided(made, opens=case, gives=ended(grant_of(made), made.at)), Settled(made.id, Effect.DONE, NOON))
        await store.write(CaseMoved(case.moved(CaseChange.DENY, at=made.at, why=secret.decode()), "deny", made.at))
        await store.write(EndCarriedOut((made.id,), NOON))
        for number in range(300):
            await store.note(Event(NOON, "started", {"about": f"{secret.decode()} {number}"}))
        assert any(secret in each.read_bytes() for each in path.parent.iterdir())
        assert await store.erase(LATER) == 302
        assert [each.name for each in path.parent.iterdir() if secret in each.read_bytes()] == []


async def test_what_stands_keeps_its_facts(store: Store, decide: Decisions) -> None:
    pending, granted, approved, owed = decide.pending(), decide.granted(), decide.granted(), decide.granted()
    case, grant = case_of(pending), grant_of(granted, case=approved.id)
    await written(store, pending, opens=case)
    await written(store, granted, gives=grant)
    await written(store, approved)
    await store.record(owed)
    assert await store.erase(LATER) == 4  # entries
    assert [each.erased for each in await store.decisions(9)] == [None] * 4
    standing = await store.standing()
    assert (standing.cases, standing.grants) == ([case], [grant])
    over = ended(grant, NOON + DAY)
    await store.write(GrantEnded(over), CaseMoved(case.moved(CaseChange.DENY, at=NOON), "deny", NOON))
    await store.erase(LATER)
    assert [each.erased is None for each in await store.decisions(9)] == [False, True, True, True]
    assert (await store.standing()).grants == [over]  # the broker has still to be told
    await store.write(EndCarriedOut((grant.id,), NOON + DAY))
    await store.erase(LATER)
    assert [each.erased is None for each in await store.decisions(9)] == [False, False, False, True]
    assert (list(await store.cases(9)), list(await store.grants(9, ended=True))) == ([], [])


async def test_revocations_stay_and_lifted_bars_go(store: Store) -> None:
    stays = revocation(1)
    lifted = replace(revocation(2, RevocationKind.HOLDER, "eve@c.example incidents"), lifted=NOON)
    await store.write(Revoked(stays), Revoked(lifted))
    await store.erase(LATER)
    assert (await store.standing()).revocations == [stays]


async def test_a_snapshot_stays_while_a_decision_names_it_and_the_last_one_always(store: Store, decide: Decisions) -> None:
    used, unused, last = (Archive.of(Loader().load([policies(GOOD, comment)], Holdings())) for comment in (GOOD, b"", GOOD))
    unused = replace(unused, version="1" * 64)
    last = replace(last, version="2" * 64)
    for minutes, each in enumerate((used, unused, last)):
        await store.archive(each, at=NOON + timedelta(minutes=minutes))
    await store.record(replace(decide.granted(), version=used.version))  # its effect is owed
    await store.erase(LATER)
    assert [await store.archived(each.version) is not None for each in (used, unused, last)] == [True, False, True]
    await store.archive(unused, at=NOON + timedelta(minutes=9))
    await store.archive(last, at=NOON + timedelta(minutes=10))
    await store.archive(unused, at=NOON + timedelta(minutes=11))  # it counts again
    await store.erase(LATER)
    assert [await store.archived(each.version) is not None for each in (unused, last)] == [True, False]


async def test_where_nothing_is_old_nothing_is_told(store: Store, decide: Decisions) -> None:
    await written(store, decide.granted())
    assert (await store.erase(NOON - DAY), store.log_size) == (0, 1)
    await store.erase(LATER)
    size = store.log_size
    assert (await store.erase(NOON), store.log_size) == (0, size)


async def test_of_old_checkpoints_the_last_of_each_hour_stays(store: Store) -> None:
    for minutes in (0, 10, 59, 60, 61, 24 * 60 + 55, 25 * 60, 25 * 60 + 1):
        await store.keep_checkpoint(str(minutes).encode(), 1, NOON + timedelta(minutes=minutes))
    assert await store.erase(NOON - DAY) == 0
    assert await store.checkpoints() == [b"59", b"61", b"1495", b"1500", b"1501"]
