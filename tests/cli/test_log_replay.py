from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.decision import Reason
from clearinghouse.cli.replaying import Replays, Verdict, replay_all, tell_replays
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Recorded
from tests.world import NOON, Community

ANN, EVE = "ann@a.example", "eve@c.example"


def archive(sim: Community) -> Archive:
    policies = {group: tuple((each.source, each.raw) for each in found) for group, found in sim.policies.items()}
    return Archive(sim.ready().snapshot.version, policies, tuple((each.source, each.raw) for each in sim.credentials))


async def decided() -> tuple[MemoryStore, list[Recorded]]:
    """One was granted and one refused; then policy changed, and the second was granted as well."""
    sim, store = Community(), MemoryStore()
    sim.policy("hub", 'topic == "incidents" && domain == "a.example"')
    sim.delegate("hub", to=ANN)
    decisions = [sim.asks(ANN), sim.asks(EVE)]
    await store.archive(archive(sim), at=NOON)
    sim.policy(EVE, 'topic == "incidents" && domain == "c.example"')
    decisions.append(sim.asks(EVE))
    await store.archive(archive(sim), at=NOON)
    return store, [Recorded.of(each) for each in decisions]


async def test_every_answer_is_the_same_by_the_policy_of_its_time() -> None:
    store, recorded = await decided()
    assert [each.decision.outcome for each in recorded] == ["granted", "refused", "granted"]
    found = await replay_all(store, recorded)
    assert found.ok
    assert found.counts[Verdict.AGREES] == 3


async def test_a_record_that_says_another_answer_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    store, (granted, refused, later) = await decided()
    forged = replace(
        refused, decision=replace(refused.decision, value="allow", outcome=granted.decision.outcome, reason=Reason("granted", ""))
    )
    found = await replay_all(store, [granted, forged, later])
    assert not found.ok
    assert [(each.id, each.verdict) for each in found.differences] == [(refused.decision.id, Verdict.DIFFERS)]
    tell_replays(found)
    told = capsys.readouterr().out
    assert f"{refused.decision.id}: then granted `allow` (granted), today refused `deny`" in told
    assert "2 decided the same again, 1 decided differently" in told


async def test_a_decision_that_is_kept_otherwise_than_the_log_tells_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    store, (granted, refused, later) = await decided()
    for each in (granted, refused, later):
        await store.record(each.decision)
    assert (await replay_all(store, [granted, refused, later])).ok
    forged = replace(
        later, decision=replace(later.decision, version=granted.decision.version, value="deny", outcome=refused.decision.outcome)
    )
    found = await replay_all(store, [granted, refused, forged])
    assert [(each.id, each.verdict) for each in found.differences] == [(later.decision.id, Verdict.CONTRADICTS)]
    tell_replays(found)
    assert "in the log outcome `granted`, snapshot `" in capsys.readouterr().out


async def test_a_fact_that_was_changed_shows_where_the_answer_rests_on_it() -> None:
    store, (granted, *_) = await decided()
    request = granted.decision.request
    changed = replace(request, requesters=("xmpp:eve@a.example", *request.requesters[1:]))
    found = await replay_all(store, [replace(granted, decision=replace(granted.decision, request=changed))])
    assert found.counts[Verdict.DIFFERS] == 1


async def test_what_is_erased_is_said_and_is_no_difference() -> None:
    store, (granted, refused, _) = await decided()
    found = await replay_all(store, [granted.forgotten(NOON), refused])
    assert found.ok
    assert (found.counts[Verdict.ERASED], found.counts[Verdict.AGREES]) == (1, 1)
    empty = await replay_all(MemoryStore(), [granted])
    assert (empty.ok, empty.counts[Verdict.ERASED]) == (True, 1)


async def test_what_was_never_proven_is_counted_apart() -> None:
    store, (granted, *_) = await decided()
    found = await replay_all(store, [replace(granted, proof=None)])
    assert (found.ok, found.counts[Verdict.UNPROVEN]) == (True, 1)


async def test_a_damaged_snapshot_is_named_and_the_others_are_replayed() -> None:
    store, (granted, refused, later) = await decided()
    whole = await store.archived(granted.decision.version)
    assert whole is not None
    damaged = MemoryStore()
    await damaged.archive(replace(whole, credentials=()), at=NOON)
    good = await store.archived(later.decision.version)
    assert good is not None
    await damaged.archive(good, at=NOON)
    found = await replay_all(damaged, [granted, refused, later])
    assert [each.verdict for each in found.differences] == [Verdict.DAMAGED, Verdict.DAMAGED]
    assert found.counts[Verdict.AGREES] == 1


def test_nothing_to_replay_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    tell_replays(Replays())
    assert "there are no decisions yet" in capsys.readouterr().out
    assert Replays().as_json() == {"counts": dict.fromkeys(map(str, Verdict), 0), "differences": []}
