"""Fetches the requests that the clearinghouse keeps for us, where nobody can reach us, and brings back our answers.

The clearinghouse passes on what it cannot read into anything else: who asks is who signed, and we alone decide.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog

from clearinghouse.agent.asking.post import Wires
from clearinghouse.agent.granting.requests import RELAY, Requests
from clearinghouse.clearing.dsse import MAX_ENVELOPE_BYTES
from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import ClearinghouseError, InternalError

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 25
"""How long one question waits for something to come."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds after the clearinghouse did not answer: doubled from the first to the longest."""
MAX_BOX_BYTES: Final = 16 * (4 * MAX_ENVELOPE_BYTES // 3 + 1_024)
"""Bytes of one delivery: sixteen of the largest envelopes."""
MAX_TICKET_CHARACTERS: Final = 256
"""Characters of a request's name at the clearinghouse."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Answers what comes through the clearinghouse at *url*; *sign* gives the header that shows for whom we ask."""

    url: str
    wires: Wires
    sign: Callable[[], str]
    requests: Requests

    async def run(self) -> None:
        """Fetch and answer until cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self.round()
                pause = FIRST_PAUSE
            except ClearinghouseError as error:
                log.warning("relay_away", reason=error.message, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def round(self) -> None:
        """Wait once for requests, and answer them; raises `AgentUnreachable` where the clearinghouse does not answer."""
        headers = {"Authorization": self.sign()}
        status, body = await self.wires.sent("GET", f"{self.url}/v1/inbox?wait={WAIT_SECONDS}", headers=headers, limit=MAX_BOX_BYTES)
        if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise InternalError(f"the clearinghouse answers {status} to our inbox", mend="see that our record has this agent's key")
        await asyncio.gather(*(self._answer(ticket, raw) for ticket, raw in _delivered(body)))

    async def _answer(self, ticket: str, raw: bytes) -> None:
        try:
            told: dict[str, Any] = (await self.requests.answer(raw, via=RELAY)).as_json()
        except ClearinghouseError as error:
            told = {"error": error.as_json()}
        except Exception:
            log.exception("request_failed")
            told = {"error": InternalError("answering this failed", mend="ask again later").as_json()}
        url = f"{self.url}/v1/outbox?id={quote(ticket, safe='')}"
        await self.wires.sent("POST", url, content=json.dumps(told).encode(), headers={"Authorization": self.sign()})


def _delivered(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and envelopes; what is not right is left out, and forgotten by the clearinghouse after its time."""
    try:
        found = read_object(body).get("requests") if body else None
    except ValueError:
        found = None
    for each in found if isinstance(found, list) else ():
        ticket, envelope = (each.get(name) if isinstance(each, dict) else None for name in ("id", "envelope"))
        if isinstance(ticket, str) and len(ticket) <= MAX_TICKET_CHARACTERS and isinstance(envelope, str):
            try:
                yield ticket, base64.b64decode(envelope, validate=True)
            except (binascii.Error, ValueError):
                continue
