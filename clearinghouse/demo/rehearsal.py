"""Rehearse: your own settings, policies and credentials at a broker in memory, and one platform that asks.

usage: python -m clearinghouse.demo.rehearsal CONFIG JID

The service is the one that ``clearinghouse serve`` runs, its store included.  The platform JID asks
for the first topic of the settings; if it is approved, the topic's first publisher publishes an
incident, and the platform receives it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from clearinghouse import telemetry
from clearinghouse.clearing.decision import Outcome
from clearinghouse.cli.output import BAD_INPUT, clean, say, tell_error
from clearinghouse.demo.incidents import description_of, incident
from clearinghouse.demo.memory import MemoryLink, Network
from clearinghouse.demo.platforms import Platform, platform
from clearinghouse.demo.worlds import MemoryWorld
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.grid.broker import Broker
from clearinghouse.runtime import Service, running
from clearinghouse.settings import Topic, read_settings
from clearinghouse.storage.store import Recorded

PATIENCE_SECONDS: Final = 10.0
"""In memory everything happens within milliseconds."""

POLL_SECONDS: Final = 0.01


async def rehearse(config: Path, jid: str) -> None:
    """Let *jid* ask for the first topic of the settings in *config*, and print what comes of it."""
    settings = read_settings(config)
    if not settings.topic:
        raise BadSettings("the settings name no topic", mend="add a [[topic]]")
    topic = settings.topic[0]
    owner = next(each.component for each in settings.broker if each.jid == topic.broker)
    network = Network(Broker(topic.broker, frozenset({owner}), lambda: uuid4().hex))
    async with running(settings, make_link=MemoryWorld(network).make_link) as service, _seat(network, topic, jid) as consumer:
        await service.ready()
        say(f"{clean(jid)} asks for `{clean(topic.node)}` at {topic.broker}")
        known = {each.decision.id for each in await service.store.decisions(1)}
        await consumer.subscribe(topic.node)
        recorded = await _decided(service, known)
        _tell(recorded, config)
        if recorded.decision.outcome is Outcome.GRANTED:
            await _deliver(network, topic, consumer)


@asynccontextmanager
async def _seat(network: Network, topic: Topic, jid: str) -> AsyncIterator[Platform]:
    full = f"{jid}/desk"
    async with platform(full, MemoryLink(network, full), topic.broker) as made:
        yield made


async def _decided(service: Service, known: set[str]) -> Recorded:
    """Wait for a decision that is not *known*."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for recorded in await service.store.decisions(1):
                if recorded.decision.id not in known:
                    return recorded
            await asyncio.sleep(POLL_SECONDS)


def _tell(recorded: Recorded, config: Path) -> None:
    decision = recorded.decision
    say(f"{decision.outcome}: {decision.value}, because {clean(decision.reason.text)}")
    if decision.ends is not None:
        say(f"until {decision.ends:%Y-%m-%d %H:%M} UTC")
    say(f"the whole explanation: clearinghouse decisions --config {clean(str(config))} {decision.id}")


async def _deliver(network: Network, topic: Topic, consumer: Platform) -> None:
    """Publish an incident, and print what the consumer receives."""
    ruling = await consumer.ruling()
    say(f"the broker says: {ruling.state}")
    if topic.publishers:
        async with _seat(network, topic, topic.publishers[0]) as provider:
            domain = topic.publishers[0].partition("@")[2]
            report = incident("1", "a rehearsal", reporter=domain, contact=f"csirt@{domain}", now=datetime.now(UTC))
            await provider.publish(topic.node, report)
            delivery = await consumer.delivery()
            say(f"{topic.publishers[0]} publishes, and it arrives: an incident, “{description_of(delivery.payload)}”")


def main(arguments: list[str]) -> int:
    """Do what the usage says and return the exit status."""
    match arguments:
        case [config, jid]:
            telemetry.configure(level=logging.WARNING)
            try:
                asyncio.run(rehearse(Path(config), jid))
            except ClearinghouseError as error:
                tell_error(error)
                return error.exit_code
            return 0
        case _:
            say(str(__doc__), error=True)
            return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
