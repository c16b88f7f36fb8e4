"""Where signed requests come in over XMPP: the ``<envelope/>`` to the agent's own address, from whatever domain our server proved.

Everybody may hand one in, and what counts is who signed it.  Answers repeat nothing of the question, and whoever is no
signer of something that is right learns a code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from json import dumps
from typing import Final
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.agent.granting.answers import Answer, read_answer
from clearinghouse.agent.granting.requests import Requests
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.doors.xmpp.crowd import Crowd
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError, MalformedRequest, PeerError
from clearinghouse.grid.namespaces import CLEARINGHOUSE
from clearinghouse.grid.requests import ENVELOPE, read_envelope
from clearinghouse.grid.stanzas import error_reply, reply_to
from clearinghouse.grid.topics import Subscriber

log = structlog.get_logger(__name__)

TOGETHER: Final = 32
"""Requests in work together; one takes 2 to 40 ms."""
CLOSING_SECONDS: Final = 5.0
"""How long requests may still take when we stop."""

ANSWER: Final = f"{{{CLEARINGHOUSE}}}answer"


@dataclass(slots=True)
class Window:
    """Serves at the address *us*; ``take`` is what an `Exchange` gives questions to that nobody else takes."""

    us: str
    write: Callable[[Element], None]
    requests: Requests
    _crowd: Crowd = field(default_factory=lambda: Crowd(TOGETHER))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, iq: Element) -> bool:
        """Take an ``<iq/>`` with an envelope; whether it was one."""
        if iq.get("type") != "set" or len(iq) != 1 or iq[0].tag != ENVELOPE or iq.get("to") != self.us or not iq.get("id"):
            return False
        try:
            asker = read_subscriber(iq.get("from", ""))
        except PeerError:
            return False
        try:
            self._crowd.enter(asker)
        except ClearinghouseError as error:
            self._reply(_refusal(iq, error))
            return True
        task = asyncio.ensure_future(self._serve(iq, asker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Let what was begun come to its end, for some seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
        for task in self._tasks:
            task.cancel()

    async def _serve(self, iq: Element, asker: Subscriber) -> None:
        try:
            answer = await self.requests.answer(read_envelope(iq[0]), via=f"xmpp:{asker.domain}")
            reply = reply_to(iq, payload=write_answer(answer))
        except ClearinghouseError as error:
            reply = _refusal(iq, error)
        except Exception:
            log.exception("request_failed", asker=asker.domain)
            reply = error_reply(iq, "internal-server-error")
        finally:
            self._crowd.leave(asker)
        self._reply(reply)

    def _reply(self, reply: Element) -> None:
        with suppress(BrokerUnavailable):  # a question does not survive the session that it came by
            self.write(reply)


def _refusal(iq: Element, error: ClearinghouseError) -> Element:
    return error_reply(iq, error.stanza_condition, detail=error.code, namespace=CLEARINGHOUSE)


def write_answer(answer: Answer) -> Element:
    """Return the ``<answer/>``, which holds the same JSON as over HTTP."""
    element = Element(ANSWER)
    element.text = dumps(answer.as_json())
    return element


def answer_of_reply(reply: Element) -> Answer:
    """Return the answer in the result *reply*; raises `MalformedRequest`."""
    if len(reply) != 1 or reply[0].tag != ANSWER or len(reply[0]):
        raise MalformedRequest("the agent's answer is none", mend="ask who runs it")
    return read_answer((reply[0].text or "").encode())
