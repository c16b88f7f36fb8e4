"""R22: who is refused learns that, and nothing more; why is for those who may look into the store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import tostring

import pytest

from clearinghouse import telemetry
from clearinghouse.demo.memory import MemoryLink
from clearinghouse.errors import UnsafeFile
from clearinghouse.storage.sql_store import read_store
from tests.runtime.house import ANN, EVE, TOPIC, House, example, hurry
from tests.world import signed

FORMER, MEMBER = "fay@d.example", "member@a.example"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    hurry(monkeypatch)
    made = example(tmp_path)
    made.write("credentials/d.kn", signed("hub", "xmpp-member:d.example", f'topic == "{TOPIC}"', until="20261101"))
    return made


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    telemetry.configure(stream=stream)
    yield stream
    telemetry.configure(stream=io.StringIO())


async def heard(house: House, jid: str) -> str:
    """Return what somebody hears who asks, with the own name taken out."""
    ear = MemoryLink(house.world.network, f"{jid}/ear")
    async with house.platform(jid) as platform:
        await platform.subscribe(TOPIC)
        await platform.ruling()
    said = [tostring(ear.inbox.get_nowait()).decode() for _ in range(ear.inbox.qsize())]
    assert said
    return "\n".join(said).replace(jid, "NAME")


async def test_r22_whoever_is_refused_hears_the_same_for_whatever_reason(house: House) -> None:
    async with house.open():
        assert await heard(house, EVE) == await heard(house, FORMER) == await heard(house, "x,y@a.example")
    reasons = [each.decision.reason.code for each in await house.recorded()]
    assert reasons == ["no-licence", "condition-failed", "malformed-request"]


async def test_r22_no_answer_names_a_decision_a_reason_or_an_assertion(house: House) -> None:
    async with house.open():
        answers = [await heard(house, jid) for jid in (EVE, FORMER, ANN)]
    for recorded in await house.recorded():
        told = {
            recorded.decision.id,
            recorded.decision.reason.code,
            *(str(each["id"]) for each in (recorded.proof or {}).get("skipped", [])),
        }
        assert not [word for word in told if word and any(word in answer for answer in answers)]


async def test_r22_ids_are_random_and_tell_nothing(house: House) -> None:
    async with house.open():
        for jid in (EVE, FORMER, ANN, MEMBER):
            await heard(house, jid)
    ids = [each.decision.id for each in await house.recorded()]
    assert len(set(ids)) == 4
    assert all(len(each) == 16 for each in ids)
    assert len({each[:4] for each in ids}) > 1


async def test_r22_the_operator_finds_every_reason_in_the_store_and_in_the_log(house: House, log: io.StringIO) -> None:
    async with house.open():
        await heard(house, FORMER)
    [found] = await house.recorded()
    assert "`date` is `20261120`" in found.decision.reason.text
    lines = [line for line in log.getvalue().splitlines() if found.decision.id in line]
    assert len(lines) == 1
    for word in ("refused", "value=deny", f"requester={FORMER}", f"topic={TOPIC}", "reason=condition-failed"):
        assert word in lines[0]


async def test_r22_nobody_else_can_look_into_the_store(house: House) -> None:
    async with house.open():
        await heard(house, EVE)
    path = house.settings.store.path
    path.chmod(0o644)
    with pytest.raises(UnsafeFile):
        async with read_store(path):
            pass
