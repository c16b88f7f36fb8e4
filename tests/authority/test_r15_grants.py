"""R15: the signed revocation set takes away what it names, and an agent whose set is stale makes no new grants."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from clearinghouse.agent.granting.authority import StaleRecords
from clearinghouse.demo.keys import demonstration_key
from clearinghouse.errors import StoreUnavailable
from clearinghouse.keynote import admit
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import Change
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Event
from tests.targets import HOST, Records, Target, gone, of_folder, paper
from tests.world import NOON


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    return await paper(tmp_path, 3, NOON).open(alone=False)


ALICE = of_folder("paper-section-3", "alice")
KEY = "ed25519-hex:0a7361a2db776199a49ecda3c0391eda70cc4473aa805d6d4a2ced45267b827a"
CREDENTIAL = admit(ALICE[0].encode()).name


@pytest.mark.parametrize(
    "set_of",
    [gone(principals=(KEY,)), gone(credentials=(CREDENTIAL,)), gone(below=(admit(ALICE[0].encode()).authorizer or "",))],
    ids=["her key", "her credential", "all that the administrator delegated"],
)
async def test_r15_a_revocation_withdraws_and_lets_nothing_new_in(target: Target, set_of: object) -> None:
    await target.believe(Records())
    assert (await target.ask(HOST, "Alice", credentials=ALICE, seconds=3600)).granted
    await target.believe(Records(revocations=set_of))  # type: ignore[arg-type]  # one of the rows
    assert target.live() == ()
    assert not (await target.ask(HOST, "Alice", credentials=ALICE)).granted
    [ended] = await target.store.grants(9, ended=True)
    assert ended.ended == NOON


async def test_r15_before_anything_is_known_nothing_is_granted(target: Target) -> None:
    with pytest.raises(StaleRecords):
        await target.ask(HOST, "TargetAdmin")


async def test_r15_a_stale_set_makes_no_new_grants_and_takes_none_away(target: Target) -> None:
    await target.believe(Records(fresh_until=NOON + timedelta(minutes=10)))
    answer = await target.ask(HOST, "TargetAdmin", seconds=3600)
    target.sleep(minutes=10)
    with pytest.raises(StaleRecords):
        await target.ask({**HOST, "Server_IP_Address": "192.168.40.50"}, "TargetAdmin")
    assert [each.id for each in target.live()] == [answer.id]
    await target.believe(Records(fresh_until=NOON + timedelta(hours=1)))
    assert (await target.ask({**HOST, "Server_IP_Address": "192.168.40.50"}, "TargetAdmin", seconds=60)).granted


async def test_r15_an_envelope_that_met_a_stale_set_may_come_again(target: Target) -> None:
    raw = target.sealed(HOST, "TargetAdmin", seconds=60)
    with pytest.raises(StaleRecords):
        await target.requests.answer(raw, via="ip:192.0.2.1")
    await target.believe(Records())
    assert (await target.requests.answer(raw, via="ip:192.0.2.1")).granted


class FullDisk(MemoryStore):
    """A store that takes nothing at all while ``full`` is set."""

    full = False

    def _check(self) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full", mend="make room")

    async def write(self, *changes: Change) -> None:
        self._check()
        await super().write(*changes)

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        self._check()
        await super().archive(archive, at=at)

    async def note(self, event: Event) -> None:
        self._check()
        await super().note(event)


ADMIN = demonstration_key("TargetAdmin").principal
WIDE = f"""
Authorizer: "POLICY"
Licensees: "{ADMIN}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example"
  && Server_IP_Address ~= "^192[.]168[.]41[.][0-9]+$" -> "allow";
"""
GRANTS = 150
"""More than are looked at in one go."""


async def test_r15_a_full_disk_keeps_no_revocation_from_counting(tmp_path: Path) -> None:
    target, disk = paper(tmp_path, 3, NOON).policy(WIDE), FullDisk()
    target.store = disk
    await target.open(alone=False)
    target.grants.most_each = GRANTS
    await target.believe(Records())
    for number in range(GRANTS):
        asked = await target.ask({**HOST, "Server_IP_Address": f"192.168.41.{number}"}, "TargetAdmin", seconds=3600)
        assert asked.granted
    disk.full = True
    with pytest.raises(StoreUnavailable):
        await target.authority.believe(Records(revocations=gone(principals=(ADMIN,))))
    with pytest.raises(StoreUnavailable):
        await target.grants.review()
    assert target.live() == ()
    disk.full = False
    await target.authority.keep()
    assert await disk.archived(target.authority.desk.snapshot.version) is not None
    assert not (await target.ask({**HOST, "Server_IP_Address": "192.168.41.1"}, "TargetAdmin", seconds=60)).granted
