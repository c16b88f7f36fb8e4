"""How a request reaches the agent of a target: straight over HTTPS or XMPP, or through the clearinghouse where there is no direct way.

A way that does not answer says so, and the next one is tried with a request of its own: one that may have arrived is
never sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import quote

import httpx

from clearinghouse.agent.granting.answers import MAX_ANSWER_BYTES, Answer, read_answer
from clearinghouse.agent.granting.door import PATH
from clearinghouse.agent.granting.window import answer_of_reply
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import BadSettings, BrokerUnavailable, MalformedRequest, Unavailable
from clearinghouse.grid.requests import write_envelope
from clearinghouse.grid.stanzas import StanzaRefused, Stanzas

SILENT_SECONDS: Final = 8.0
"""In which an agent has to answer; it takes 50 ms to refuse, and a module holds a stanza for 30 s."""
WHOLE_SECONDS: Final = 30.0
"""In which an answer is complete, also one of the clearinghouse that waits for something to come."""
RELAY_SECONDS: Final = 20.0
"""In which an answer has to come through the clearinghouse, whose polls last 25 s."""
RELAY_PAUSE_SECONDS: Final = 0.5
"""Between questions whether the answer is there."""

_is_code = str.isidentifier


class AgentUnreachable(Unavailable):
    """The target's agent does not answer, on any way that there is."""

    code: ClassVar[str] = "agent-unreachable"


class Way(Protocol):
    """One way to an agent."""

    async def ask(self, envelope: bytes) -> Answer:
        """Return what the agent answers; raises `AgentUnreachable`."""


@dataclass(slots=True)
class Wires:
    """HTTPS connections, which are kept; *ca* is the file of certificates that vouch for agents, the system's without one."""

    ca: Path | None = None
    _client: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The client, made when it is first needed."""
        if self._client is None:
            try:
                context = ssl.create_default_context(cafile=self.ca)
            except (OSError, ssl.SSLError) as error:
                raise BadSettings(f"`{self.ca}` holds no certificates ({error})", mend="name a PEM file") from None
            # Of the environment nothing is taken: who is asked stands in signed records, or on the command line.
            timeout = httpx.Timeout(SILENT_SECONDS, read=WHOLE_SECONDS)
            self._client = httpx.AsyncClient(verify=context, timeout=timeout, trust_env=False, follow_redirects=False)
        return self._client

    async def close(self) -> None:
        """Let go."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def sent(
        self, method: str, url: str, *, content: bytes = b"", headers: dict[str, str] | None = None, limit: int = MAX_ANSWER_BYTES
    ) -> tuple[int, bytes]:
        """Return status and body; raises `AgentUnreachable`."""
        kind = {"Content-Type": "application/json"} if content else {}
        try:
            async with (
                asyncio.timeout(WHOLE_SECONDS),
                self.client.stream(method, url, content=content, headers=kind | (headers or {})) as answer,
            ):
                found = bytearray()
                async for piece in answer.aiter_bytes():
                    found += piece
                    if len(found) > limit:
                        raise MalformedRequest("the answer is too long", mend="ask who runs the agent")
                return answer.status_code, bytes(found)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise AgentUnreachable(f"`{url}` does not answer ({said})", mend="ask again later") from None


@dataclass(frozen=True, slots=True)
class ByHttps:
    """The agent at *url*."""

    url: str
    wires: Wires

    async def ask(self, envelope: bytes) -> Answer:
        """See `Way.ask`."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                return _answer(*await self.wires.sent("POST", f"{self.url.rstrip('/')}{PATH}", content=envelope))
        except TimeoutError:
            raise AgentUnreachable(f"`{self.url}` does not answer", mend="ask again later") from None


@dataclass(frozen=True, slots=True)
class ByXmpp:
    """The agent whose component has the address *jid*."""

    jid: str
    stanzas: Stanzas

    async def ask(self, envelope: bytes) -> Answer:
        """See `Way.ask`."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                return answer_of_reply(await self.stanzas.ask(self.jid, "set", write_envelope(envelope)))
        except StanzaRefused as error:
            if error.condition in _AWAY:
                raise AgentUnreachable(f"`{self.jid}` cannot be reached ({error.condition})", mend="ask again later") from None
            return _told("refused", error.condition)
        except (BrokerUnavailable, TimeoutError):
            raise AgentUnreachable(f"`{self.jid}` does not answer", mend="ask again later") from None


@dataclass(frozen=True, slots=True)
class ByRelay:
    """The clearinghouse at *url*, which passes requests on; *sign* gives the header that shows whose answer is wanted."""

    url: str
    wires: Wires
    sign: Callable[[], str]

    async def ask(self, envelope: bytes) -> Answer:
        """See `Way.ask`."""
        status, body = await self.wires.sent("POST", f"{self.url}{PATH}?{_WAIT}", content=envelope)
        if status != HTTPStatus.ACCEPTED:
            return _answer(status, body)
        try:
            async with asyncio.timeout(RELAY_SECONDS):
                return await self._waited(f"{self.url}/v1/answers/{quote(_ticket(body), safe='')}?{_WAIT}")
        except TimeoutError:
            raise AgentUnreachable("no answer came through the clearinghouse in time", mend="ask again later") from None

    async def _waited(self, url: str) -> Answer:
        while True:
            status, body = await self.wires.sent("GET", url, headers={"Authorization": self.sign()})
            if status not in {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
                return _answer(status, body)
            await asyncio.sleep(RELAY_PAUSE_SECONDS)


async def asked(ways: Sequence[Way], make: Callable[[], bytes]) -> Answer:
    """Return the first answer that any of *ways* gives to a request that *make* signs for it; raises `AgentUnreachable`."""
    last = AgentUnreachable("there is no way to the agent on record", mend="see the member's record")
    for way in ways:
        try:
            return await way.ask(make())
        except AgentUnreachable as error:
            last = error
    raise last


_AWAY: Final = frozenset({"remote-server-not-found", "remote-server-timeout", "service-unavailable", "recipient-unavailable"})
"""Conditions with which servers say that nobody was asked."""


def _answer(status: int, body: bytes) -> Answer:
    code = _code(body)
    if status == HTTPStatus.OK and code is None:
        return read_answer(body)
    if code is None:  # no agent at all, such as a gateway in front of it
        raise AgentUnreachable(f"there is no agent: it answers {status}", mend="see the address on record")
    return _told("unanswered" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused", code)


def _told(outcome: str, code: str) -> Answer:
    return Answer("", Outcome(outcome).value, "deny", code, reason=f"the agent answers `{code}`")


def _code(body: bytes) -> str | None:
    found = _object(body).get("error")
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, str) and _is_code(code.replace("-", "_")) and len(code) <= _LONGEST_CODE else None


def _ticket(body: bytes) -> str:
    found = _object(body).get("id")
    if not isinstance(found, str) or not 1 <= len(found) <= _LONGEST_TICKET:
        raise MalformedRequest("the clearinghouse names no ticket", mend="see that it is a clearinghouse of this version")
    return found


def _object(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body)
    except ValueError:
        return {}


_WAIT: Final = "wait=10"
"""What the clearinghouse is asked to wait for an answer, in seconds: half of what we wait in all."""
_LONGEST_CODE: Final = 64
_LONGEST_TICKET: Final = 256
