"""The server that the demonstration starts: gone when we are gone, and clear about why it cannot be had."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clearinghouse.demo.ejabberd import Ejabberd, is_installed
from clearinghouse.demo.ejabberd_config import configuration
from clearinghouse.demo.servers import COMPONENT_PORT, free_address
from clearinghouse.errors import MissingPackage, OperatorError
from tests.servers.worlds import HOSTING

KILLED = """
import asyncio, os, signal
from clearinghouse.demo.ejabberd import Ejabberd
from tests.servers.worlds import HOSTING

async def main():
    async with Ejabberd(HOSTING) as server:
        print(server._process.pid, server._directory, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.servers
async def test_server_ends_when_its_starter_is_killed() -> None:
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, stdout=asyncio.subprocess.PIPE)
    said, _ = await starter.communicate()
    assert starter.returncode == -signal.SIGKILL
    pid, directory = said.decode().split()
    async with asyncio.timeout(10):
        while is_running(int(pid)):  # noqa: ASYNC110 - no child of ours: it can only be looked at
            await asyncio.sleep(0.02)
    remove(Path(directory))


@pytest.mark.servers
def test_server_has_no_rights_and_keeps_its_files_to_itself(ejabberd: Ejabberd) -> None:
    assert ejabberd._process is not None
    owner = Path(f"/proc/{ejabberd._process.pid}").stat().st_uid
    assert owner != 0
    assert pwd.getpwuid(owner).pw_name in ("ejabberd", "nobody", pwd.getpwuid(os.geteuid()).pw_name)
    directory = ejabberd._directory.stat()
    assert (stat.S_IMODE(directory.st_mode), directory.st_uid) == (0o700, owner)


@pytest.mark.servers
def test_server_on_loopback_only(ejabberd: Ejabberd) -> None:
    assert ejabberd._process is not None
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = sockets_of(ejabberd._process.pid)
    addresses = {row[1].split(":")[0] for row in listening if row[3] == "0A" and row[9] in inodes}
    ours = "".join(f"{int(part):02X}" for part in reversed(ejabberd.address.split(".")))
    assert addresses == {ours}


@pytest.mark.servers
async def test_server_that_does_not_start_says_why() -> None:
    hosting = replace(HOSTING, brokers=("not a domain",))
    with pytest.raises(OperatorError, match="ended at once") as refused:
        async with Ejabberd(hosting):
            pass
    assert "not a domain" in refused.value.mend


@pytest.mark.servers
async def test_account_that_exists_is_said(ejabberd: Ejabberd) -> None:
    with pytest.raises(OperatorError, match="HTTP 409"):
        await asyncio.to_thread(ejabberd._call, "register", {"user": "analyst", "host": "csirt.example", "password": "x"})


@pytest.mark.servers
async def test_interface_makes_accounts_and_nothing_else(ejabberd: Ejabberd) -> None:
    for command in ("status", "stop", "unregister", "connected_users"):
        with pytest.raises(OperatorError, match=r"HTTP 40[013]"):
            await asyncio.to_thread(ejabberd._call, command, {})
    token, ejabberd._token = ejabberd._token, "guess"
    try:
        with pytest.raises(OperatorError, match="HTTP 404"):
            await asyncio.to_thread(ejabberd._call, "register", {"user": "x", "host": "csirt.example", "password": "x"})
    finally:
        ejabberd._token = token


async def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clearinghouse.demo.ejabberd._packaged", list)
    assert not is_installed()
    server = Ejabberd(HOSTING)
    with pytest.raises(MissingPackage, match="apt-get install --no-install-recommends ejabberd"):
        async with server:
            pass
    assert not server._directory.exists()


def test_names_cannot_break_out_of_the_configuration() -> None:
    text = configuration(replace(HOSTING, secret='"}\nacl: {x: "'), "127.0.0.1", "token")
    assert json.dumps('"}\nacl: {x: "') in text
    assert text.count("\nacl:") == 1


def test_addresses_are_on_loopback() -> None:
    found = {free_address() for _ in range(5)}
    assert all(address.startswith("127.") for address in found)
    assert len(found) > 1
    assert COMPONENT_PORT == 5347


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def sockets_of(pid: int) -> set[str]:
    targets = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return {target[8:-1] for target in targets if target.startswith("socket:[")}


def remove(directory: Path) -> None:
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.rmdir()
