"""What happens among the three domains, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.demo.league.community import ANN, BEN, EAST, EVE, MAL, MEMBERS, MINIMUM, NAME, OPERATOR, ROOTS, SOUTH
from clearinghouse.demo.league.door import Redirected, knock
from clearinghouse.demo.league.world import World, league_world
from clearinghouse.demo.life import Narrator
from clearinghouse.demo.story import NotAsTold, expect
from clearinghouse.federation.enforced.image import Grant

FIRST, ACROSS = "Ben, have you seen the loader?", "We have it here as well."
AGAIN, WRONG, KNOCK = "It is me, eve: I need you on this.", "Let me in, too.", "Eve, thank you for your help."
REASON: Final = "east's sponsor has left"

PATIENCE_SECONDS: Final = 90.0
"""For both acts; they take 8 s on an idle machine, and most of that is the start of everything."""

_MADE = {"prosody": "a Prosody", "ejabberd": "an ejabberd"}


@dataclass(frozen=True, slots=True)
class Act:
    """What came of it.

    ``levels`` and ``afterwards`` are the rows of the tables before and after the withdrawal, ``streams`` how many fell
    with it, in ``fell`` milliseconds from the operator's act.  ``bounced`` is what the sender of a message to the lost
    domain was told.  ``back`` is in how many milliseconds a message of the one user arrived that her agent had to ask
    for, ``grant`` what it was given, ``refused`` what another user of the same domain was told.  ``shut`` is what was told to a user of
    the site that shut the domain out.  ``door`` is the third act.
    """

    levels: Mapping[str, str]
    applied: float
    afterwards: Mapping[str, str]
    streams: int
    fell: float
    back: float
    grant: Grant
    refused: str
    shut: str
    door: Redirected
    seconds: float


async def play(narrator: Narrator) -> Act:
    """Play both acts; raises `NotAsTold` when anything comes out otherwise."""
    began = monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        narrator.act("Second act: three domains federate by signed levels, two Prosodys and an ejabberd on loopback")
        narrator.chapter("Three domains and a clearinghouse")
        narrator.tell(NAME, f"two of {len(ROOTS)} roots have signed who may sign tables, records and revocations")
        for domain, (kind, level) in MEMBERS.items():
            narrator.tell(domain, f"{_MADE[kind]} with an agent beside it; its sponsor vouches for {level}")
        narrator.tell("each of them", f"lets others in from {MINIMUM} up: a line in its own settings")
        async with league_world() as world:
            levels = await _pushed(world, narrator)
            applied = (monotonic() - began) * 1000
            await _passes(world, narrator)
            streams, fell = await _withdrawn(world, narrator)
            back, grant, refused = await _asked(world, narrator)
            shut = await _over(world, narrator)
            door = await knock(world, narrator)
            act = Act(levels, applied, dict(world.levels), streams, fell, back, grant, refused, shut, door, monotonic() - began)
    check(act)
    return act


async def _pushed(world: World, narrator: Narrator) -> Mapping[str, str]:
    narrator.chapter("Levels are signed, pushed, checked and applied")
    while len(world.levels) < len(MEMBERS):  # noqa: ASYNC110 - the table is published when it is
        await asyncio.sleep(0.01)
    await world.applied()
    narrator.tell(
        "the clearinghouse", f"signs table {world.version}: " + ", ".join(f"{name} {level}" for name, level in world.levels.items())
    )
    for domain, agent in world.agents.items():
        image = agent.applier.image
        narrator.tell(f"agent.{domain}", f"has checked it, and its server enforces it ({len(image.rows) if image else 0} rows)")
    return dict(world.levels)


async def _passes(world: World, narrator: Narrator) -> None:
    people = world.people
    people[ANN].write(BEN, FIRST)
    await people[BEN].reads(FIRST)
    narrator.tell(ANN, f"writes to {BEN}, who reads: {FIRST}")
    people[EVE].write(BEN, ACROSS)
    await people[BEN].reads(ACROSS)
    narrator.tell(EVE, f"writes to {BEN}, who reads: {ACROSS}")


async def _withdrawn(world: World, narrator: Narrator) -> tuple[int, float]:
    """Revoke what east's level rests on; return how many streams fell, and after how many milliseconds."""
    narrator.chapter("A level is withdrawn")
    streams = await world.streams(EAST)
    credential = next(each for each in world.service.policy.holdings.admitted() if EAST in each.source)
    narrator.tell("the operator", f"revokes the credential that {EAST}'s level rests on: {REASON}")
    began = monotonic()
    await world.service.hall.office.revoke(world.operator, RevocationKind.CREDENTIAL, credential.name, reason=REASON, dry_run=False)
    await world.applied()
    await world.no_streams(EAST)
    fell = (monotonic() - began) * 1000
    narrator.tell("", f"{fell:.0f} ms later table {world.version} is in force at all three; closed live streams: {streams}")
    return streams, fell


async def _asked(world: World, narrator: Narrator) -> tuple[float, Grant, str]:
    """Have one user write whose agent may ask for her, and one for whom it may not."""
    narrator.chapter("A signed request brings one user back, for a minute")
    people = world.people
    began = monotonic()
    people[EVE].write(BEN, AGAIN)
    narrator.tell(EVE, "writes again; her server holds the message, and its agent asks south's, with two credentials")
    await people[BEN].reads(AGAIN)
    back = (monotonic() - began) * 1000
    agent = world.agents[SOUTH]
    (grant,) = agent.grants.live(agent.clock.now())
    until = datetime.fromtimestamp(grant.until, UTC)
    narrator.tell(f"agent.{SOUTH}", f"grants it to {grant.user}, at {grant.address}, until {until:%H:%M:%S} UTC; it ends by itself")
    narrator.tell(BEN, f"reads, {back:.0f} ms after she wrote: {AGAIN}")
    refused = await people[MAL].bounced(people[MAL].write(BEN, WRONG))
    narrator.tell(MAL, f"of the same domain, is told: {refused}")
    return back, grant, refused


async def _over(world: World, narrator: Narrator) -> str:
    """Shut the domain out at one site, whatever table and grants say; return what somebody there is told who writes to it."""
    narrator.chapter("The last word is each site's own")
    south = world.agents[SOUTH]
    south.overrides.deny(EAST, timedelta(hours=2), "the incident is closed", by=f"unix:{OPERATOR}")
    narrator.tell("south's administrator", f"shuts {EAST} out for two hours: that needs no key, no network, and ends the grant's effect")
    await world.no_streams(EAST)
    told = await world.people[BEN].bounced(world.people[BEN].write(EVE, KNOCK))
    narrator.tell(BEN, f"writes to {EVE}, and is told: {told}")
    return told


def check(act: Act) -> None:
    """Raise `NotAsTold` unless everything came out as it should."""
    expect("the levels", {domain: level for domain, (_, level) in MEMBERS.items()}, dict(act.levels))
    expect("the levels afterwards", {domain: level for domain, (_, level) in MEMBERS.items() if domain != EAST}, dict(act.afterwards))
    expect("whom the grant is for", (EVE, EAST), (act.grant.user, act.grant.remote))
    for who, told in ((MAL, act.refused), (BEN, act.shut)):
        if not told.startswith("policy-violation: "):
            raise NotAsTold(f"{who} should be told of a policy violation, and is told {told}")
    if act.streams < 1:
        raise NotAsTold(f"streams with {EAST} should have been open, and none was")
