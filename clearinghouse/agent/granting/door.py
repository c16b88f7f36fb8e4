"""Where signed requests come in over HTTPS: ``POST /v1/requests``, with the envelope as it is.

Whoever can reach the port may ask; an envelope that is not right costs what its size costs, and nothing else is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clearinghouse.agent.granting.requests import Requests
from clearinghouse.clearing.dsse import MAX_ENVELOPE_BYTES
from clearinghouse.doors.http.listener import Listener, listening
from clearinghouse.errors import ClearinghouseError, InternalError, MalformedRequest, TooLarge
from clearinghouse.sockets.gate import address_of

log = structlog.get_logger(__name__)

PATH: Final = "/v1/requests"
BODY_SECONDS: Final = 10.0
"""How long a request may take to arrive once its head is here; 256 kB take 4 s over a slow line."""
MAX_CONNECTIONS: Final = 256
"""Connections at one time; each takes some 30 kB."""
TOGETHER: Final = 32
"""Requests in work together; one takes 2 to 40 ms."""
MAX_HEAD_BYTES: Final = 16_384
"""Bytes of a request's head."""


@dataclass(frozen=True, slots=True)
class Door:
    """Answers requests that come over HTTP."""

    requests: Requests
    turns: asyncio.Semaphore

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(routes=[Route(PATH, self.post, methods=["POST"])])

    async def post(self, request: Request) -> Response:
        """Answer one envelope."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                raw = await _body(request)
            async with self.turns:
                answer = await self.requests.answer(raw, via=_address_of(request))
        except ClearinghouseError as error:
            return _refusal(error)
        except TimeoutError:
            return _refusal(MalformedRequest("the request did not arrive in time", mend=f"send it within {BODY_SECONDS:g} seconds"))
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("request_failed")
            return _refusal(InternalError("answering this failed", mend="ask again later"))
        return JSONResponse(answer.as_json())


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_ENVELOPE_BYTES:
            raise TooLarge("the request is too large", mend=f"at most {MAX_ENVELOPE_BYTES} bytes are read")
    return bytes(found)


def _address_of(request: Request) -> str:
    return f"ip:{address_of(request.client.host if request.client is not None else '')}"


def _refusal(error: ClearinghouseError) -> Response:
    """Return the error as an answer: what it says is about the request alone, and never about policy (rule R22)."""
    return JSONResponse({"error": error.as_json()}, status_code=error.http_status)


@asynccontextmanager
async def serving(app: Starlette, host: str, port: int, *, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Serve *app* over TLS while the block runs, and give the port; raises `BadSettings` where it cannot."""
    async with listening(Listener(host, port, "requests", MAX_CONNECTIONS, MAX_HEAD_BYTES, certificate, key), app) as given:
        yield given
