"""A private PostgreSQL on loopback, from Debian's programs: made in a directory of its own, and gone when we are gone.

It belongs to no event loop, so that one cluster serves all tests of a process.  Every database has one owner,
who proves a password (SCRAM), and nobody else is let in.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from clearinghouse.demo.servers import POLL_SECONDS, START_SECONDS, STOP_SECONDS, other_user
from clearinghouse.errors import MissingPackage, OperatorError

OWNER: Final = "clearinghouse"
"""The role that owns the cluster and every database in it."""

_PROGRAMS: Final = Path("/usr/lib/postgresql")

_INITIAL: Final = ("--no-sync", "--encoding=UTF8", "--locale=C", f"--username={OWNER}", "--auth=scram-sha-256")

_SETTINGS: Final = {
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "60",
    "authentication_timeout": "5s",  # a client that is cut off meanwhile keeps a database from being dropped
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "warning",
}

_KEEPER: Final = '"$@" </dev/null & server=$!; read -r _; kill -s QUIT $server; wait $server'
"""Ends the server at once when its own standard input ends, which we hold: however we end, the server does too."""


@dataclass(slots=True)
class Cluster:
    """One server with any number of databases; made by `cluster`."""

    directory: Path
    address: str = "127.0.0.1"
    port: int = 0
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    durable: bool = False
    _keeper: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, name: str) -> str:
        """Return the URL of a database, with the password in it."""
        return f"postgresql://{OWNER}:{self.password}@{self.address}:{self.port}/{name}"

    def database(self) -> str:
        """Make an empty database; return its name."""
        name = f"db{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, text: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement in a transaction of its own; return the rows that it gives."""
        import psycopg  # noqa: PLC0415 - the driver is a group of its own

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(text.encode())
            return found.fetchall() if found.description else []

    def start(self) -> None:
        """Start the server, with what its databases held before, and wait until it answers."""
        command = [_program("postgres"), "-D", str(self._data), "-p", str(self.port)]
        with (self.directory / "output.log").open("ab") as output:
            self._keeper = subprocess.Popen(  # noqa: S603 - Debian's program, in our directory
                ["/bin/sh", "-c", _KEEPER, "sh", *command], stdin=subprocess.PIPE, stdout=output, stderr=output, **_rights()
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise OperatorError(f"postgresql at {self.address}:{self.port} is not up", mend=f"its last words were\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the server at once, as a crash does: what was committed is there when it starts again."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        assert keeper.stdin is not None  # noqa: S101 - opened as a pipe
        keeper.stdin.close()
        try:
            keeper.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            keeper.wait()

    def restart(self) -> None:
        """End the server at once, and start it again."""
        self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send *number* to the server's first process and all that belong to it: SIGSTOP makes it hang, SIGCONT go on."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for process in (first, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def log_tail(self) -> str:
        """Return the end of what the server said."""
        log = self.directory / "output.log"
        return log.read_text(errors="replace")[-2_000:] if log.exists() else ""

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def make(self) -> None:
        """Make the files of an empty cluster."""
        secret = self.directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if user := other_user("postgres"):
            for path in (self.directory, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        command = [_program("initdb"), "-D", str(self._data), f"--pwfile={secret}", *_INITIAL]
        made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **_rights())  # noqa: S603 - as above
        if made.returncode != 0:
            raise OperatorError("initdb failed", mend=made.stderr.decode(errors="replace"))
        settings = _SETTINGS | {"listen_addresses": self.address, "fsync": "on" if self.durable else "off"}
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - as above

        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Run a cluster; raises `MissingPackage` where PostgreSQL is not installed.

    What is committed survives the death of every process; with *durable* it survives that of the machine too, and takes longer.
    """
    directory = Path(tempfile.mkdtemp(prefix="clearinghouse-postgres-"))
    made = Cluster(directory, port=_free_port(), durable=durable)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _program(name: str) -> str:
    """Return Debian's newest program of that name; it is on nobody's path."""
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda each: int(each.parts[-3]))
    if not found:
        raise MissingPackage("`postgresql` is not installed", mend="apt-get install --no-install-recommends postgresql")
    return str(found[-1])


def _rights() -> dict[str, Any]:
    """Return as whom its programs run: they refuse to be root."""
    user = other_user("postgres")
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
