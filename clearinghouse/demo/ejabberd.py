"""Starts an ejabberd of its own on loopback, and ends it.

It needs nothing but the Debian package: no root, no epmd, no cookie, no file outside its own directory.
Run by root it gives up its rights first.  Each server has a loopback address of its own, so that any
number of them can use the usual ports side by side.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import pwd
import secrets
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from clearinghouse.demo.ejabberd_config import API_PORT, CLIENT_PORT, COMPONENT_PORT, Hosting, configuration
from clearinghouse.errors import MissingPackage, OperatorError

START_SECONDS: Final = 20.0
"""Until all ports are open: 0.8 s on an idle machine with two cores."""

STOP_SECONDS: Final = 10.0
"""Between the request to end (1 s as a rule) and the signal that cannot be refused."""

POLL_SECONDS: Final = 0.02

_LOG_TAIL_LINES: Final = 20


def free_address() -> str:
    """Return a loopback address on which none of the server's ports is taken."""
    while True:
        address = f"127.{secrets.randbelow(253) + 1}.{secrets.randbelow(254)}.{secrets.randbelow(253) + 1}"
        if all(_is_free(address, port) for port in (CLIENT_PORT, COMPONENT_PORT, API_PORT)):
            return address


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


@dataclass(slots=True)
class Ejabberd:
    """One server; an asynchronous context manager that is up when entered and gone when left."""

    hosting: Hosting
    address: str = field(default_factory=free_address)
    _directory: Path = field(init=False)
    _token: str = field(init=False, repr=False, default_factory=lambda: secrets.token_hex(16))
    _process: asyncio.subprocess.Process | None = field(init=False, default=None)

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="clearinghouse-ejabberd-"))
        try:
            self._prepare()
            await self.start()
        except BaseException:
            await self._remove()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._remove()

    async def start(self) -> None:
        """Start the server, which keeps its accounts and topics from before, and wait until it listens."""
        user = _other_user()
        with (self._directory / "output.log").open("ab") as output:
            # Its standard input is a pipe that we hold: it ends when we do, however we end.
            self._process = await asyncio.create_subprocess_exec(
                *_command(self._directory),
                cwd=self._directory,
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                for port in (COMPONENT_PORT, CLIENT_PORT, API_PORT):
                    await self._wait_for(port)
        except TimeoutError:
            raise self._did_not_start(f"is not up after {START_SECONDS:g} s") from None

    async def stop(self) -> None:
        """End the server and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def register(self, jid: str, password: str) -> None:
        """Give the bare *jid* an account."""
        user, _, host = jid.partition("@")
        await asyncio.to_thread(self._call, "register", {"user": user, "host": host, "password": password})

    def log_tail(self) -> str:
        """Return the end of what the server said."""
        files = [self._directory / "ejabberd.log", self._directory / "output.log"]
        lines = [line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()]
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _prepare(self) -> None:
        for name in ("database", "home"):
            (self._directory / name).mkdir()
        config = self._directory / "ejabberd.yml"
        config.touch(mode=0o600)
        config.write_text(configuration(self.hosting, self.address, self._token))
        if user := _other_user():
            for path in (self._directory, *self._directory.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)

    async def _remove(self) -> None:
        await self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _wait_for(self, port: int) -> None:
        while True:
            if self._process is None or self._process.returncode is not None:
                raise self._did_not_start("ended at once")
            try:
                _, writer = await asyncio.open_connection(self.address, port)
            except OSError:
                await asyncio.sleep(POLL_SECONDS)
            else:
                writer.close()
                await writer.wait_closed()
                return

    def _did_not_start(self, what: str) -> OperatorError:
        return OperatorError(f"ejabberd at {self.address} {what}", mend=f"its last words were\n{self.log_tail()}")

    def _call(self, command: str, arguments: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(self.address, API_PORT, timeout=START_SECONDS)
        try:
            connection.request("POST", f"/{self._token}/{command}", json.dumps(arguments), {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise OperatorError(f"ejabberd refused `{command}` with HTTP {response.status}", mend=said)

    def _environment(self) -> dict[str, str]:
        directory = str(self._directory)
        return {
            "PATH": os.defpath,
            "HOME": f"{directory}/home",
            "ERL_LIBS": str(_library()),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "EJABBERD_CONFIG_PATH": f"{directory}/ejabberd.yml",
            "EJABBERD_LOG_PATH": f"{directory}/ejabberd.log",
            "CONTRIB_MODULES_PATH": f"{directory}/home",
        }


def is_installed() -> bool:
    """Whether this machine has the Debian package `ejabberd`."""
    return shutil.which("erl") is not None and bool(_packaged())


def _command(directory: Path) -> list[str]:
    # Deep stacks (+sss, in 1024 words): the server's XML parser recurses, and with the usual 1 MB any
    # client ends the whole server with 4,000 nested elements, 28 kB.  No spinning while idle (+sbwt): others need the cores.
    until_we_end = "spawn(fun() -> io:get_line([]), erlang:halt(0) end)."
    idle = ["+sss", "4096", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
    return ["erl", *idle, "-noshell", "-mnesia", "dir", f'"{directory}/database"', "-s", "ejabberd", "-eval", until_we_end]


def _packaged() -> list[Path]:
    return sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))


def _library() -> Path:
    found = _packaged()
    if not found or shutil.which("erl") is None:
        raise MissingPackage("`ejabberd` is not installed", mend="apt-get install --no-install-recommends ejabberd")
    return found[-1].parents[2]


def _other_user() -> pwd.struct_passwd | None:
    """Return whom to become when we are root; Debian's package makes a user of its own."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("ejabberd") or known["nobody"]
