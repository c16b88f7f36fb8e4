"""The process is killed at any moment, with its signers: no version is ever given twice, and a follower never sees one go back."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from clearinghouse.federation.trust.trusted import Trusted
from clearinghouse.keynote.keys import write_key_file
from tests.commons import Commons, commons
from tests.presses import key, who
from tests.world import assertion

MOMENTS = (0.1, 0.6)
"""Seconds after a change of policy at which the process is killed: before it was seen, and while it is published."""


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    made = commons(tmp_path, datetime.now(UTC) - timedelta(minutes=1))
    for name in ("table", "timestamp", "registrar", "revoker"):
        write_key_file(tmp_path / f"{name}.key", key(name))
    return made


@asynccontextmanager
async def serving(home: Commons, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the service in a process of its own; at the end it is killed, wherever it is."""
    home.write("clearinghouse.toml", home.text.replace("port = 0", f"port = {port}").encode())
    command = (sys.executable, "-m", "clearinghouse", "serve", "--config", str(home.directory / "clearinghouse.toml"))
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


def level(home: Commons, number: int) -> None:
    condition = 'from_domain == "a.example"'
    home.write("policies/federate/turn.kn", assertion("POLICY", "xmpp:a.example", condition, f"level-{number + 1}"))


async def followed(client: httpx.AsyncClient, home: Commons, trusted: Trusted | None) -> Trusted:
    """Return what a follower believes now; whatever it refuses is raised."""
    async with asyncio.timeout(30):
        while trusted is None:
            found = await fetched(client, home, "root/1")
            if found is not None:
                trusted = Trusted.pinned(found, home.pin(), datetime.now(UTC), audience="*")
        while not await rounds(client, home, trusted):  # noqa: ASYNC110 - a process that starts tells nobody
            await asyncio.sleep(0.05)
    return trusted


async def rounds(client: httpx.AsyncClient, home: Commons, trusted: Trusted) -> bool:
    trusted.begin()
    while (name := trusted.wanted()) is not None:
        raw = await fetched(client, home, name)
        if raw is None and (name.endswith("timestamp") or "members" in name):
            return False
        trusted.update(name, raw, datetime.now(UTC)) if raw is not None else trusted.absent(name)
    return trusted.head is not None


async def fetched(client: httpx.AsyncClient, home: Commons, name: str) -> bytes | None:
    home.now = datetime.now(UTC)
    try:
        answer = await client.get(f"/v1/documents/{name}", headers=home.reads("a.example"), timeout=5)
    except httpx.HTTPError:
        await asyncio.sleep(0.05)
        return None
    return answer.content if answer.status_code == httpx.codes.OK else None


async def test_killed_again_and_again_it_goes_on_where_it_was(home: Commons, unused_tcp_port: int) -> None:
    async with home.open():
        await home.enrols("a.example", keys=who("a.example")[0])
        await home.settled({"a.example": "level-1"})
    trusted, versions = None, [0]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", trust_env=False) as client:
        for number, moment in enumerate(MOMENTS):
            async with serving(home, unused_tcp_port):
                trusted = await followed(client, home, trusted)
                assert trusted.head is not None
                versions.append(trusted.head.version)
                level(home, number)
                await asyncio.sleep(moment)
        async with serving(home, unused_tcp_port):
            async with asyncio.timeout(30):
                while trusted is None or trusted.rows != {"a.example": f"level-{len(MOMENTS)}"}:
                    trusted = await followed(client, home, trusted)
    assert versions == sorted(versions)
