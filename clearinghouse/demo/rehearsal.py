"""Rehearse: your own settings, policies and credentials at a broker in memory, and one platform that asks.

usage: python -m clearinghouse.demo.rehearsal [--wait] [--keep] CONFIG JID

The service is the one that ``clearinghouse serve`` runs, but its store is thrown away at the end: what
was only played must not stand among decisions, nor be taken for carried out.  The platform with the bare
JID asks for the first topic of the settings; if it is approved, the topic's first publisher publishes an
incident, and the platform receives it.

With --wait it goes on, ten minutes at most: until a person has decided what is left to people, and then
until the subscription has been ended.  Meanwhile ``clearinghouse pending``, ``approve``, ``grants`` and
``revoke`` speak to it as they do to a service.  With --keep what was played is kept in the store that the
settings name: for directories that are there to try things out.

exit status: 0 it was decided; 2 the JID or the settings cannot be used; 3 nothing came of it in time
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

from clearinghouse import telemetry
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.vocabulary import Kind, is_canonical
from clearinghouse.cli.output import BAD_INPUT, clean, say, tell_error
from clearinghouse.demo.incidents import description_of, incident
from clearinghouse.demo.memory import MemoryLink, Network
from clearinghouse.demo.platforms import Platform, platform
from clearinghouse.demo.worlds import MemoryWorld
from clearinghouse.errors import BadSettings, BrokerUnavailable, ClearinghouseError
from clearinghouse.grid.broker import Broker
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.service import running
from clearinghouse.settings import Control, Settings, Store, Topic, read_settings
from clearinghouse.storage.store import Recorded

PATIENCE_SECONDS: Final = 10.0
"""In memory everything happens within milliseconds."""

WAIT_SECONDS: Final = 600.0
"""With --wait, for people to act: as long as one reads a tutorial's step, twice."""

POLL_SECONDS: Final = 0.01


async def rehearse(config: Path, jid: str, *, wait: bool = False, keep: bool = False) -> None:
    """Let *jid* ask for the first topic of the settings in *config*, and print what comes of it."""
    _check(jid)
    settings = read_settings(config)
    if not settings.topic:
        raise BadSettings("the settings name no topic", mend="add a [[topic]]")
    with TemporaryDirectory() as directory:
        store = settings.store if keep else Store(path=Path(directory) / "rehearsal.db")
        if store.url_file is None:
            store.path.touch(mode=0o600)  # a store that has to be made is warned of
        await _play(_elsewhere(settings, store, wait=wait), settings.topic[0], jid, wait=wait)


def _elsewhere(settings: Settings, store: Store, *, wait: bool) -> Settings:
    # People who have to decide find us where the service would be; else it may run beside us.
    changes = {"store": store} | ({} if wait else {"control": Control()})
    return settings.model_copy(update=changes)


def _check(jid: str) -> None:
    if "@" not in jid or jid != jid.lower() or not is_canonical(Kind.JID, jid):
        raise BadSettings(f"`{clean(jid)}` is no bare JID of a user in lower case", mend="write `user@domain`")


async def _play(settings: Settings, topic: Topic, jid: str, *, wait: bool) -> None:
    owner = next(each.component for each in settings.broker if each.jid == topic.broker)
    network = Network(Broker(topic.broker, frozenset({owner}), lambda: uuid4().hex))
    async with running(settings, make_link=MemoryWorld(network).make_link) as service, _seat(network, topic, jid) as consumer:
        await service.ready()
        say(f"{clean(jid)} asks for `{clean(topic.node)}` at {topic.broker}")
        await consumer.subscribe(topic.node)
        recorded = await _decided(service, 1, PATIENCE_SECONDS)
        _tell(recorded)
        if wait and recorded.decision.outcome is Outcome.PENDING:
            say(f"it waits for a person, as case {recorded.decision.id}")
            recorded = await _decided(service, 2, WAIT_SECONDS)
            _tell(recorded)
        if recorded.decision.outcome is Outcome.GRANTED:
            await _deliver(network, topic, consumer)
            if wait:
                await _ended(consumer)
    if wait:
        say("it is over")


async def _ended(consumer: Platform) -> None:
    """Wait until the subscription is over."""
    async with asyncio.timeout(WAIT_SECONDS):
        ruling = await consumer.rulings.get()
    say(f"the broker says: {ruling.state}")


@asynccontextmanager
async def _seat(network: Network, topic: Topic, jid: str) -> AsyncIterator[Platform]:
    full = f"{jid}/desk"
    async with platform(full, MemoryLink(network, full), topic.broker) as made:
        yield made


async def _decided(service: Service, number: int, seconds: float) -> Recorded:
    """Wait for so many decisions, and return the last of them."""
    async with asyncio.timeout(seconds):
        while len(found := await service.store.decisions(number)) < number:  # noqa: ASYNC110 - the store announces nothing
            await asyncio.sleep(POLL_SECONDS)
    return found[-1]


def _tell(recorded: Recorded) -> None:
    decision = recorded.decision
    say(f"{decision.outcome}: {decision.value}, because {clean(decision.reason.text)}")
    if decision.ends is not None:
        say(f"holds until {decision.ends:%Y-%m-%d %H:%M} UTC at the latest; the broker is told then")


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
    options = {each for each in arguments if each.startswith("-")}
    match [each for each in arguments if each not in options]:
        case _ if options & {"-h", "--help"}:
            say(str(__doc__))
            return 0
        case [config, jid] if options <= {"--wait", "--keep"}:
            telemetry.configure(level=logging.WARNING)
            return _status(rehearse(Path(config), jid, wait="--wait" in options, keep="--keep" in options))
        case _:
            say(str(__doc__), error=True)
            return BAD_INPUT


def _status(playing: Coroutine[None, None, None]) -> int:
    try:
        asyncio.run(playing)
    except ClearinghouseError as error:
        tell_error(error)
        return error.exit_code
    except TimeoutError:
        late = BrokerUnavailable("nothing came of it in time", mend="read the lines before this one, and `clearinghouse serve --check`")
        tell_error(late)
        return late.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
