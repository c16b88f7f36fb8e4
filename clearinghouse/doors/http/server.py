"""The listener: TLS 1.2 at least, and a limit for everything that a stranger can make many or slow."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import Final

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from clearinghouse.doors.http.app import Door
from clearinghouse.errors import BadSettings
from clearinghouse.federation.reception import Library
from clearinghouse.settings import Http

log = structlog.get_logger(__name__)

HEAD_SECONDS: Final = 5.0
"""How long a connection may be silent before it asks anything, or between two questions."""

MAX_CONNECTIONS: Final = 2_500
"""Connections at one time, each some 30 kB: one of each agent that waits for news, and room for questions."""

MAX_HEAD_BYTES: Final = 65_536
"""Bytes of a request's head; the envelope that says who reads has 1 kB, with RSA keys 3 kB."""

BACKLOG: Final = 512
"""Connections that wait to be taken: agents of a whole community come back together when we do."""

CLOSING_SECONDS: Final = 2
"""How long answers may still take when we stop."""


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """Where the door is: the port that the system gave, if the settings name none."""

    host: str
    port: int


@asynccontextmanager
async def http_door(settings: Http | None, library: Library | None) -> AsyncIterator[HttpDoor | None]:
    """Serve *library* until the context ends; without either there is no door.  Raises `BadSettings` where it cannot open."""
    if settings is None or library is None:
        yield None
        return
    server = _Server(_config(settings, library))
    with closing(await _bound(settings)) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]), name="http")
        try:
            port = int(bound.getsockname()[1])
            log.info("http_open", host=settings.host, port=port, tls=settings.certificate_file is not None)
            yield HttpDoor(settings.host, port)
        finally:
            server.should_exit = True
            await asyncio.wait([serving])


def _config(settings: Http, library: Library) -> uvicorn.Config:
    if settings.certificate_file is not None:
        _check_certificate(settings)
    return uvicorn.Config(
        Door(library).app(),
        http=_Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=int(HEAD_SECONDS),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        ssl_certfile=settings.certificate_file,
        ssl_keyfile=settings.key_file,
    )


def _check_certificate(settings: Http) -> None:
    certificate, key = settings.certificate_file, settings.key_file
    assert certificate is not None  # noqa: S101 - whoever calls has looked
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(f"`{certificate}` and `{key}` are no certificate with its key ({error})", mend="see [http]") from None


class _Impatient(H11Protocol):
    """Ends a connection that asks nothing; uvicorn itself waits for ever for the first request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._look)

    def _look(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """A server among the service's other tasks: signals are the service's own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def _bound(settings: Http) -> socket.socket:
    """Return a socket that takes connections from now on; uvicorn would end the whole process where it cannot have one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        fact = f"`{settings.host}`, port {settings.port} cannot be listened on ({error.strerror})"
        raise BadSettings(fact, mend="choose another in [http]") from None
