"""The process with a key: reads it, says who it is, and signs what its rule allows until nobody asks any more.

It has one thread, opens no network connection, and knows neither settings nor store.  Each connection
begins with a greeting of ours, ``{"role": ..., "principal": ...}``; then each frame ``{"sign": BASE64}`` is
answered with ``{"signed": BASE64}`` or ``{"error": {"code": ..., "message": ..., "mend": ...}}``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from clearinghouse.errors import BadSettings, ClearinghouseError, InternalError
from clearinghouse.keynote.keys import PrivateKey, read_key_file
from clearinghouse.signer.federal import SHAPES, ShapeRule
from clearinghouse.signer.frames import as_bytes, as_text, receive, send
from clearinghouse.signer.hardening import harden
from clearinghouse.signer.rules import DeskRule, LogRule, Role, Rule
from clearinghouse.sockets.unix import listening, peer_user, removed

MAX_CONNECTIONS: Final = 16
"""Connections at once: one service, and what may linger of its last ones."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What a process is started for.

    ``longest`` is how long an approval, a table or the like may count at most.  ``principal`` is the one that the key must be of, if
    it was said.
    """

    role: Role
    key_file: Path
    longest: timedelta
    principal: str = ""
    allow_demo: bool = False

    def rule(self) -> Rule:
        """Return the rule with the key, which is read now."""
        key = read_key_file(self.key_file, allow_demo=self.allow_demo)
        self._check(key)
        match self.role:
            case Role.DESK:
                return DeskRule(key, self.longest, lambda: datetime.now(UTC))
            case Role.LOG:
                return LogRule(key)
            case _:
                return ShapeRule(key, SHAPES[self.role], self.longest)

    def _check(self, key: PrivateKey) -> None:
        if self.principal and key.principal != self.principal:
            raise BadSettings(f"`{self.key_file}` is not the key of `{self.principal}`", mend=f"its principal is `{key.principal}`")


def answer_parent(duty: Duty, descriptor: int) -> int:
    """Serve the one connection *descriptor* that our parent gave us, until it ends; return the exit status.

    Whatever keeps us from that is told over the connection: there is nobody else to tell.
    """
    # A service manager signals every process of a service; the service still has something signed while it ends.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    connection = socket.socket(fileno=descriptor)
    duty = _absolute(duty)
    try:
        harden()
        found: Rule | ClearinghouseError = duty.rule()
    except ClearinghouseError as error:
        found = error
    asyncio.run(_with_parent(duty.role, found, connection))
    return found.exit_code if isinstance(found, ClearinghouseError) else 0


async def _with_parent(role: Role, found: Rule | ClearinghouseError, connection: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    with closing(writer), suppress(ConnectionError):
        if isinstance(found, ClearinghouseError):
            await send(writer, {"error": found.as_json()})
        else:
            await _Desk(role, found).converse(reader, writer)


def listen(duty: Duty, path: Path, user: int) -> None:
    """Serve everybody who runs as *user*, a uid, or as we do, on the socket *path*, until a signal ends us.

    For another user everybody can connect, and the kernel tells us who it is.
    """
    duty, path = _absolute(duty), path.absolute()
    harden()
    desk = _Desk(duty.role, duty.rule(), frozenset({user, os.geteuid()}))
    with closing(listening(path, shared=user != os.geteuid())) as bound:
        try:
            asyncio.run(_listen(desk, bound))
        finally:
            removed(path)


async def _listen(desk: _Desk, bound: socket.socket) -> None:
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    async with await asyncio.start_unix_server(desk.admit, sock=bound):
        await ended.wait()


def _absolute(duty: Duty) -> Duty:
    """Return the duty with a path that holds from every directory."""
    return Duty(duty.role, duty.key_file.absolute(), duty.longest, duty.principal, duty.allow_demo)


@dataclass(slots=True)
class _Desk:
    """Whoever is allowed to ask, asks here; ``users`` are uids, none for a connection that was given to us."""

    role: Role
    rule: Rule
    users: frozenset[int] = frozenset()
    _open: int = field(default=0)

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection of somebody who may ask; hang up on everybody else."""
        with closing(writer), suppress(ConnectionError):
            if self._open < MAX_CONNECTIONS and peer_user(writer) in self.users:
                self._open += 1
                try:
                    await self.converse(reader, writer)
                finally:
                    self._open -= 1

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, then answer each frame; a frame that is none ends the connection."""
        await send(writer, {"role": self.role, "principal": self.rule.key.principal})
        while True:
            try:
                request = await receive(reader)
            except ClearinghouseError as error:
                await send(writer, {"error": error.as_json()})
                return
            if request is None:
                return
            await send(writer, self._answer(request))

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"signed": as_text(self.rule.signed(as_bytes(request.get("sign"))))}
        except ClearinghouseError as error:
            return {"error": error.as_json()}
        except Exception as error:  # noqa: BLE001 - one hostile text must not end the desk; it learns the name of the mistake
            return {"error": InternalError(f"the signer failed ({type(error).__name__})", mend="report what was asked").as_json()}
