"""One question about a dialback key, carried to one address and back."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import Final

from OpenSSL import SSL

from clearinghouse.doors.s2s.events import StartTls
from clearinghouse.doors.s2s.tls import Certificates
from clearinghouse.doors.s2s.verifying import Question, Verified, Verifying

READ_BYTES: Final = 8_192
"""Bytes that are read at once."""

ANSWER_BYTES: Final = 131_072
"""Bytes of a server altogether: its certificate with the chain, and the little that it says."""

UNREACHABLE: Final = Verified(valid=False, reason="unreachable")
NO_TLS: Final = Verified(valid=False, reason="tls-failed")


async def asked_at(address: str, port: int, question: Question, certificates: Certificates, name: str, *, direct: bool) -> Verified:
    """Ask the server at *address* as *name*; with *direct* TLS begins with the first byte.  Raises `asyncio.CancelledError` only."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as made:
        made.settimeout(0)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(made, (address, port))
            return await _Asking(made, question, certificates, name, direct=direct).answer()
        except SSL.Error:
            return NO_TLS
        except OSError:
            return UNREACHABLE


class _Asking:
    """The machine that asks, on a connection."""

    def __init__(self, made: socket.socket, question: Question, certificates: Certificates, name: str, *, direct: bool) -> None:
        self._sock, self._loop = made, asyncio.get_running_loop()
        self._question, self._certificates = question, certificates
        self._machine = Verifying(question, sender=name, must_tls=False, secure=direct)
        self._tls: SSL.Connection | None = None
        self._read = 0

    async def answer(self) -> Verified:
        """Return what the server says; raises `OSError` and `SSL.Error`."""
        if self._machine.secure:
            await self._secure()
        while True:
            await self._say(self._machine.take())
            found = self._machine.receive(await self._hear())
            if isinstance(found, StartTls):
                await self._secure()
                self._machine.secured()
            elif found is not None:
                await self._say(self._machine.take())
                return found

    async def _secure(self) -> None:
        self._tls = tls = self._certificates.connecting(self._question.claimed)
        while True:
            try:
                tls.do_handshake()
            except SSL.WantReadError:
                await self._flush(tls)
                tls.bio_write(await self._bytes())
            else:
                await self._flush(tls)
                return

    async def _say(self, data: bytes) -> None:
        if self._tls is None:
            await self._loop.sock_sendall(self._sock, data)
        elif data:
            self._tls.send(data)
            await self._flush(self._tls)

    async def _hear(self) -> bytes:
        """Return what comes next, in clear."""
        if self._tls is None:
            return await self._bytes()
        while True:
            try:
                return self._tls.recv(READ_BYTES)
            except SSL.WantReadError:
                self._tls.bio_write(await self._bytes())

    async def _bytes(self) -> bytes:
        """Return what comes next on the line; raises `OSError` where it has ended, or is too much."""
        data = await self._loop.sock_recv(self._sock, READ_BYTES)
        self._read += len(data)
        if not data or self._read > ANSWER_BYTES:
            raise ConnectionAbortedError
        return data

    async def _flush(self, tls: SSL.Connection) -> None:
        try:
            data = tls.bio_read(ANSWER_BYTES)
        except SSL.WantReadError:
            return
        await self._loop.sock_sendall(self._sock, data)
