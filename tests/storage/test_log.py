"""The log that every store keeps: each test runs in memory and in SQLite."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clearinghouse.ledger.audit import verify
from clearinghouse.ledger.entry import Mask, Opening
from clearinghouse.ledger.merkle import EMPTY_ROOT, Frontier, inclusion_proof
from clearinghouse.runtime.records.logbook import write_export
from clearinghouse.storage.changes import Decided, Revoked
from clearinghouse.storage.edge import TILE
from clearinghouse.storage.entries import Scribe, commitment_of
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Event, KeptEntry, Store
from tests.storage.conftest import Decisions
from tests.storage.lasting import every_kind, revocation
from tests.unit.ledger.logs import LOG, checkpoint
from tests.world import NOON


def told(kept: KeptEntry) -> dict[str, Any]:
    """Return the record of an entry, which must be what the entry committed to."""
    assert kept.salt is not None
    assert kept.record is not None
    assert Opening(kept.salt, kept.record).opens(kept.entry)
    record: dict[str, Any] = json.loads(kept.record)
    return record


async def whole(store: Store) -> list[KeptEntry]:
    """Return all entries, which must be those of the tree."""
    found = list(await store.entries(0, store.log_size - 1))
    assert [each.entry.number for each in found] == list(range(store.log_size))
    assert list(await store.leaf_hashes(store.log_size)) == [each.leaf_hash for each in found]
    assert Frontier().extended(each.leaf_hash for each in found).root() == store.log_root
    return found


async def test_a_new_log_is_the_empty_tree(store: Store) -> None:
    assert (store.log_size, store.log_root, await store.entries(0, 9), await store.checkpoints()) == (0, EMPTY_ROOT, [], [])


async def test_every_change_but_bookkeeping_is_an_entry(store: Store, decide: Decisions) -> None:
    made = every_kind(decide)
    await store.write(*made)
    kinds = [each.entry.kind.value for each in await whole(store)]
    assert kinds == [
        "decision",
        "decision",
        "approval",
        "case",
        "grant-ended",
        "revocation",
        "credential-added",
        "credential-withdrawn",
        "policy-changed",
    ]


async def test_an_entry_is_found_by_what_it_is_about(store: Store, decide: Decisions) -> None:
    await store.write(*every_kind(decide))
    first, *_, last = await whole(store)
    assert await store.entry_of(first.entry.ref) == first  # of the case that has the decision's id, the decision
    assert await store.entry_of("2" * 64) == last
    assert await store.entry_of(first.entry.ref[:8]) is None


async def test_a_decision_is_told_with_its_latency_and_a_commitment_to_its_facts(store: Store, decide: Decisions) -> None:
    made = decide.granted()
    await store.write(Decided(made, took=timedelta(microseconds=77)))
    record = told((await whole(store))[0])
    assert (record["id"], record["latency_us"], record["outcome"]) == (made.id, 77, "granted")
    [found] = await store.decisions(1)
    assert record["facts"] == commitment_of(found)
    assert record["facts"] != commitment_of(replace(found, values=("deny", "allow")))
    assert record["facts"] != commitment_of(replace(found, salt=(await whole(store))[0].salt))  # of its own


def test_a_decision_whose_facts_are_longer_than_an_entry_is_told_all_the_same(decide: Decisions) -> None:
    made = decide.granted()
    made = replace(made, request=replace(made.request, requesters=tuple(f"{each:016000}" for each in range(64))))
    scribe = Scribe(lambda: bytes(32))
    record = json.loads(scribe.decided(Decided(made), fact := scribe.fact(Decided(made))).record)
    assert (record["id"], record["requesters"], record["attributes"], record["facts"]) == (made.id, [], {}, fact.commitment)


async def test_records_tell_no_more_than_the_mask_lets_them(decide: Decisions) -> None:
    store = MemoryStore(Scribe(lambda: bytes(32), Mask(frozenset({"jid", "subject"}))))
    await store.write(*every_kind(decide))
    await store.note(
        Event(NOON, "unruled", {"subscriber": "ann@a.example/x", "by": "xmpp:bob@a.example", "parts": [{"jid": "eve@c.example"}]})
    )
    records = [told(each) for each in await whole(store)]
    assert not any(name in json.dumps(records) for name in ("ann@", "bea@", "bob@", "eve@"))
    assert records[-1]["detail"]["subscriber"] == "***@a.example/***"
    [kept] = await store.events(1)
    assert kept.detail["subscriber"] == "ann@a.example/x"


async def test_an_event_that_is_too_long_for_a_record_is_told_by_its_digest(store: Store) -> None:
    event = Event(NOON, "policy-changed", {"after": "2" * 64, "files": ["x" * 99] * 9_999})
    await store.note(event)
    record = told((await whole(store))[0])
    assert (record["detail"]["bytes"] > 999_999, len(record["detail"]["sha256"])) == (True, 64)
    assert list(await store.events(1)) == [event]


async def test_an_act_of_a_person_is_administration(store: Store) -> None:
    await store.note(Event(NOON, "topic-made", {"by": "xmpp:ann@a.example"}))
    await store.note(Event(NOON, "started", {"version": "1", "rate": 0.5}))
    assert [each.entry.kind.value for each in await whole(store)] == ["administration", "service"]


async def test_a_log_of_many_tiles_is_one_tree(store: Store) -> None:
    for number in range(0, 2 * TILE + 90, 45):
        await store.write(*(Revoked(revocation(each)) for each in range(number, number + 45)))
        if number % 180 == 0:
            await whole(store)
    assert len(await whole(store)) == store.log_size >= 2 * TILE + 90
    assert await store.leaf_hashes(TILE + 1) == [each.leaf_hash for each in await store.entries(0, TILE)]


async def test_every_entry_is_proven_in_every_earlier_log(store: Store) -> None:
    await store.write(*(Revoked(revocation(each)) for each in range(3 * TILE + 3)))
    hashes = [each.leaf_hash for each in await whole(store)]
    chance = random.Random(8)  # noqa: S311 - entries to look at, no secrets
    sizes = [1, 2, TILE - 1, TILE, TILE + 1, 2 * TILE, 2 * TILE + 3, 3 * TILE, 3 * TILE + 3]
    for size in sizes:
        for number in {0, size - 1, *(chance.randrange(size) for _ in range(8))}:
            assert await store.inclusion(number, size) == inclusion_proof(hashes, number, size)
    for number, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="has no leaf"):
            await store.inclusion(number, size)


async def test_checkpoints_come_back_oldest_first(store: Store) -> None:
    await store.keep_checkpoint(b"one", 3, NOON)
    await store.keep_checkpoint(b"two", 5, NOON)
    assert await store.checkpoints() == [b"one", b"two"]


async def test_an_export_of_the_log_is_verified_by_anybody(store: Store, decide: Decisions) -> None:
    await store.write(*every_kind(decide))
    await store.write(*(Revoked(revocation(each)) for each in range(2 * TILE)))
    rows = [(each.entry, Opening(each.salt or b"", each.record or b"")) for each in await whole(store)]
    await store.keep_checkpoint(checkpoint(rows, len(rows)), len(rows), NOON)
    lines: list[bytes] = []
    await write_export(store, lines.append)
    report = verify(lines, log_key=LOG.principal)
    assert (report.problems, report.size) == ((), len(rows))
