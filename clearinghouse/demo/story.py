"""What happens in the demonstration, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo import life
from clearinghouse.demo.community import PROVIDER, TOPIC, Community
from clearinghouse.demo.incidents import description_of, report_of
from clearinghouse.demo.life import Life, Narrator, left, live
from clearinghouse.demo.platforms import Platform
from clearinghouse.demo.worlds import World
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.records.replay import Replayed, replay
from clearinghouse.runtime.service import FINISH_SECONDS, running
from clearinghouse.signer.client import signing
from clearinghouse.storage.store import Effect, Recorded

ANALYST: Final = "analyst@members.example"
STRANGER: Final = "stranger@other.example"
LATE: Final = "late@former.example"

CAST: Final[Mapping[str, str]] = {
    ANALYST: "a member, by two delegations: the hub's to the sector, the sector's to the domain",
    STRANGER: "nobody has licensed its domain",
    LATE: "its domain was a member until yesterday",
}
"""Who asks, and what is to be known of them."""

PLATFORMS: Final = (*CAST, PROVIDER)
PEOPLE: Final = (*PLATFORMS, *life.PEOPLE)

WANTED: Final[Mapping[str, tuple[str, Outcome, str]]] = {
    ANALYST: ("subscribed", Outcome.GRANTED, "granted"),
    STRANGER: ("none", Outcome.REFUSED, "no-licence"),
    LATE: ("none", Outcome.REFUSED, "condition-failed"),
}
"""What must come of it: the subscription, the decision, its reason."""

LIVED: Final = (Outcome.PENDING, Outcome.GRANTED)
"""The decisions on the request that a person approves: it is left to people, then ruled on again."""

REPORT: Final = "A wave of forged invoices carries a loader; addresses and hashes are attached."

PATIENCE_SECONDS: Final = 60.0
"""For the whole story at one broker; it takes 4 s."""


class NotAsTold(Exception):
    """The demonstration went another way than it should."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one platform that asked: its subscription's states, in milliseconds, and what it received."""

    jid: str
    first: str
    state: str
    milliseconds: float
    received: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """One decision with its explanation, proven again."""

    recorded: Recorded
    replayed: Replayed | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Everything that came of the story."""

    platforms: tuple[Asked, ...]
    life: Life
    decisions: tuple[Explained, ...]
    seconds: float


async def play(world: World, community: Community, narrator: Narrator) -> Outcomes:
    """Play the story in *world*; raises `NotAsTold` when anything comes out otherwise."""
    began = monotonic()
    settings, signers = community.settings(*world.address), partial(signing, allow_demo=True)
    async with asyncio.timeout(PATIENCE_SECONDS), running(settings, make_link=world.make_link, signers_of=signers) as service:
        await _open(service, narrator)
        async with AsyncExitStack() as stack:
            platforms = {jid: await stack.enter_async_context(world.platform(jid)) for jid in PLATFORMS}
            narrator.chapter("Three platforms ask for the topic")
            asked = [await _ask(platforms[jid], jid, narrator) for jid in CAST]
            narrator.chapter("An incident is published")
            received = await _publish(platforms, narrator)
            lived = await live(world, service, platforms[PROVIDER], narrator)
        told = tuple(Asked(each.jid, each.first, each.state, each.milliseconds, received[each.jid]) for each in asked)
        decisions = await _explained(service)
    outcomes = Outcomes(told, lived, decisions, monotonic() - began)
    check(outcomes)
    return outcomes


async def _open(service: Service, narrator: Narrator) -> None:
    narrator.chapter("What the community has written down")
    for each in service.policy.holdings.admitted():
        narrator.tell(each.source, _comment(each.tree().comment))
    narrator.chapter("The clearinghouse takes its place")
    await service.ready()
    seat = service.seats[0]
    narrator.tell(seat.plan.component, f"is connected, and owns `{TOPIC}` at {seat.plan.brokers[0].jid}")


def _comment(comment: str | None) -> str:
    return (comment or "").strip().partition("\n")[0]


async def _ask(platform: Platform, jid: str, narrator: Narrator) -> Asked:
    narrator.tell(jid, CAST[jid])
    began = monotonic()
    first = await platform.subscribe(TOPIC)
    ruling = await platform.ruling()
    milliseconds = (monotonic() - began) * 1000
    narrator.tell("", f"asks to subscribe: {first}; {milliseconds:.0f} ms later: {_meaning(ruling.state)}")
    return Asked(jid, first, ruling.state, milliseconds)


def _meaning(state: str) -> str:
    return {"subscribed": "subscribed", "none": "refused"}.get(state, state)


async def _publish(platforms: Mapping[str, Platform], narrator: Narrator) -> Mapping[str, tuple[str, ...]]:
    """Publish a report, and return what each platform has of it."""
    report = report_of("1", REPORT)
    await platforms[PROVIDER].publish(TOPIC, report)
    narrator.tell(PROVIDER, f"publishes an IODEF 2.0 report at `{TOPIC}`")
    delivery = await platforms[ANALYST].delivery()
    text = description_of(delivery.payload)
    narrator.tell(ANALYST, f"receives it: {text}")
    received: dict[str, tuple[str, ...]] = {ANALYST: (text,)}
    for jid in (STRANGER, LATE):
        received[jid] = tuple(await left(platforms[jid]))
        narrator.tell(jid, "receives nothing, and may not fetch it either" if not received[jid] else "receives it all the same")
    return received


async def _explained(service: Service) -> tuple[Explained, ...]:
    await service.intake.close(FINISH_SECONDS)  # a platform hears of its answer a moment before we note that it has
    found: Sequence[Recorded] = await service.store.decisions(len(CAST) + len(LIVED) + 1)
    return tuple([Explained(each, await replay(each, service.store)) for each in found])


# -- what must come of it -----------------------------------------------------------------------------


def check(outcomes: Outcomes) -> None:
    """Raise `NotAsTold` unless everything came out as it should."""
    for platform in outcomes.platforms:
        state, _, _ = WANTED[platform.jid]
        expect(f"{platform.jid}'s request first", "pending", platform.first)
        expect(f"{platform.jid}'s subscription", state, platform.state)
        expect(f"what {platform.jid} received", (REPORT,) if platform.jid == ANALYST else (), platform.received)
    expect("the number of decisions", len(CAST) + len(LIVED), len(outcomes.decisions))
    for jid, decision in zip(CAST, outcomes.decisions, strict=False):
        _check_decision(jid, decision)
    _check_life(outcomes.life, outcomes.decisions[len(CAST) :])


def _check_life(lived: Life, decisions: Sequence[Explained]) -> None:
    jid = lived.jid
    expect(f"the states of {jid}'s subscription", ("pending", "subscribed", "none"), lived.states)
    expect(f"what {jid} received while approved", (life.FIRST,), lived.received)
    expect(f"what {jid} received afterwards", (), lived.afterwards)
    expect("that the operator was told who asks", True, jid in lived.told)  # noqa: FBT003 - compared
    expect("what is wrong with the log", (), lived.problems)
    expect(f"the decisions about {jid}", LIVED, tuple(each.recorded.decision.outcome for each in decisions))
    expect(
        "the proofs of these, made again", [True] * len(LIVED), [each.replayed is not None and each.replayed.agrees for each in decisions]
    )


def _check_decision(jid: str, explained: Explained) -> None:
    decision = explained.recorded.decision
    _, outcome, reason = WANTED[jid]
    expect("who asked", jid, decision.request.observed["jid"])
    expect(f"the decision about {jid}", (outcome, reason), (decision.outcome, decision.reason.code))
    expect(f"the effect of the decision about {jid}", Effect.DONE, explained.recorded.effect)
    expect(f"the proof of the decision about {jid}, made again", True, explained.replayed is not None and explained.replayed.agrees)  # noqa: FBT003 - compared
    if jid == ANALYST and explained.replayed and explained.replayed.decision.proof:
        authors = {link.authorizer for link in explained.replayed.decision.proof.chain if not link.policy}
        expect("the delegations of the analyst's proof, at least two", True, len(authors) >= 2)  # noqa: FBT003, PLR2004 - compared


def expect(what: str, wanted: object, found: object) -> None:
    """Raise `NotAsTold` unless *found* is as *wanted*."""
    if wanted != found:
        raise NotAsTold(f"{what} should be {wanted}, and is {found}")
