"""`desk`: the process that signs, as a service of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.approvals import desk_text
from clearinghouse.keynote import admit
from clearinghouse.keynote.keys import from_seed, write_key_file
from clearinghouse.settings import read_settings
from clearinghouse.signer.client import signing
from clearinghouse.signer.rules import SignerRefused
from tests.unit.signer.cases import case

KEY = from_seed(b"desk" + bytes(28))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_key_file(tmp_path / "desk.key", KEY)
    said = f'[desk]\nsocket = "sign.sock"\nprincipal = "{KEY.principal}"\napproval_period = "7 days"\n'
    (tmp_path / "clearinghouse.toml").write_text(f'community = "csirt-net"\n{said}')
    return tmp_path


@asynccontextmanager
async def desk(home: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "clearinghouse", "desk", "--key-file", "desk.key", *words)
    process = await asyncio.create_subprocess_exec(*command, cwd=home, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(20):
            while not (home / "sign.sock").exists() and process.returncode is None:  # noqa: ASYNC110 - a file, of which nobody tells us
                await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def approval(days: float) -> bytes:
    now = datetime.now(UTC)
    return desk_text(case(now), desk=KEY.principal, until=now + timedelta(days=days), serial="00ff")


async def test_it_signs_what_the_settings_allow_and_ends_as_asked(home: Path) -> None:
    async with desk(home) as process:
        async with signing(read_settings(home / "clearinghouse.toml")) as signers:
            assert signers.desk is not None
            assert admit(await signers.desk.sign_credential(approval(6))).authorizer == KEY.principal
            with pytest.raises(SignerRefused, match="later than 7 days"):
                await signers.desk.sign_credential(approval(8))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert not (home / "sign.sock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_it_hangs_up_on_everybody_else(home: Path) -> None:
    script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('sign.sock'); print(len(s.recv(9999)) > 0)"
    asked = []
    async with desk(home, "--user", "nobody"):
        for user in (0, 65_534, 54_321):
            home.chmod(0o755)  # noqa: ASYNC240 - of a test
            done = await asyncio.create_subprocess_exec(
                "/usr/bin/python3", "-c", script, cwd=home, stdout=asyncio.subprocess.PIPE, user=user
            )
            asked.append((await done.communicate())[0].strip())
    assert asked == [b"True", b"True", b"False"]


@pytest.mark.parametrize(
    "words,fact",
    [
        (("--log",), "names no socket in [ledger]"),
        (("--user", "no-such-user"), "is no user of this machine"),
        (("--key-file", "other.key"), "is not the key of"),
        (("--key-file", "absent.key"), "there is no key file"),
    ],
)
def test_what_cannot_be_is_told(home: Path, words: tuple[str, ...], fact: str) -> None:
    write_key_file(home / "other.key", from_seed(bytes(32)))
    key = () if "--key-file" in words else ("--key-file", "desk.key")
    command = [sys.executable, "-m", "clearinghouse", "desk", *key, *words]  # a process of its own, because it hardens itself
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, fact in done.stderr) == (2, True), done.stderr
    assert not (home / "sign.sock").exists()
