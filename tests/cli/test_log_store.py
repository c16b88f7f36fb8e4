"""The log of a real store, written by what the service writes: exported, verified, proven, erased, verified again."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from clearinghouse.clearing.cases import Revocation, RevocationKind
from clearinghouse.ledger import audit
from clearinghouse.ledger.checkpoint import Checkpoint, receipt_bytes, seal_checkpoint, verify_receipt
from clearinghouse.ledger.entry import Kind
from clearinghouse.runtime.logbook import latest, receipt_of, write_export
from clearinghouse.storage.changes import CredentialAdded, CredentialWithdrawn, Decided, Noted, Revoked
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Event
from tests.unit.ledger.logs import LOG
from tests.world import NOON, Community

ANN = "ann@a.example"
WRITTEN = 9


async def sign(store: MemoryStore, *, days: int = 0) -> bytes:
    """Do what the keeper of the log does."""
    checkpoint = Checkpoint("csirt-net", store.log_size, store.log_root, NOON + timedelta(days=days))
    sealed = seal_checkpoint(checkpoint, LOG)
    await store.keep_checkpoint(sealed, checkpoint.size, checkpoint.at)
    return sealed


@pytest.fixture
async def store() -> MemoryStore:
    sim, store = Community(), MemoryStore()
    sim.policy("hub", 'topic == "incidents" && domain == "a.example"')
    sim.delegate("hub", to=ANN)
    await store.note(Event(NOON, "started", {}))
    await store.note(Event(NOON, "policy-changed", {"before": "", "after": sim.ready().snapshot.version}))
    for jid in (ANN, "eve@c.example", "bob@a.example"):
        await store.write(Decided(sim.asks(jid), took=timedelta(milliseconds=2)))
    await sign(store)
    await store.write(
        CredentialAdded("ab" * 32, b"text", "unix:root", NOON), Revoked(Revocation("1", NOON, RevocationKind.HOLDER, ANN, "hub"))
    )
    await store.write(CredentialWithdrawn("ab" * 32, "unix:root", NOON), Noted(Event(NOON, "stopped", {})))
    await sign(store, days=1)
    return store


async def verified(store: MemoryStore, *earlier: bytes) -> audit.Report:
    lines: list[bytes] = []
    await write_export(store, lines.append)
    return audit.verify(lines, log_key=LOG.principal, earlier=earlier)


async def test_everything_that_is_written_is_in_the_log_and_holds(store: MemoryStore) -> None:
    report = await verified(store)
    assert report.ok
    assert (report.origin, report.size, report.checkpoints) == ("csirt-net", WRITTEN, 2)
    kinds = [each.entry.kind for each in await latest(store, 100)]
    assert kinds == [
        Kind.SERVICE,
        Kind.POLICY_CHANGED,
        Kind.DECISION,
        Kind.DECISION,
        Kind.DECISION,
        Kind.CREDENTIAL_ADDED,
        Kind.REVOCATION,
        Kind.CREDENTIAL_WITHDRAWN,
        Kind.SERVICE,
    ]


async def test_a_decision_is_proven_by_the_beginning_of_its_id(store: MemoryStore) -> None:
    (recorded, *_) = await store.decisions(3)
    receipt = await receipt_of(store, recorded.decision.id)
    entry = verify_receipt(receipt_bytes(receipt), LOG.principal)
    assert (entry.kind, entry.ref, entry.number) == (Kind.DECISION, recorded.decision.id, 2)
    assert receipt.opening is not None
    assert json.loads(receipt.opening.record)["outcome"] == "granted"


async def test_what_was_erased_no_longer_tells_and_still_holds(store: MemoryStore) -> None:
    before = await store.checkpoints()
    await store.erase(NOON + timedelta(days=1))
    await sign(store, days=2)
    report = await verified(store, *before)
    assert report.ok
    assert report.erased >= WRITTEN - 2
    lines: list[bytes] = []
    await write_export(store, lines.append)
    assert b"eve@" not in b"".join(lines)
    assert (await latest(store, 1))[0].entry.kind is Kind.ERASED
