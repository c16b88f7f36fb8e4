"""The process with a key, really started."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.approvals import desk_text
from clearinghouse.errors import BadSettings
from clearinghouse.keynote import admit
from clearinghouse.keynote.keys import PrivateKey, generate, write_key_file
from clearinghouse.ledger.checkpoint import Checkpoint, checkpoint_payload, open_checkpoint
from clearinghouse.settings import Settings
from clearinghouse.settings.reading import parse_settings
from clearinghouse.signer.client import RemoteSigner, signing
from clearinghouse.signer.frames import MAX_FRAME_BYTES, receive, send
from clearinghouse.signer.rules import SignerRefused, SignerUnavailable
from tests.unit.signer.cases import case

DESK, LOG = generate(), generate()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_key_file(tmp_path / "desk.key", DESK)
    write_key_file(tmp_path / "log.key", LOG)
    return tmp_path


def settings(home: Path, text: str = '[desk]\nkey_file = "desk.key"\n[ledger]\nkey_file = "log.key"\n') -> Settings:
    return parse_settings(f'community = "csirt-net"\n{text}', file="clearinghouse.toml", directory=home)


def approval(key: PrivateKey = DESK) -> bytes:
    now = datetime.now(UTC)
    return desk_text(case(now), desk=key.principal, until=now + timedelta(days=30), serial="00ff")


def pid(signer: object) -> int:
    assert isinstance(signer, RemoteSigner)
    assert signer.line is not None
    assert signer.line.process is not None
    return signer.line.process.pid


async def test_both_keys_sign_each_in_its_own_process(home: Path) -> None:
    async with signing(settings(home)) as signers:
        assert signers.desk is not None
        assert signers.log is not None
        assert (signers.desk.principal, signers.log.principal) == (DESK.principal, LOG.principal)
        assert len({pid(signers.desk), pid(signers.log), os.getpid()}) == 3
        assert admit(await signers.desk.sign_credential(approval())).authorizer == DESK.principal
        asked = Checkpoint("csirt-net", 1, bytes(32), datetime(2026, 11, 21, tzinfo=UTC))
        assert open_checkpoint(await signers.log.sign_checkpoint(checkpoint_payload(asked)), LOG.principal) == asked


async def test_what_is_not_for_the_key_is_refused_and_the_process_goes_on(home: Path) -> None:
    async with signing(settings(home)) as signers:
        assert signers.desk is not None
        for text in (b"", b"\0" * 100_000, b"Authorizer: x"):
            with pytest.raises(SignerRefused):
                await signers.desk.sign_credential(text)
        with pytest.raises(SignerRefused, match="signs nothing of the log"):
            await signers.desk.sign_checkpoint(b"{}")
        assert await signers.desk.sign_credential(approval())


async def test_nobody_can_look_into_the_process(home: Path) -> None:
    async with signing(settings(home)) as signers:
        found = Path("/proc") / str(pid(signers.desk))
        status = dict(line.split(":\t", 1) for line in (found / "status").read_text().splitlines() if ":\t" in line)
        assert (status["Threads"].strip(), status["NoNewPrivs"].strip()) == ("1", "1")
        limits = (found / "limits").read_text()
        assert "Max core file size        0                    0" in limits
        sockets = [str(each.readlink()) for each in (found / "fd").iterdir() if each.name not in {"0", "1", "2"}]
        assert not [each for each in sockets if str(home) in each]


async def test_it_ends_with_its_parent_and_no_process_stays(home: Path) -> None:
    async with signing(settings(home)) as signers:
        pids = [pid(signers.desk), pid(signers.log)]
    assert not [each for each in pids if (Path("/proc") / str(each)).exists()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_what_is_signalled_to_all_of_a_service_leaves_it_a_signer_until_the_end(home: Path, number: signal.Signals) -> None:
    async with signing(settings(home)) as signers:
        assert signers.desk is not None
        os.kill(pid(signers.desk), number)
        assert await signers.desk.sign_credential(approval())


async def test_a_parent_that_is_killed_leaves_no_process(home: Path) -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(home), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await gone(child)


PARENT = """
import asyncio, sys
from pathlib import Path
from clearinghouse.settings.reading import parse_settings
from clearinghouse.signer.client import signing

async def main():
    text = 'community = "c"\\n[desk]\\nkey_file = "desk.key"'
    async with signing(parse_settings(text, file="f", directory=Path(sys.argv[1]))) as signers:
        print(signers.desk.line.process.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def gone(process: int) -> None:
    async with asyncio.timeout(10):
        while running(process):  # noqa: ASYNC110 - no child of ours, so nobody tells us
            await asyncio.sleep(0.02)


def running(process: int) -> bool:
    try:
        return "\nState:\tZ" not in (Path("/proc") / str(process) / "status").read_text()
    except FileNotFoundError:
        return False


async def test_one_that_died_is_away_at_once_and_comes_back(home: Path) -> None:
    async with signing(settings(home)) as signers:
        desk = signers.desk
        assert desk is not None
        first = pid(desk)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(SignerUnavailable, match="what was approved counts once it is back"):
            await desk.sign_credential(approval())
        assert await again(desk) != first


async def again(desk: object) -> int:
    assert isinstance(desk, RemoteSigner)
    async with asyncio.timeout(20):
        while True:
            try:
                await desk.sign_credential(approval())
            except SignerUnavailable:
                await asyncio.sleep(0.05)
            else:
                return pid(desk)


async def test_a_key_that_is_changed_meanwhile_is_not_used(home: Path) -> None:
    async with signing(settings(home)) as signers:
        desk = signers.desk
        assert desk is not None
        (home / "desk.key").unlink()
        write_key_file(home / "desk.key", LOG)
        os.kill(pid(desk), signal.SIGKILL)
        await asyncio.sleep(1.5)
        with pytest.raises(SignerUnavailable):
            await desk.sign_credential(approval())


@pytest.mark.parametrize(
    "text,fact",
    [
        ('[desk]\nkey_file = "none.key"', "there is no key file"),
        ('[desk]\nkey_file = "open.key"', "can be reached by others"),
        ('[desk]\nkey_file = "demo.key"', "holds a demonstration key"),
        (f'[desk]\nkey_file = "desk.key"\nprincipal = "{LOG.principal}"', "is not the key of"),
    ],
)
async def test_a_key_that_cannot_be_used_is_told_before_the_service_starts(home: Path, text: str, fact: str) -> None:
    write_key_file(home / "open.key", generate())
    (home / "open.key").chmod(0o644)
    write_key_file(home / "demo.key", generate(demo=True))
    with pytest.raises(BadSettings, match=fact):
        async with signing(settings(home, text)):
            pytest.fail("it was taken")


async def test_demonstrations_may_use_their_keys(home: Path) -> None:
    write_key_file(home / "demo.key", generate(demo=True))
    async with signing(settings(home, '[desk]\nkey_file = "demo.key"'), allow_demo=True) as signers:
        assert signers.desk is not None
        assert signers.log is None


# -- a signer of its own, at a socket -----------------------------------------------------------------


@asynccontextmanager
async def listening(home: Path, role: str = "desk") -> AsyncIterator[asyncio.subprocess.Process]:
    words = (role, "--key-file", str(home / f"{role}.key"), "--socket", str(home / "sign.sock"))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "clearinghouse.signer", *words)
    try:
        async with asyncio.timeout(20):
            while not answers(home / "sign.sock"):  # noqa: ASYNC110 - a file, of which nobody tells us
                await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def answers(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(path)) == 0


def at_socket(home: Path, principal: str = DESK.principal) -> Settings:
    return settings(home, f'[desk]\nsocket = "sign.sock"\nprincipal = "{principal}"')


async def test_a_signer_at_a_socket_signs_and_is_private(home: Path) -> None:
    async with listening(home):
        assert (home / "sign.sock").stat().st_mode & 0o777 == 0o600
        async with signing(at_socket(home)) as signers:
            assert signers.desk is not None
            assert admit(await signers.desk.sign_credential(approval())).authorizer == DESK.principal
    assert not (home / "sign.sock").exists()


async def test_a_signer_at_a_socket_with_another_key_is_refused(home: Path) -> None:
    async with listening(home):
        with pytest.raises(BadSettings, match="has the key of"):
            async with signing(at_socket(home, LOG.principal)):
                pytest.fail("it was taken")


async def test_the_logs_signer_is_no_desk(home: Path) -> None:
    async with listening(home, "log"):
        with pytest.raises(BadSettings, match="the signer of the desk signs as `log`"):
            async with signing(at_socket(home, LOG.principal)):
                pytest.fail("it was taken")


async def test_nobody_at_the_socket_is_told_with_what_to_start(home: Path) -> None:
    with pytest.raises(SignerUnavailable, match="start it: `clearinghouse desk`"):
        async with signing(at_socket(home)):
            pytest.fail("it was taken")


async def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(home: Path) -> None:
    async with listening(home) as first:
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clearinghouse.signer", "desk", "--key-file", home / "desk.key", "--socket", home / "sign.sock"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await second.communicate()
        assert (second.returncode, b"somebody answers at" in said) == (2, True)
        first.kill()
        await first.wait()
    assert (home / "sign.sock").exists()
    async with listening(home), signing(at_socket(home)) as signers:
        assert signers.desk is not None


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xff", (MAX_FRAME_BYTES + 1).to_bytes(4), b"\0\0\0\2[]", b"\0\0\0\1{", b"\0\0"])
async def test_hostile_frames_end_their_connection_and_nothing_else(home: Path, raw: bytes) -> None:
    async with listening(home), signing(at_socket(home)) as signers:
        reader, writer = await asyncio.open_unix_connection(str(home / "sign.sock"))
        with closing(writer):
            assert (await receive(reader) or {})["role"] == "desk"
            writer.write(raw)
            writer.write_eof()
            told = await receive(reader)
            assert told is None or "error" in told
            assert await receive(reader) is None
        assert signers.desk is not None
        assert await signers.desk.sign_credential(approval())


@pytest.mark.parametrize("request_", [{}, {"sign": 1}, {"sign": "%"}, {"sign": "é"}, {"sing": "QQ=="}])
async def test_a_frame_that_asks_for_nothing_is_answered(home: Path, request_: dict[str, object]) -> None:
    async with listening(home):
        reader, writer = await asyncio.open_unix_connection(str(home / "sign.sock"))
        with closing(writer):
            await receive(reader)
            await send(writer, request_)
            assert (await receive(reader) or {})["error"]["code"] == "malformed-request"
