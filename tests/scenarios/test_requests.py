"""The paper's requests, signed and sent to the target's agent: what is granted opens exactly that, for its time, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from clearinghouse.federation.image import Grant
from tests.targets import HOST, of_folder, paper
from tests.world import NOON

JANUARY = datetime(2010, 1, 15, 12, tzinfo=UTC)
BOB = {**HOST, "Username": "Bob", "PacketType": "message"}


async def test_a_signed_request_gives_a_live_grant_that_ends_by_itself(tmp_path: Path) -> None:
    """III.D: Bob's messages, for an hour."""
    target = await paper(tmp_path, 3, JANUARY).open()
    answer = await target.ask(BOB, "Bob", credentials=of_folder("paper-section-3"), seconds=3600)
    assert (answer.outcome, answer.value, answer.until) == ("granted", "allow", JANUARY + timedelta(hours=1))
    until = int((JANUARY + timedelta(hours=1)).timestamp())
    assert target.live() == (Grant(answer.id, "partner.example", until, "bob@partner.example", "*", 0x11, "192.168.40.55", answer.id),)
    target.sleep(minutes=59, seconds=59)
    assert target.live() != ()
    target.sleep(seconds=1)
    assert target.live() == ()


async def test_the_administrator_alone_lets_a_server_in(tmp_path: Path) -> None:
    """III.B: no credentials, every user, every packet."""
    target = await paper(tmp_path, 3, NOON).open()
    answer = await target.ask({**HOST, "Server_IP_Address": "192.168.40.50"}, "TargetAdmin", seconds=60)
    assert [(each.user, each.mask, each.address) for each in target.live()] == [("*", 255, "192.168.40.50")]
    assert answer.granted
