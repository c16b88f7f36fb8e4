"""A broker in memory, joined to the same door and platforms that talk to a real one.

Every stanza is written out and parsed again on its way, so that nobody shares elements with anybody,
and it arrives a turn of the event loop later, in the order in which it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4
from xml.etree.ElementTree import Element, fromstring, tostring

from clearinghouse.doors.xmpp.authorization import Brokers
from clearinghouse.doors.xmpp.exchange import Exchange, Hearer
from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid.broker import Broker
from clearinghouse.grid.stanzas import IQ, Question, error_reply, refusal_in

PATIENCE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Network:
    """Carries stanzas between the broker, the component and the platforms, by their ``to``."""

    broker: Broker
    _places: dict[str, Callable[[Element], None]] = field(default_factory=dict)

    def attach(self, jid: str, receive: Callable[[Element], None]) -> None:
        """Give *receive* what is sent to *jid*; a bare JID gets its users' full ones too."""
        self._places[jid] = receive

    def detach(self, jid: str) -> None:
        """Nobody is at *jid* any more: messages to it are lost, as they are for a component that is away."""
        self._places.pop(jid, None)

    def send(self, stanza: Element) -> None:
        """Put *stanza*, whose ``from`` is true, on its way."""
        asyncio.get_running_loop().call_soon(self._carry, tostring(stanza))

    def _carry(self, text: bytes) -> None:
        stanza = fromstring(text)  # noqa: S314 - we wrote it ourselves, a moment ago
        to = stanza.get("to", "")
        if to == self.broker.jid:
            for answer in self.broker.receive(stanza):
                self.send(answer)
            return
        places = [jid for jid in self._places if jid == to or ("/" not in to and jid.partition("/")[0] == to)]
        for jid in places:
            self._places[jid](stanza)
        if not places and stanza.tag == IQ and stanza.get("type") in ("get", "set"):
            self.send(error_reply(stanza, "service-unavailable"))


class MemoryLink:
    """A platform's connection to a `Network`."""

    def __init__(self, network: Network, jid: str) -> None:
        """Log in as the full *jid*."""
        self.jid = jid
        self.inbox: asyncio.Queue[Element] = asyncio.Queue()
        self._network = network
        self._answers: dict[str, asyncio.Future[Element]] = {}
        network.attach(jid, self._take)

    def say(self, message: Element) -> None:
        """Send a message; see `clearinghouse.demo.platforms.Link.say`."""
        message.set("from", self.jid)
        self._network.send(message)

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        """Send an IQ and return its result; see `clearinghouse.demo.platforms.Link.ask`."""
        iq = Element(IQ, {"from": self.jid, "to": to, "id": uuid4().hex, "type": kind})
        iq.append(payload)
        answer: asyncio.Future[Element] = asyncio.get_running_loop().create_future()
        self._answers[iq.attrib["id"]] = answer
        self._network.send(iq)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await answer
        except TimeoutError:
            raise BrokerUnavailable(f"`{to}` did not answer", mend="attach somebody who does") from None
        finally:
            del self._answers[iq.attrib["id"]]

    def _take(self, stanza: Element) -> None:
        answer = self._answers.get(stanza.get("id", ""))
        if stanza.tag != IQ:
            self.inbox.put_nowait(stanza)
        elif answer is not None and stanza.get("type") == "error":
            answer.set_exception(refusal_in(stanza))
        elif answer is not None:
            answer.set_result(stanza)


def memory_exchange(network: Network, jid: str, brokers: Brokers, asked: Hearer) -> Exchange:
    """Return the component's exchange, attached to *network* as *jid*."""
    exchange = Exchange(jid, brokers, network.send, asked)
    network.attach(jid, exchange.receive)
    return exchange
