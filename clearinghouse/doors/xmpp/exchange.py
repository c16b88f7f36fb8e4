"""Sorts what arrives for the component, and keeps track of what it asked.

Questions of ours wait for their answer here; the broker's forms go to their hearer; what people and
platforms may ask goes to the counter, where there is a reception behind it; all other IQs get the same
``service-unavailable``, whatever was asked and whoever asked it (authority R22).
Nothing of a received stanza is ever repeated in a reply, so its size and depth cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import uuid4
from xml.etree.ElementTree import Element, SubElement

import structlog

from clearinghouse.doors.xmpp.authorization import Brokers, FormRefused, Refusal, asks_authorization, read_authorization
from clearinghouse.doors.xmpp.counter import Counter
from clearinghouse.doors.xmpp.depth import too_deep
from clearinghouse.doors.xmpp.notifier import Notifier
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid import stanzas
from clearinghouse.grid.namespaces import DISCO_INFO, PING
from clearinghouse.grid.reception import Reception
from clearinghouse.grid.stanzas import Question, StanzaRefused, error_reply, refusal_in, reply_to
from clearinghouse.grid.topics import SubscriptionAsked

log = structlog.get_logger(__name__)

REPLY_SECONDS: Final = 10.0
"""How long a question of ours waits in silence.  ejabberd answers in under 10 ms; a restart of the broker takes 2 s."""

LONGEST_SECONDS: Final = 120.0
"""How long it waits while the broker sends other things: stanzas come in order, and 10,000 forms take 2 to 10 s."""

WARNING_SECONDS: Final = 10.0
"""A refused form warns at most once in this time and for each reason, so that strangers cannot fill the log."""

_DISCO_QUERY: Final = f"{{{DISCO_INFO}}}query"

Write: TypeAlias = Callable[[Element], None]
Hearer: TypeAlias = Callable[[SubscriptionAsked], None]


@dataclass(slots=True)
class _Question:
    """A question of ours; ``asked`` is in seconds of the loop's clock."""

    answer: asyncio.Future[Element]
    asked: float
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Exchange:
    """The stanzas of one address of ours (*us*); implements `clearinghouse.grid.stanzas.Stanzas`.

    ``write`` sends one stanza and raises `BrokerUnavailable` when there is no session.  ``asked`` hears
    every question of a configured broker; it must return at once and may forget a question when it has
    too many: the request stays pending at the broker, and recovery brings its form again.  ``reception``
    rules on what people and platforms ask us; without one they are strangers like all others.  ``overhears`` is
    given every other message that is no error, whoever sent it; it must return at once.  ``serves`` is given every
    question that the reception does not take, and returns whether it takes it; it answers later, through ``write``.
    """

    us: str
    brokers: Brokers
    write: Write
    asked: Hearer
    reply_seconds: float = REPLY_SECONDS
    reception: Reception | None = None
    overhears: Callable[[Element], None] | None = None
    serves: Callable[[Element], bool] | None = None
    counter: Counter = field(init=False)
    notifier: Notifier = field(init=False)
    _questions: dict[tuple[str, str], _Question] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    _bounces: dict[tuple[str, str], Element | None] = field(default_factory=dict)
    _warned: dict[Refusal, float] = field(default_factory=dict)
    _unsaid: dict[Refusal, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counter = Counter(self.us, self.write)
        self.notifier = Notifier(self.us, self.write)

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        """Send an IQ and return its result; see `Stanzas.ask`."""
        key = (to, uuid4().hex)
        iq = Element(stanzas.IQ, {"from": self.us, "to": to, "id": key[1], "type": kind})
        iq.append(payload)
        loop = asyncio.get_running_loop()
        self._questions[key] = question = _Question(loop.create_future(), loop.time())
        question.timer = loop.call_later(self.reply_seconds, self._look_at, key)
        try:
            self.write(iq)
            return await question.answer
        finally:
            question.timer.cancel()
            del self._questions[key]

    async def tell(self, message: Element) -> None:
        """Send a message and return once its receiver has handled it; see `Stanzas.tell`.

        Nothing answers a message that was accepted.  But entities handle each other's stanzas in order
        (RFC 6120, section 10.1): when a ping sent after it is answered, in whatever way, an error would have come.
        """
        key = (message.get("to", ""), uuid4().hex)
        message.set("from", self.us)
        message.set("id", key[1])
        self._bounces[key] = None
        try:
            self.write(message)
            await self._pinged(key[0])
            bounce = self._bounces[key]
        finally:
            del self._bounces[key]
        if bounce is not None:
            raise refusal_in(bounce)

    def receive(self, stanza: Element) -> None:
        """Take one stanza in the namespace ``jabber:client``; never raises for what it contains."""
        deep = too_deep(stanza)
        if (sender := stanza.get("from", "")) in self.brokers:
            self._heard[sender] = asyncio.get_running_loop().time()
        match stanza.tag:
            case stanzas.IQ if stanza.get("type") in ("get", "set"):
                self._take_question(stanza, deep=deep)
            case stanzas.IQ if not deep:
                self._take_answer(stanza)
            case stanzas.MESSAGE if not deep:
                self._take_message(stanza)
            case _:
                log.debug("stanza_dropped", kind=stanza.tag, deep=deep)

    def notify(self, to: str, body: str) -> None:
        """Send a chat message, or count it among those that were too many; see `Notifier.notify`."""
        self.notifier.notify(to, body)

    def lose(self) -> None:
        """Give up every question in flight: the session that would have brought the answers is gone."""
        for (to, _), question in self._questions.items():
            if not question.answer.done():
                question.answer.set_exception(_silent(to, "was asked, and then the session ended"))

    async def close(self) -> None:
        """End what is being answered; nothing is asked or told after it."""
        self.notifier.close()
        await self.counter.close()

    def _look_at(self, key: tuple[str, str]) -> None:
        """Give up a question whose time is over, unless what arrives is on its way before the answer."""
        loop = asyncio.get_running_loop()
        question = self._questions[key]
        heard = max(question.asked, self._heard.get(key[0], 0.0))
        until = min(heard + self.reply_seconds, question.asked + max(self.reply_seconds, LONGEST_SECONDS))
        if loop.time() < until:
            question.timer = loop.call_at(until, self._look_at, key)
        elif not question.answer.done():
            question.answer.set_exception(_silent(key[0], f"did not answer within {self.reply_seconds:g} s"))

    async def _pinged(self, to: str) -> None:
        with suppress(StanzaRefused):
            await self.ask(to, "get", Element(f"{{{PING}}}ping"))

    def _take_question(self, iq: Element, *, deep: bool) -> None:
        taken = not deep and (
            (self.reception is not None and self.counter.take(iq, self.reception)) or (self.serves is not None and self.serves(iq))
        )
        if not taken:
            self._answer_stranger(iq, known=not deep)

    def _take_answer(self, iq: Element) -> None:
        question = self._questions.get((iq.get("from", ""), iq.get("id", "")))
        if question is None or question.answer.done():
            log.debug("answer_dropped", sender=iq.get("from"))
        elif iq.get("type") == "result":
            question.answer.set_result(iq)
        else:
            question.answer.set_exception(refusal_in(iq))

    def _take_message(self, message: Element) -> None:
        key = (message.get("from", ""), message.get("id", ""))
        if message.get("type") == "error" and key in self._bounces:
            self._bounces[key] = message
        elif asks_authorization(message):
            self._take_form(message)
        elif self.overhears is not None and message.get("type") != "error":
            self.overhears(message)

    def _take_form(self, message: Element) -> None:
        match read_authorization(message, self.brokers):
            case SubscriptionAsked() as asked:
                log.debug("subscription_asked", broker=asked.broker, topic=asked.node, subscriber=asked.subscriber.full)
                self.asked(asked)
            case FormRefused() as refused:
                self._warn(refused)

    def _warn(self, refused: FormRefused) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned.get(refused.reason, -WARNING_SECONDS) < WARNING_SECONDS:
            self._unsaid[refused.reason] = self._unsaid.get(refused.reason, 0) + 1
            return
        self._warned[refused.reason] = now
        unsaid = self._unsaid.pop(refused.reason, 0)
        log.warning("form_refused", reason=refused.reason.value, sender=refused.sender, detail=refused.detail, unsaid=unsaid)

    def _answer_stranger(self, iq: Element, *, known: bool) -> None:
        if not iq.get("from") or not iq.get("id"):
            return
        query = iq.find(_DISCO_QUERY) if known and iq.get("type") == "get" else None
        if query is not None and "node" not in query.attrib:
            reply = reply_to(iq, payload=_what_we_are())
        else:
            reply = error_reply(iq, "service-unavailable")
        with suppress(BrokerUnavailable):  # a stranger's question does not survive the session either
            self.write(reply)


def _what_we_are() -> Element:
    """Say no more than any component must (XEP-0030): that it exists, and that it can be asked this."""
    query = Element(_DISCO_QUERY)
    SubElement(query, f"{{{DISCO_INFO}}}identity", category="component", type="generic")
    SubElement(query, f"{{{DISCO_INFO}}}feature", var=DISCO_INFO)
    return query


def _silent(to: str, what: str) -> BrokerUnavailable:
    return BrokerUnavailable(f"`{to}` {what}", mend="the request is tried again when the session is back; see the broker's log if it lasts")
