"""The listener of every HTTP door: TLS 1.2 at least, and a limit for everything that a stranger can make many or slow."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from clearinghouse.errors import BadSettings
from clearinghouse.sockets.gate import Gate

HEAD_SECONDS: Final = 5.0
"""How long a connection may be silent before it asks anything, or between two questions."""

BACKLOG: Final = 512
"""Connections that wait to be taken: agents of a whole community come back together when we do."""

PARTS: Final = 5
"""One address has at most one connection in so many: agents of a whole site may share it, and an attacker has it alone."""

CLOSING_SECONDS: Final = 2
"""How long answers may still take when we stop."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a door listens, and how much it bears: connections at one time, and bytes of a request's head.

    Without a certificate it speaks plain HTTP.  *section* of the settings is what a mend names, *silence* how many
    seconds a connection may ask nothing.
    """

    host: str
    port: int
    section: str
    connections: int
    head_bytes: int
    certificate: Path | None = None
    key: Path | None = None
    silence: float = HEAD_SECONDS


@asynccontextmanager
async def listening(listener: Listener, app: Starlette) -> AsyncIterator[int]:
    """Serve *app* while the block runs, and give the port; raises `BadSettings` where the door cannot be opened."""
    server = _Server(_config(listener, app))
    with closing(await _bound(listener)) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]), name=listener.section)
        try:
            yield int(bound.getsockname()[1])
        finally:
            server.should_exit = True
            await asyncio.wait([serving])


def _config(listener: Listener, app: Starlette) -> uvicorn.Config:
    if listener.certificate is not None:
        _check(listener.certificate, listener.key, listener.section)
    return uvicorn.Config(
        app,
        http=partial(_Impatient, listener.silence),  # type: ignore[arg-type]  # which it calls, and no more
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=listener.connections,
        timeout_keep_alive=int(HEAD_SECONDS),
        h11_max_incomplete_event_size=listener.head_bytes,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        ssl_certfile=listener.certificate,
        ssl_keyfile=listener.key,
    )


def _check(certificate: Path, key: Path | None, section: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        fact = f"`{certificate}` and `{key}` are no certificate with its key ({error})"
        raise BadSettings(fact, mend=f"see [{section}]") from None


class _Impatient(H11Protocol):
    """Ends a connection that asks nothing; uvicorn itself waits for ever for the first request."""

    def __init__(self, silence: float, **given: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        """Bear *silence* seconds."""
        super().__init__(**given)
        self._silence = silence

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self.loop.call_later(self._silence, self._look)

    def _look(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """A server among other tasks of its process, to which the signals belong."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def _bound(listener: Listener) -> socket.socket:
    """Return a socket that takes connections from now on; uvicorn would end the whole process where it cannot have one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(listener.host, listener.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        each = max(1, listener.connections // PARTS)
        return Gate.bound(family, address, most=listener.connections, each=each, backlog=BACKLOG)
    except OSError as error:
        fact = f"`{listener.host}`, port {listener.port} cannot be listened on ({error.strerror})"
        raise BadSettings(fact, mend=f"choose another in [{listener.section}]") from None
