"""A clearinghouse as source, over HTTPS: what we have already is not sent again, and news are waited for."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

import httpx

from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.sources.source import FETCH_SECONDS, WAIT_SECONDS, NoSuchDocument, SourceUnavailable
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import BadSettings
from clearinghouse.federation.published.documents import COMMUNITY
from clearinghouse.federation.published.refusals import EndlessData

MAX_KEPT: Final = 8
"""Small documents that are kept with their ETags: the timestamp, above all, which is asked for each time."""

KEPT_BYTES: Final = 262_144
"""Bytes of a document that is kept so; larger ones have names that change with what is in them."""

MAX_ANSWER_BYTES: Final = 65_536
"""Of what a clearinghouse says of a request: a few members."""

SILENT_SECONDS: Final = 10.0
"""In which a connection is made, and in which something more arrives of what is sent."""


@dataclass(slots=True)
class Https:
    """The clearinghouse at *url*, of which *speaker* asks for *view*."""

    url: str
    speaker: Speaker
    view: str
    ca: Path | None = None
    ahead: timedelta | None = None
    _client: httpx.AsyncClient = field(init=False)
    _kept: OrderedDict[str, tuple[str, bytes]] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        timeout = httpx.Timeout(SILENT_SECONDS)
        # Of the environment nothing is taken: who is asked, and by whom it is vouched for, stands in the settings.
        self._client = httpx.AsyncClient(verify=trusting(self.ca), timeout=timeout, trust_env=False, follow_redirects=False)

    @property
    def place(self) -> str:
        """The URL."""
        return self.url

    async def fetch(self, name: str, *, limit: int) -> bytes:
        """See `Source.fetch`."""
        tag, content = self._kept.get(name, ("", b""))
        headers = {"If-None-Match": tag} if tag else {}
        async with self._asked(f"/v1/documents/{name}", headers, FETCH_SECONDS) as answer:
            if answer.status_code == HTTPStatus.NOT_MODIFIED and tag:
                return content
            if answer.status_code == HTTPStatus.NOT_FOUND:
                raise NoSuchDocument(f"`{self.url}` has no `{name}`", mend="nothing, where it was made anew meanwhile")
            self._check(answer)
            found = await _read(answer, name, limit)
            self._keep(name, answer.headers.get("ETag", ""), found)
            return found

    async def wait(self, view: str, after: str, seconds: float) -> None:
        """See `Source.wait`."""
        async with self._asked(f"/v1/wait?audience={view}&after={after}", {}, min(seconds, WAIT_SECONDS) + SILENT_SECONDS) as answer:
            self._check(answer)

    async def report(self, sealed: bytes) -> None:
        """See `Source.report`."""
        headers = {"Content-Type": "application/json"}
        async with self._asked("/v1/status", headers, SILENT_SECONDS, content=sealed) as answer:
            self._check(answer)

    async def join(self, sealed: bytes) -> str:
        """See `Source.join`."""
        headers = {"Content-Type": "application/json"}
        async with self._asked("/v1/requests", headers, SILENT_SECONDS, content=sealed) as answer:
            self._check(answer)
            said = await _read(answer, "the answer", MAX_ANSWER_BYTES)
        try:
            return str(read_object(said).get("state", ""))
        except ValueError as error:
            raise SourceUnavailable(f"`{self.url}` gives an answer that {error}", mend="see who runs it") from None

    def hears(self, message: Element) -> bool:
        """See `Source.hears`."""
        del message
        return False

    async def close(self) -> None:
        """See `Source.close`."""
        await self._client.aclose()

    @asynccontextmanager
    async def _asked(
        self, path: str, headers: dict[str, str], seconds: float, *, content: bytes | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Ask, signed, and give up in any case after so many *seconds*: a source that trickles must not hold us."""
        audience = EVERYTHING if self.view == COMMUNITY else self.view
        signed = {"Authorization": self.speaker.authorization(audience), "Accept-Encoding": "identity", **headers}
        method = "GET" if content is None else "POST"
        timeout = httpx.Timeout(SILENT_SECONDS, read=min(seconds, WAIT_SECONDS + SILENT_SECONDS))
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, f"{self.url}{path}", headers=signed, timeout=timeout, content=content) as answer,
            ):
                self._compare_clocks(answer.headers.get("Date", ""))
                yield answer
        except (httpx.HTTPError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise SourceUnavailable(f"`{self.url}` does not answer ({said})", mend="it is asked again; see that it runs") from None

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
            mend = "see that the member's record has this agent's key, that policy there lets it do this, and that our clock is right"
            raise SourceUnavailable(f"`{self.url}` answers {answer.status_code}", mend=mend)

    def _keep(self, name: str, tag: str, content: bytes) -> None:
        if not tag or len(content) > KEPT_BYTES:
            return
        self._kept[name] = (tag, content)
        self._kept.move_to_end(name)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def _compare_clocks(self, date: str) -> None:
        try:
            theirs = parsedate_to_datetime(date)
            self.ahead = self.speaker.now() - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
        except (ValueError, OverflowError):  # a date that is none, or of a zone that there is not
            return


async def _read(answer: httpx.Response, name: str, limit: int) -> bytes:
    """Return what is sent, as it is sent: nothing is unpacked before it was counted."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise SourceUnavailable(f"`{name}` comes packed", mend="have it sent as it is: it was asked for so")
    found = bytearray()
    async for piece in answer.aiter_raw():
        found += piece
        if len(found) > limit:
            raise EndlessData(f"`{name}` has more than {limit} bytes", mend="nothing: it is not read any further")
    return bytes(found)


def trusting(ca: Path | None) -> ssl.SSLContext:
    """Return what makes sure whom we talk to: by the certificates in *ca*, or the system's; raises `BadSettings`."""
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(f"`{ca}` holds no certificates ({error})", mend="name a PEM file: `ca` in [[source]]") from None
