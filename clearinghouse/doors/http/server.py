"""The clearinghouse's own door: where it listens as the settings say, and how much it bears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from clearinghouse.doors.http.app import Door
from clearinghouse.doors.http.listener import Listener, listening
from clearinghouse.federation.membership.reception import Library
from clearinghouse.settings import Http

log = structlog.get_logger(__name__)

MAX_CONNECTIONS: Final = 2_500
"""Connections at one time, each some 30 kB: one of each agent that waits for news, and room for questions."""

MAX_HEAD_BYTES: Final = 65_536
"""Bytes of a request's head; the envelope that says who reads has 1 kB, with RSA keys 3 kB."""


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
    async with listening(_listener(settings), Door(library).app()) as port:
        log.info("http_open", host=settings.host, port=port, tls=settings.certificate_file is not None)
        yield HttpDoor(settings.host, port)


def _listener(settings: Http) -> Listener:
    files = settings.certificate_file, settings.key_file
    return Listener(settings.host, settings.port, "http", MAX_CONNECTIONS, MAX_HEAD_BYTES, *files)
