"""The servers that the demonstration starts: gone when we are gone, on loopback only, and clear about why one cannot be had."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from clearinghouse.demo import ejabberd as ejabberd_launcher
from clearinghouse.demo import prosody as prosody_launcher
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.prosody import Prosody, configuration, lua_text
from clearinghouse.demo.servers import COMPONENT_PORT, Server, free_address
from clearinghouse.errors import MissingPackage, OperatorError
from tests.servers.worlds import HOSTING, PASSWORD

KILLED = """
import asyncio, os, signal, sys
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.prosody import Prosody
from tests.servers.worlds import HOSTING

async def main():
    async with {"ejabberd": Ejabberd, "prosody": Prosody}[sys.argv[1]](HOSTING) as server:
        print(server._process.pid, server._directory, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""

KILLED_CLUSTER = """
import os, signal
from clearinghouse.demo.postgres import cluster

with cluster() as made:
    first = (made.directory / "data" / "postmaster.pid").read_text().split()[0]
    print(first, made.directory, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""

BOTH = pytest.mark.parametrize("make", [Ejabberd, Prosody], ids=["ejabberd", "prosody"])


@pytest.mark.servers
@pytest.mark.parametrize("name", ["ejabberd", "prosody", "postgresql"])
async def test_server_ends_when_its_starter_is_killed(name: str) -> None:
    text = KILLED_CLUSTER if name == "postgresql" else KILLED
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", text, name, stdout=asyncio.subprocess.PIPE)
    said, _ = await starter.communicate()
    assert starter.returncode == -signal.SIGKILL
    pid, directory = said.decode().split()
    async with asyncio.timeout(10):
        while is_running(int(pid)):  # noqa: ASYNC110 - no child of ours: it can only be looked at
            await asyncio.sleep(0.02)
    remove(Path(directory))


@pytest.mark.servers
def test_server_has_no_rights_and_keeps_its_files_to_itself(server: Server) -> None:
    assert server._process is not None
    owner = Path(f"/proc/{server._process.pid}").stat().st_uid
    assert owner != 0
    assert pwd.getpwuid(owner).pw_name in (server.name, "nobody", pwd.getpwuid(os.geteuid()).pw_name)
    directory = server._directory.stat()
    assert (stat.S_IMODE(directory.st_mode), directory.st_uid) == (0o700, owner)


@pytest.mark.servers
def test_server_on_loopback_only(server: Server) -> None:
    assert server._process is not None
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = sockets_of(server._process.pid)
    addresses = {row[1].split(":")[0] for row in listening if row[3] == "0A" and row[9] in inodes}
    ours = "".join(f"{int(part):02X}" for part in reversed(server.address.split(".")))
    assert addresses == {ours}
    six = [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    assert not [row for row in six if row[3] == "0A" and row[9] in inodes]


@pytest.mark.servers
@BOTH
async def test_server_that_does_not_start_says_why(make: Callable[..., Server]) -> None:
    hosting = replace(HOSTING, component=HOSTING.domains[0], brokers=("not a domain",))
    with pytest.raises(OperatorError, match="ended at once") as refused:
        async with make(hosting):
            pass
    assert "not a domain" in refused.value.mend or "clashes with" in refused.value.mend


@pytest.mark.servers
async def test_account_that_exists_is_said(server: Server) -> None:
    with pytest.raises(OperatorError, match=r"HTTP 409|has an account already"):
        await server.register("analyst@csirt.example", PASSWORD)


@BOTH
async def test_missing_package_is_named(make: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert not ejabberd_launcher.is_installed()
    assert not prosody_launcher.is_installed()
    server = make(HOSTING)
    with pytest.raises(MissingPackage, match=f"apt-get install --no-install-recommends {server.name}"):
        async with server:
            pass
    assert not server._directory.exists()


async def test_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Prosody):
        name: ClassVar[str] = "silent"

        def _command(self) -> list[str]:
            return ["sleep", "60"]

    monkeypatch.setattr("clearinghouse.demo.servers.START_SECONDS", 0.1)
    with pytest.raises(OperatorError, match=r"silent at 127\..* is not up after 0.1 s"):
        async with Silent(HOSTING):
            pass


@pytest.mark.parametrize("text", ['"', "\\", "]]", "--", "a\nb", "\x00", "ü€𝄞", "\\065", "'"])
def test_text_of_lua_is_the_text(text: str, tmp_path: Path) -> None:
    written = lua_text(text)
    assert all(" " <= character <= "~" for character in written)
    if lua := shutil.which("lua"):
        (tmp_path / "x.lua").write_text(f"io.write({written})")
        assert subprocess.run([lua, tmp_path / "x.lua"], capture_output=True, check=True).stdout == text.encode()


def test_names_cannot_break_out_of_the_configuration_of_prosody() -> None:
    text = configuration(replace(HOSTING, secret='"\nadmins = { "x" }'), "127.0.0.1", Path("/x"))
    assert '\\034\\010admins = { \\034x\\034 }"' in text


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
