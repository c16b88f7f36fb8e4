"""R18: a request names the one domain whose agent decides, lives for five minutes at most, and counts once, across restarts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.envelope import LONGEST_LIFE, EnvelopeNotYet, Replayed, StaleEnvelope, WrongAudience
from clearinghouse.errors import BadSignature, MalformedRequest, PeerError
from clearinghouse.storage.sql_store import open_store
from tests.targets import HOST, Target, paper
from tests.world import NOON


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    return await paper(tmp_path, 3, NOON).open()


async def test_r18_a_request_for_another_domain_or_the_community_is_refused(target: Target) -> None:
    for audience in ("other.example", "partner-net", "sub.target.example", "*"):
        with pytest.raises(WrongAudience):
            await target.ask(HOST, "TargetAdmin", audience=audience)
    assert target.live() == ()


async def test_r18_a_request_is_over_after_its_time_and_not_valid_before(target: Target) -> None:
    late, early = target.sealed(HOST, "TargetAdmin"), target.sealed(HOST, "TargetAdmin", now=NOON + timedelta(minutes=1))
    target.sleep(seconds=LONGEST_LIFE.total_seconds())
    with pytest.raises(StaleEnvelope):
        await target.requests.answer(late, via="ip:192.0.2.1")
    target.sleep(seconds=-LONGEST_LIFE.total_seconds())
    with pytest.raises(EnvelopeNotYet):
        await target.requests.answer(early, via="ip:192.0.2.1")


async def test_r18_it_counts_once_whatever_became_of_it(target: Target) -> None:
    for claims in (HOST, {**HOST, "domain": "other.example"}):
        raw = target.sealed(claims, "TargetAdmin", seconds=60)
        await target.requests.answer(raw, via="ip:192.0.2.1")
        with pytest.raises(Replayed):
            await target.requests.answer(raw, via="xmpp:partner.example")
    assert len(target.live()) == 1


async def test_r18_of_two_copies_at_once_one_counts(target: Target) -> None:
    raw = target.sealed(HOST, "TargetAdmin", seconds=60)
    found = await asyncio.gather(*(target.requests.answer(raw, via=f"ip:192.0.2.{last}") for last in range(5)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["Answer", *["Replayed"] * 4]
    assert len(await target.store.decisions(9)) == 1


@asynccontextmanager
async def lasting(place: Path, target: Target | None = None) -> AsyncIterator[Target]:
    """A target whose store is a file, as an agent's is."""
    async with open_store(place / "grants.db") as store:
        made = paper(place, 3, NOON) if target is None else target
        made.store = store
        yield await made.open()


async def test_r18_it_counts_once_across_restarts(tmp_path: Path) -> None:
    async with lasting(tmp_path) as target:
        raw = target.sealed(HOST, "TargetAdmin", seconds=60)
        granted = await target.requests.answer(raw, via="ip:192.0.2.1")
    async with lasting(tmp_path, target) as again:
        assert [each.id for each in again.live()] == [granted.id]
        with pytest.raises(Replayed):
            await again.requests.answer(raw, via="ip:192.0.2.1")
        again.sleep(seconds=60)
        await again.grants.review()
        assert again.live() == ()
    async with lasting(tmp_path, target) as last:
        assert last.grants.active() == ()


async def test_r18_decision_grant_and_entry_are_one_transaction(tmp_path: Path) -> None:
    async with lasting(tmp_path) as target:
        answer = await target.ask(HOST, "TargetAdmin", seconds=60)
        entry, grant = await target.store.entry_of(answer.id), await target.store.grant(answer.id)
        assert entry is not None
        assert grant is not None
        assert grant.id == answer.id
        assert grant.until == NOON + timedelta(seconds=60)


async def test_r18_the_signature_is_checked_before_anything_is_read(target: Target) -> None:
    """Alice's signature under what Mallory wrote, which is no request and has no credentials."""
    good = json.loads(target.sealed(HOST, "Alice"))
    forged = json.dumps(good | {"payload": base64.b64encode(b"{}").decode()}).encode()
    with pytest.raises(BadSignature):
        await target.requests.answer(forged, via="ip:192.0.2.1")


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "", "1e3", "9999999999"])
async def test_r18_a_period_that_is_none_is_refused(target: Target, seconds: str) -> None:
    with pytest.raises(MalformedRequest):
        await target.ask({**HOST, "seconds": seconds}, "TargetAdmin")


async def test_r18_nothing_but_a_white_list_is_asked_of_an_agent(target: Target) -> None:
    for kind in ("approve", "fetch", "override", "join"):
        with pytest.raises(PeerError):
            await target.ask(HOST, "TargetAdmin", kind=kind)
