"""From one HTTP request to the library, and back; whoever is no member learns nothing but that there is a door."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeVar

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clearinghouse.clearing.people import NoSuchThing, NotEntitled
from clearinghouse.clearing.senders import RateLimited
from clearinghouse.doors.http.turns import Turns
from clearinghouse.errors import ClearinghouseError, InternalError, MalformedRequest, TooLarge, Unavailable
from clearinghouse.federation.membership.reception import LONGEST_WAIT, MAX_ASKED_BYTES, Answer, Copy, Library, Reader
from clearinghouse.sockets.gate import address_of

log = structlog.get_logger(__name__)

BODY_SECONDS: Final = 10.0
"""Until a body has arrived; 256 kB take 4 s over a slow line."""

MAX_WAITING: Final = 2_000
"""Questions for news that are open together, about 20 kB each; beyond that agents ask again after a while."""

STRANGER_SECONDS: Final = 0.02
"""The least time to a refusal: looking somebody up must not show whether there was anything to find (rule R22)."""

SCHEME: Final = "DSSE "
"""Begins the header in which a sealed envelope says who reads."""

_T = TypeVar("_T")

Handler = Callable[["Door", Request], Awaitable[Response]]


@dataclass(slots=True)
class Door:
    """Answers requests from the ``library``."""

    library: Library
    _turns: Turns = field(default_factory=Turns)
    _open: int = 0

    def app(self) -> Starlette:
        """Return the application."""
        routes = [Route(path, self._answering(handler), methods=[method]) for path, method, handler in ROUTES]
        return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})

    def _answering(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            began = asyncio.get_running_loop().time()
            try:
                self.library.paced(_address_of(request))
                return await handler(self, request)
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)
            except (NoSuchThing, NotEntitled):
                await asyncio.sleep(began + STRANGER_SECONDS - asyncio.get_running_loop().time())
                return _nothing()
            except ClearinghouseError as error:
                return _refusal(error)
            except Exception:
                log.exception("http_failed", path=request.url.path)
                return _refusal(InternalError("answering this failed", mend="ask again later"))

        return answer

    # -- reading

    async def document(self, request: Request) -> Response:
        """Give a document away, unless the reader has it already."""
        reader = await self._reader(request)
        return _given(request, self.library.copy(reader, request.path_params["name"]))

    async def wait(self, request: Request) -> Response:
        """Wait for another timestamp than the reader has."""
        reader = await self._reader(request)
        if self._open >= MAX_WAITING:
            raise Unavailable("too many wait already", mend="ask again in a minute")
        audience, after = request.query_params.get("audience", ""), request.query_params.get("after", "")
        self._open += 1
        try:
            found = await _unless_gone(request, self.library.newer(reader, audience, after, LONGEST_WAIT))
        finally:
            self._open -= 1
        return Response(status_code=HTTPStatus.NO_CONTENT) if found is None else _given(request, found)

    # -- handing in

    async def status(self, request: Request) -> Response:
        """Take an agent's report."""
        return await self._taken(request, None)

    async def requests(self, request: Request) -> Response:
        """Take a request to join, one for another member's agent, or whatever else somebody signed."""
        try:
            by = await self._reader(request) if "authorization" in request.headers else None
        except NoSuchThing:  # whoever hands it in, it speaks for its signers
            by = None
        return await self._taken(request, by)

    async def _taken(self, request: Request, by: Reader | None) -> Response:
        async with self._turns.of(_address_of(request)):
            raw = await _body(request)
        return _answered(await self.library.hand_in(raw, by=by, peer=_address_of(request), seconds=_seconds(request)))

    # -- the relay

    async def inbox(self, request: Request) -> Response:
        """Give an agent what waits for it."""
        reader = await self._reader(request)
        found = await _unless_gone(request, self.library.waiting(reader, _seconds(request)))
        waiting = [{"id": name, "envelope": base64.b64encode(raw).decode("ascii")} for name, raw in (found or {}).items()]
        return JSONResponse({"requests": waiting})

    async def outbox(self, request: Request) -> Response:
        """Take an agent's answer."""
        reader = await self._reader(request)
        async with self._turns.of(_address_of(request)):
            raw = await _body(request)
        self.library.answered(reader, request.query_params.get("id", ""), raw)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def answer(self, request: Request) -> Response:
        """Give an answer to whoever asked, once there is one."""
        found = await _unless_gone(request, self.library.answer(_envelope(request), request.path_params["id"], _seconds(request)))
        return Response(status_code=HTTPStatus.NO_CONTENT) if found is None else Response(found, media_type="application/json")

    async def health(self, _: Request) -> Response:
        """Say that the door is open, and nothing about what is behind it."""
        return JSONResponse({"status": "ok"})

    # -- parts

    async def _reader(self, request: Request) -> Reader:
        return await self.library.signed(_envelope(request))


ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("/v1/documents/{name:path}", "GET", Door.document),
    ("/v1/wait", "GET", Door.wait),
    ("/v1/status", "POST", Door.status),
    ("/v1/requests", "POST", Door.requests),
    ("/v1/inbox", "GET", Door.inbox),
    ("/v1/outbox", "POST", Door.outbox),
    ("/v1/answers/{id}", "GET", Door.answer),
    ("/v1/health", "GET", Door.health),
)
"""Every path, its method, and who answers."""

_STATES: Final = {"relayed": HTTPStatus.ACCEPTED, "waits": HTTPStatus.ACCEPTED}


def _envelope(request: Request) -> bytes:
    """Return what the request says of who reads; nothing where it says nothing that can be read."""
    header = request.headers.get("authorization", "")
    try:
        return base64.b64decode(header.removeprefix(SCHEME), validate=True) if header.startswith(SCHEME) else b""
    except (binascii.Error, ValueError):
        return b""


def _given(request: Request, found: Copy) -> Response:
    tag = f'"{found.tag}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", "").replace("W/", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(found.body, media_type="application/json", headers=headers)


def _answered(answer: Answer) -> Response:
    if answer.body:
        return Response(answer.body, media_type="application/json", headers={"Clearinghouse-Request": str(answer.told.get("id", ""))})
    return JSONResponse({"state": answer.state, **answer.told}, status_code=_STATES.get(answer.state, HTTPStatus.OK))


def _refusal(error: ClearinghouseError) -> Response:
    """Return an error about the request itself, which says nothing of anybody."""
    headers = {"Retry-After": "5"} if isinstance(error, Unavailable) else {}
    status = HTTPStatus.TOO_MANY_REQUESTS if isinstance(error, RateLimited) else error.http_status
    return JSONResponse({"error": error.as_json()}, status_code=status, headers=headers)


def _nothing() -> Response:
    return _refusal(NoSuchThing("there is no such thing", mend="ask as a member, for what members have"))


async def _no_route(_: Request, __: Exception) -> Response:
    await asyncio.sleep(STRANGER_SECONDS)
    return _nothing()


async def _body(request: Request) -> bytes:
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                found += piece
                if len(found) > MAX_ASKED_BYTES:
                    raise TooLarge("the body is too large", mend=f"at most {MAX_ASKED_BYTES} bytes are read")
    except TimeoutError:
        raise MalformedRequest("the body did not arrive in time", mend=f"send it within {BODY_SECONDS:g} seconds") from None
    return bytes(found)


async def _unless_gone(request: Request, waiting: Awaitable[_T]) -> _T | None:
    """Return what *waiting* comes to, unless whoever asked hangs up before."""
    work = asyncio.ensure_future(waiting)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _seconds(request: Request) -> float:
    """Return how long somebody wants to wait, in whole seconds."""
    text = request.query_params.get("wait", "")
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdecimal() and len(text) < 4 else 0.0  # noqa: PLR2004 - digits


def _address_of(request: Request) -> str:
    return address_of(request.client.host if request.client is not None else "")
