"""The whole life of one subscription: asked, pending, approved by a person in a client, delivering, revoked, silent.

The broker, the platform and the person's client are ordinary ones; the log of it is checked at the end with
its public key alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from clearinghouse.demo.community import LOG_KEY, OPERATOR, PROVIDER, TOPIC
from clearinghouse.demo.incidents import description_of, report_of
from clearinghouse.demo.people import Page, Person
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.worlds import World
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.ledger import audit
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.records.logbook import write_export

CONSULTANT: Final = "bea@associates.example"
"""Her domain is licensed by the sector and approved by nobody: a person decides."""

PEOPLE: Final = (CONSULTANT, OPERATOR)

FIRST, SECOND = "Credentials of a member are for sale.", "The seller has named a second member."
FIRST_CHAPTER: Final = "A person decides"

REASON: Final = "her contract has ended"


class Narrator(Protocol):
    """Who tells what happens while it happens."""

    def act(self, title: str) -> None:
        """Begin an act."""

    def chapter(self, title: str) -> None:
        """Begin a new part of the story."""

    def tell(self, who: str, what: str) -> None:
        """Say what somebody did, or what happened to them."""


@dataclass(frozen=True, slots=True)
class Life:
    """What came of it.

    ``states`` are those of the subscription in the order in which its holder learned them, ``told`` is what
    the person was told by message, ``approved`` and ``cut`` are milliseconds from the person's last click
    until the broker told the platform.  ``entries`` of the log were checked, and had so many ``problems``.
    """

    jid: str
    states: tuple[str, ...]
    told: str
    approved: float
    received: tuple[str, ...]
    cut: float
    afterwards: tuple[str, ...]
    entries: int
    problems: tuple[str, ...]


async def live(world: World, service: Service, provider: Platform, narrator: Narrator) -> Life:
    """Play it; whether it went as it should is for the caller to check."""
    async with world.platform(CONSULTANT) as consultant, world.person(OPERATOR) as operator:
        narrator.chapter(FIRST_CHAPTER)
        first = await consultant.subscribe(TOPIC)
        narrator.tell(CONSULTANT, f"asks to subscribe: {first}, since policy leaves her to a person")
        told = await operator.message()
        narrator.tell(OPERATOR, f"reads in an ordinary client: “{told.partition(chr(10))[0]}”")
        approved, began = await _approve(operator, narrator), monotonic()
        granted = await consultant.ruling()
        milliseconds = (monotonic() - began) * 1000
        narrator.tell(CONSULTANT, f"is {granted.state}; the desk's process has signed for exactly this ({approved})")
        received = [await _delivered(provider, consultant, FIRST, narrator)]
        narrator.chapter("The approval is taken back")
        cut, states = await _end(operator, consultant, narrator)
        await provider.publish(TOPIC, report_of("3", SECOND))
        afterwards = await left(consultant)
        narrator.tell(PROVIDER, "publishes again")
        narrator.tell(CONSULTANT, "receives nothing, and may not fetch it either" if not afterwards else "receives it all the same")
    entries, problems = await _audited(service, narrator)
    return Life(CONSULTANT, (first, granted.state, *states), told, milliseconds, tuple(received), cut, tuple(afterwards), entries, problems)


async def _approve(operator: Person, narrator: Narrator) -> str:
    """Choose the request, read it, approve it for a week; return what the client says then."""
    page = await operator.start("pending")
    page = await operator.fill_in("pending", page, "next", choice=_about(page, CONSULTANT))
    for line in page.text:
        if line.partition(":")[0] in {"operation", "topic", "requester", "vouched_by"}:
            narrator.tell("", line)
    narrator.tell(OPERATOR, "approves, for a week")
    done = await operator.fill_in("pending", page, "complete", decision="approve", period=str(7 * 86_400))
    return "; ".join(done.notes)


async def _end(operator: Person, consultant: Platform, narrator: Narrator) -> tuple[float, list[str]]:
    """Choose the grant and end it; return after how many milliseconds the platform knew, and what it was told."""
    page = await operator.start("grants")
    page = await operator.fill_in("grants", page, "next", choice=_about(page, CONSULTANT))
    narrator.tell(OPERATOR, f"ends the grant: {REASON}")
    began = monotonic()
    await operator.fill_in("grants", page, "complete", reason=REASON)
    ruling = await consultant.ruling()
    cut = (monotonic() - began) * 1000
    narrator.tell(CONSULTANT, f"is told by the broker {cut:.0f} ms later: {ruling.state}")
    return cut, [ruling.state]


def _about(page: Page, jid: str) -> str:
    """Return the choice whose label names *jid*."""
    return next(value for label, value in page.choices["choice"].items() if jid in label)


async def _delivered(provider: Platform, consultant: Platform, text: str, narrator: Narrator) -> str:
    await provider.publish(TOPIC, report_of("2", text))
    delivery = await consultant.delivery()
    narrator.tell(PROVIDER, "publishes an incident")
    narrator.tell(CONSULTANT, f"receives it: {description_of(delivery.payload)}")
    return description_of(delivery.payload)


async def left(platform: Platform) -> Sequence[str]:
    """Return what a platform has that should have nothing; what was sent before the broker's answer has arrived by then."""
    try:
        fetched = await platform.fetch(TOPIC)
    except StanzaRefused:
        fetched = []
    arrived = (platform.deliveries.get_nowait().payload for _ in range(platform.deliveries.qsize()))
    return [description_of(each) for each in (*fetched, *arrived)]


async def _audited(service: Service, narrator: Narrator) -> tuple[int, tuple[str, ...]]:
    """Export the log, and check it as anybody can who has its public key."""
    narrator.chapter("What is on record")
    await service.logkeeper.sign()
    lines: list[bytes] = []
    await write_export(service.store, lines.append)
    report = audit.verify(b"".join(lines).splitlines(keepends=True), log_key=LOG_KEY.principal)
    narrator.tell("the log", f"{report.size} entries, signed; every one is as it was written, by the public key alone")
    return report.size, tuple(f"{each.place}: {each.text}" for each in report.problems)
