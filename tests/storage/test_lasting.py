"""What lasts beyond a decision: each test runs in memory and in SQLite."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from clearinghouse.clearing.cases import CaseChange, RevocationKind
from clearinghouse.clearing.envelope import Replayed
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.changes import (
    CaseMoved,
    CredentialAdded,
    CredentialWithdrawn,
    Decided,
    EndCarriedOut,
    EnvelopeSeen,
    GrantEnded,
    Revoked,
    Settled,
)
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.store import AT_RUN_TIME, Effect, Event, Standing, Store
from tests.storage.conftest import Decisions
from tests.storage.lasting import APPROVAL, DAY, case_of, ended, every_kind, grant_of, revocation
from tests.world import NOON


async def test_nothing_stands_in_a_new_store(store: Store) -> None:
    assert await store.standing() == Standing([], [], [], [], [])


async def test_a_case_comes_back_with_all_that_it_has(store: Store, decide: Decisions) -> None:
    pending = decide.pending()
    case = case_of(pending)
    await store.write(Decided(pending, opens=case))
    assert (await store.standing()).cases == [case]
    approved = replace(case, approvals=(APPROVAL, replace(APPROVAL, person="eve", envelope=b"")), credential=b"desk\xff")
    await store.write(CaseMoved(approved, "approval", APPROVAL.at))
    assert (await store.standing()).cases == [approved]
    assert await store.case(case.id[:6]) == approved


async def test_a_case_stands_until_it_is_over(store: Store, decide: Decisions) -> None:
    first, second = (case_of(decide.pending()) for _ in range(2))
    for each in (first, second):
        await store.write(CaseMoved(each, "opened", NOON))
    approved = first.moved(CaseChange.APPROVE, at=NOON, by="bob")
    denied = second.moved(CaseChange.DENY, at=NOON, by="bob", why='"no"\x01')
    await store.write(CaseMoved(approved, CaseChange.APPROVE, NOON), CaseMoved(denied, CaseChange.DENY, NOON))
    assert (await store.standing()).cases == [approved]
    assert list(await store.cases(9)) == [approved, denied]
    assert list(await store.cases(1)) == [denied]
    assert await store.case("") is None
    assert await store.case("%") is None


async def test_a_text_with_the_character_0_is_kept_or_a_sign_stands_for_it(store: Store, place: object, decide: Decisions) -> None:
    case = replace(case_of(decide.pending()), why="a\0b", by="\0")
    await store.write(CaseMoved(case, "opened", NOON))
    shown = replace(case, why="a\u2400b", by="\u2400")
    assert await store.cases(9) == [shown if isinstance(place, Address) else case]


async def test_a_grant_stands_until_the_broker_knows_of_its_end(store: Store, decide: Decisions) -> None:
    made = [decide.granted() for _ in range(3)]
    first, second, third = (grant_of(each, case="7" * 32) for each in made)
    for decision, grant in zip(made, (first, second, third), strict=True):
        await store.write(Decided(decision, gives=grant))
    over = [ended(each, NOON + DAY) for each in (first, second)]
    await store.write(*map(GrantEnded, over))
    await store.write(EndCarriedOut((first.id,), NOON + DAY))
    assert (await store.standing()).grants == [over[1], third]
    assert list(await store.grants(9, ended=True)) == [*over, third]
    assert list(await store.grants(9, ended=False)) == [third]
    assert list(await store.grants(2, ended=True)) == [over[1], third]
    assert await store.grant(first.id) == over[0]


async def test_a_renewed_grant_keeps_its_place_and_its_id(store: Store, decide: Decisions) -> None:
    first, second = (grant_of(decide.granted()) for _ in range(2))
    await store.write(Decided(decide.granted(), gives=first), Decided(decide.granted(), gives=second))
    renewed = replace(first, ends=first.ends + DAY)
    await store.write(Decided(decide.granted(), gives=renewed))
    assert (await store.standing()).grants == [renewed, second]


async def test_revocations_stand_for_ever_lifted_or_not(store: Store) -> None:
    made = [revocation(1), revocation(2, RevocationKind.HOLDER, "eve@c.example incidents")]
    for each in made:
        await store.write(Revoked(each))
    lifted = replace(made[1], lifted=NOON + DAY)
    await store.write(Revoked(lifted))
    assert (await store.standing()).revocations == [made[0], lifted]


async def test_a_credential_stands_until_it_is_withdrawn(store: Store) -> None:
    await store.write(CredentialAdded("c1", b"one\xff", "ann", NOON))
    await store.write(CredentialAdded("c2", b"two", "bob", NOON))
    await store.write(CredentialWithdrawn("c1", "ann", NOON))
    assert (await store.standing()).credentials == [KeptCredential("c2", b"two", AT_RUN_TIME, "bob")]


async def test_a_credential_that_comes_again_counts_again(store: Store) -> None:
    await store.write(CredentialAdded("c1", b"one", "ann", NOON))
    await store.write(CredentialWithdrawn("c1", "ann", NOON))
    await store.write(CredentialAdded("c1", b"one", "bob", NOON))
    assert [each.by for each in (await store.standing()).credentials] == ["bob"]


async def test_an_envelope_is_taken_once(store: Store, decide: Decisions) -> None:
    seen = EnvelopeSeen("ed25519-hex:00", "ab" * 32, NOON + timedelta(minutes=5))
    await store.write(Revoked(revocation(1)), seen)
    with pytest.raises(Replayed):
        await store.write(Revoked(revocation(2)), seen)
    with pytest.raises(Replayed):
        await store.write(Decided(decide.granted()), seen)
    standing = await store.standing()
    assert standing.seen == [seen]
    assert [each.id for each in standing.revocations] == [revocation(1).id]
    assert (await store.decisions(9), store.log_size) == ([], 1)


async def test_an_envelope_is_forgotten_once_it_has_expired(store: Store) -> None:
    await store.write(EnvelopeSeen("k", "ab" * 32, NOON + timedelta(minutes=5)))
    await store.note(Event(NOON + timedelta(minutes=6), "started", {}))
    assert (await store.standing()).seen == []


async def test_what_is_written_together_is_kept_together_or_not_at_all(store: Store, decide: Decisions) -> None:
    first = decide.granted()
    await store.record(first)
    size, root = store.log_size, store.log_root
    pending = decide.pending()
    with pytest.raises(StoreUnavailable):
        await store.write(Decided(pending, opens=case_of(pending)), Revoked(revocation(1)), Decided(first))
    assert await store.standing() == Standing([], [], [], [], [])
    assert [each.decision.id for each in await store.decisions(9)] == [first.id]
    assert (store.log_size, store.log_root) == (size, root)


async def test_a_decision_and_its_effect_may_be_written_together(store: Store, decide: Decisions) -> None:
    made = decide.granted()
    await store.write(Decided(made), Settled(made.id, Effect.DONE, NOON))
    assert await store.owed() == []


async def test_what_replay_needs_comes_back(store: Store, decide: Decisions) -> None:
    made = decide.granted()
    made = replace(made, request=replace(made.request, approvals=(b"Authorizer: \xff", b"")), until=made.at + DAY)
    await store.write(Decided(made, took=timedelta(microseconds=1234)))
    [found] = await store.decisions(1)
    assert found.decision == replace(made, proof=None, missing=())
    assert (found.took, found.erased) == (timedelta(microseconds=1234), None)


async def test_every_kind_of_change_is_written(store: Store, decide: Decisions) -> None:
    for each in every_kind(decide):
        await store.write(each)
    standing = await store.standing()
    assert [len(each) for each in (standing.cases, standing.grants, standing.revocations, standing.credentials)] == [1, 0, 1, 0]
    assert len(standing.seen) == 1
    assert store.highest_time == NOON + DAY
