"""The clearinghouse that `approvals` measures: ``python -m tests.benchmarks.approver CONFIG TOPIC``.

It is the service as it always runs; only questions about TOPIC are answered with yes by the same hands, and nobody
decides, records or counts them.  At its end it prints, as JSON, the milliseconds from each form that it decided to
the answer that it sent.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from clearinghouse import telemetry
from clearinghouse.doors.xmpp.exchange import Hearer
from clearinghouse.enforcers.broker import TopicOwner
from clearinghouse.grid.forms import forms_in, read_form
from clearinghouse.grid.stanzas import MESSAGE
from clearinghouse.grid.topics import SubscriptionAsked
from clearinghouse.runtime.asking.intake import WORKERS
from clearinghouse.runtime.collecting import spare_collector
from clearinghouse.runtime.service import running
from clearinghouse.runtime.topics.brokers import Link, LinkPlan, component_link
from clearinghouse.settings import read_settings


@dataclass
class Between:
    """Sits between the component and the service: answers for *topic* by itself, and times the rest."""

    topic: str
    took: list[float] = field(default_factory=list)
    _since: dict[str, float] = field(default_factory=dict)
    _hands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WORKERS))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def link(self, plan: LinkPlan, asked: Hearer) -> Link:
        made = component_link(plan, lambda question: self._hear(question, asked))
        write, owner = made.exchange.write, TopicOwner(made.exchange, plan.component)

        def timed(stanza: Element) -> None:
            write(stanza)
            if stanza.tag == MESSAGE:
                self._answered(stanza)

        made.exchange.write = timed
        self._owner = owner
        return made

    def _hear(self, question: SubscriptionAsked, asked: Hearer) -> None:
        if question.node != self.topic:
            self._since.setdefault(question.subscriber.written, time.perf_counter())
            asked(question)
            return
        task = asyncio.get_running_loop().create_task(self._yes(question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _yes(self, question: SubscriptionAsked) -> None:
        async with self._hands:
            await self._owner.answer(question.broker, question.node, question.subscriber.written, approve=True, subid=question.subid)

    def _answered(self, message: Element) -> None:
        for form in map(read_form, forms_in(message)):
            since = self._since.pop(form.one("pubsub#subscriber_jid"), None)
            if since is not None:
                self.took.append((time.perf_counter() - since) * 1000)


async def main(config: str, topic: str) -> None:
    telemetry.configure()
    stop, between = asyncio.Event(), Between(topic)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running(read_settings(Path(config)), make_link=between.link):
        spare_collector()
        await stop.wait()
    print(json.dumps(between.took))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
