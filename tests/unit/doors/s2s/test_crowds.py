"""R21 at the door for servers: whatever others do, an honest peer is answered within a second.

The door and the honest peer share this process, and the attack has one of its own.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from clearinghouse.doors.s2s.door import Bears, Door
from clearinghouse.sockets.gate import room_for
from tests.unit.doors.s2s.opening import Host, calling, door, redirected, trusting
from tests.unit.doors.s2s.peers import HEADER

SECONDS = 1.0
CALLS = 5
IDLE = 5_000
EACH = 50
HONEST = "127.0.0.2"


async def answered(opened: Door, directory: Path) -> None:
    """Call as an honest peer does, some times one after another; each is answered in time."""
    context = trusting(directory)
    for _ in range(CALLS):
        async with asyncio.timeout(SECONDS), calling(opened.listen_tls[0], context, address=HONEST) as peer:
            assert redirected(await peer.says(HEADER))


@asynccontextmanager
async def under(kind: str, opened: Door, directory: Path) -> AsyncIterator[None]:
    """Be attacked while the block runs."""
    arguments = kind, str(opened.listen[0][1]), str(opened.listen_tls[0][1]), str(directory)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.doors.s2s.attacks", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
        yield
        assert process.returncode is None, "the attack still goes on"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", ["drip", "handshakes", "restarts", "big_headers", "passwords", "negotiations", "key_updates"])
async def test_r21_an_honest_peer_is_answered_under_attack(tmp_path: Path, kind: str) -> None:
    trusting(tmp_path)
    async with door(tmp_path, Host(), bears=Bears(500, EACH)) as opened, under(kind, opened, tmp_path):
        await answered(opened, tmp_path)


async def test_r21_an_honest_peer_is_answered_beside_5000_idle_connections(tmp_path: Path) -> None:
    if room_for(3 * IDLE) < 3 * IDLE:
        pytest.skip("this machine lets a process open too few files")
    async with door(tmp_path, Host(), bears=Bears(IDLE, EACH)) as opened:
        with ExitStack() as idle:
            for number in range(IDLE):
                made = idle.enter_context(socket.socket())
                made.bind((f"127.66.{number % 100}.1", 0))
                made.settimeout(0)
                assert made.connect_ex(opened.listen[0]) >= 0
                if number % 100 == 0:
                    await asyncio.sleep(0)
            await answered(opened, tmp_path)
