"""Answers IQs to the clearinghouse's own address: one table says which there are, and everybody else's are strangers'.

Each is answered by a task of its own, of which there are only so many; replies repeat nothing that was received.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.people import Changed, Ruling, Speaker
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.doors.xmpp.chat import Chat
from clearinghouse.doors.xmpp.crowd import Crowd
from clearinghouse.doors.xmpp.documents import (
    DOCUMENT,
    INBOX,
    OUTBOX,
    read_document,
    read_outbox,
    write_answer,
    write_document,
    write_inbox,
)
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError, OperatorError, PeerError
from clearinghouse.federation.membership.reception import MAX_ASKED_BYTES, Library, Reader
from clearinghouse.grid.commands import COMMAND, CommandRefused
from clearinghouse.grid.namespaces import CLEARINGHOUSE, COMMANDS
from clearinghouse.grid.paging import INFO, ITEMS, about_commands, about_us, read_page, write_commands, write_topics
from clearinghouse.grid.reception import Reception, TopicPage
from clearinghouse.grid.requests import ENVELOPE, REQUEST, read_envelope, read_request, write_changed, write_decision, write_ruling
from clearinghouse.grid.stanzas import error_reply, reply_to
from clearinghouse.grid.texts import plain
from clearinghouse.grid.topics import Subscriber

log = structlog.get_logger(__name__)

MAX_SAID_CHARACTERS: Final = 500
"""Characters of an error's text: two sentences."""

CLOSING_SECONDS: Final = 5.0
"""How long questions may still take when we stop; the longest, an approval with its signature, takes 50 ms."""

REFUSAL_SECONDS: Final = 0.05
"""The least time to a refusal: one that is written down first takes 5 ms, and one about a topic that is not there
would take none, which would tell strangers what there is (rule R22)."""

RELAY_SECONDS: Final = 20.0
"""How long a request that is passed on to another agent waits here for its answer; clients wait for 30 s at the least."""

Write: TypeAlias = Callable[[Element], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """One question: what is asked, by whom, and who of the settings' persons that is, if any."""

    payload: Element
    asker: Subscriber
    who: Speaker | None


class _Stranger(PeerError):
    """There is no such question for this asker: the answer is the one that all strangers get (rule R22)."""

    stanza_condition = "service-unavailable"


@dataclass(slots=True)
class Counter:
    """Where people, platforms and agents are served, at the address *us*; ``write`` is as for `Exchange`.

    ``library`` is what members' agents read and hand in to, where there is a federation.
    """

    us: str
    write: Write
    library: Library | None = None
    chat: Chat = field(default_factory=lambda: Chat(lambda: asyncio.get_running_loop().time()))
    _people: Crowd = field(default_factory=Crowd)
    _others: Crowd = field(default_factory=Crowd)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, iq: Element, reception: Reception) -> bool:
        """Take an ``<iq/>`` of type ``get`` or ``set``; whether it was one that is answered here, now or later."""
        answer = ANSWERS.get((iq.get("type", ""), iq[0].tag)) if len(iq) == 1 else None
        if answer is None or iq.get("to") != self.us or not iq.get("id"):
            return False
        try:
            asker = read_subscriber(iq.get("from", ""))
        except PeerError:
            return False
        visit = Visit(iq[0], asker, reception.person(asker.bare))
        crowd = self._others if visit.who is None else self._people
        try:
            crowd.enter(asker)
        except ClearinghouseError as error:
            self._reply(_refusal(iq, error, visit))
        else:
            self._begin(self._serve(iq, visit, crowd, answer(self, reception, visit)))
        return True

    async def close(self) -> None:
        """Let what was begun come to its end, for some seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
        for task in self._tasks:
            task.cancel()

    def _begin(self, serving: Awaitable[None]) -> None:
        task = asyncio.ensure_future(serving)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, iq: Element, visit: Visit, crowd: Crowd, answering: Awaitable[Element]) -> None:
        try:
            reply = reply_to(iq, payload=await answering)
        except ClearinghouseError as error:
            reply = _refusal(iq, error, visit)
        except Exception:
            # A mistake of ours is no answer, and it must not leave the asker waiting, nor end the session.
            log.exception("question_failed", asker=visit.asker.full, payload=visit.payload.tag)
            reply = error_reply(iq, "internal-server-error")
        finally:
            crowd.leave(visit.asker)
        self._reply(reply)

    def _reply(self, reply: Element) -> None:
        with suppress(BrokerUnavailable):  # a question does not survive the session that it came by
            self.write(reply)

    async def command(self, reception: Reception, visit: Visit) -> Element:
        """Do one step of an ad-hoc command."""
        return await self.chat.step(reception.office, _person(visit), visit.asker.full, visit.payload)

    async def request(self, reception: Reception, visit: Visit) -> Element:
        """Rule on what a platform asks."""
        asked = read_request(visit.payload, visit.asker)
        due = asyncio.get_running_loop().time() + REFUSAL_SECONDS
        answered = await reception.platform_asked(asked)
        if answered.outcome == Outcome.REFUSED:
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        return write_decision(answered)

    async def document(self, _: Reception, visit: Visit) -> Element:
        """Give a piece of a published document to a member's agent."""
        name, offset = read_document(visit.payload)
        library, reader = self._reader(visit)
        return write_document(name, library.copy(reader, name).body, offset)

    async def inbox(self, _: Reception, visit: Visit) -> Element:
        """Give an agent a request that waits for it."""
        library, reader = self._reader(visit)
        return write_inbox(await library.waiting(reader, 0))

    async def outbox(self, _: Reception, visit: Visit) -> Element:
        """Take an agent's answer."""
        library, reader = self._reader(visit)
        library.answered(reader, *read_outbox(visit.payload, MAX_ASKED_BYTES))
        return Element(OUTBOX)

    def _reader(self, visit: Visit) -> tuple[Library, Reader]:
        """Return the library, and the member that asks; everybody else is a stranger."""
        if self.library is None:
            raise _Stranger("there is no federation")
        try:
            return self.library, self.library.proven(visit.asker.full)
        except PeerError:
            raise _Stranger("no member of ours") from None

    async def envelope(self, reception: Reception, visit: Visit) -> Element:
        """Do what a signed envelope asks for, whoever brings it."""
        reception.paced(visit.asker)
        sealed = read_envelope(visit.payload)
        if self.library is not None and self.library.takes(sealed):
            return write_answer(await self.library.hand_in(sealed, speaker=visit.asker.full, seconds=RELAY_SECONDS))
        match await reception.office.submit(sealed):
            case Ruling() as ruling:
                return write_ruling(ruling)
            case Changed() as changed:
                return write_changed(changed)

    async def info(self, _: Reception, visit: Visit) -> Element:
        """Say what we are, or what a command is."""
        node = visit.payload.get("node")
        if node is None:
            return about_us(person=visit.who is not None)
        found = about_commands(node) if visit.who is not None else None
        if found is None:
            raise _Stranger("no such node")
        return found

    async def items(self, reception: Reception, visit: Visit) -> Element:
        """List the topics that the asker may discover or, for people, the commands."""
        node = visit.payload.get("node")
        if node is not None:
            if visit.who is not None and node == COMMANDS:
                return write_commands(self.us)
            raise _Stranger("no such node")
        page = read_page(visit.payload)
        if page.limit == 0:
            return write_topics(TopicPage((), complete=False))
        return write_topics(await reception.topics_for(visit.asker, after=page.after, before=page.before, limit=page.limit))


Answer: TypeAlias = Callable[[Counter, Reception, Visit], Awaitable[Element]]

ANSWERS: Final[Mapping[tuple[str, str], Answer]] = MappingProxyType(
    {
        ("get", INFO): Counter.info,
        ("get", ITEMS): Counter.items,
        ("set", COMMAND): Counter.command,
        ("set", REQUEST): Counter.request,
        ("set", ENVELOPE): Counter.envelope,
        ("get", DOCUMENT): Counter.document,
        ("get", INBOX): Counter.inbox,
        ("set", OUTBOX): Counter.outbox,
    }
)
"""Every question that there is: its type and the tag of what it carries."""


def _person(visit: Visit) -> Speaker:
    if visit.who is None:
        raise _Stranger("no person of ours")
    return visit.who


def _refusal(iq: Element, error: ClearinghouseError, visit: Visit) -> Element:
    """Return the error in the form that belongs to it; only people of ours are told more than its code (rule R22)."""
    if isinstance(error, _Stranger):
        return error_reply(iq, error.stanza_condition)
    said = visit.who is not None and not isinstance(error, OperatorError)
    text = plain(str(error), MAX_SAID_CHARACTERS) if said else ""
    if isinstance(error, CommandRefused):
        return error_reply(iq, error.stanza_condition, detail=error.condition, text=text, namespace=COMMANDS)
    return error_reply(iq, error.stanza_condition, detail=error.code, text=text, namespace=CLEARINGHOUSE)
