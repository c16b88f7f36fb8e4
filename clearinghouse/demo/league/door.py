"""What happens where the DNS names the clearinghouse, and no member: who may is sent on, who may not is told why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.demo.league.community import ANN, BEN, DOOR, EAST, MAL, MEMBERS, NORTH, SOUTH
from clearinghouse.demo.league.world import World
from clearinghouse.demo.life import Narrator
from clearinghouse.demo.neighbours import S2S_PORT
from clearinghouse.demo.story import NotAsTold, expect
from clearinghouse.storage.recorded import Recorded

ANSWER: Final = "We have it as well. Here is what we found."
KNOCK: Final = "Ann, it is only me."

_LOOKED_AT: Final = 20
"""Decisions, the latest ones, in which the two of the door are."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """What came of it: ids of the two decisions, and what the sender read whose server was refused."""

    sent_on: str
    refused: str
    told: str


async def knock(world: World, narrator: Narrator) -> Redirected:
    """Have one server find its way through the clearinghouse, and another be refused there."""
    narrator.act("Third act: the DNS names the clearinghouse, which sends servers on, or refuses them, at the door")
    narrator.chapter("The DNS names the clearinghouse, and nobody else")
    for domain in MEMBERS:
        world.names.put(domain, world.door, S2S_PORT)
    narrator.tell("the name server", f"says of {', '.join(MEMBERS)}: {DOOR}; only signed records say where they are")
    sent_on = await _sent_on(world, narrator)
    refused, told = await _refused(world, narrator)
    return Redirected(sent_on, refused, told)


async def _sent_on(world: World, narrator: Narrator) -> str:
    narrator.chapter("One server finds its way through it")
    narrator.tell(BEN, f"answers {ANN}, to whose server his own has no stream yet")
    world.people[BEN].write(ANN, ANSWER)
    await world.people[ANN].reads(ANSWER)
    decision = (await _at_the_door(world, SOUTH, NORTH)).decision
    expect("what the door decided about south", Outcome.GRANTED, decision.outcome)
    narrator.tell(DOOR, f"tells south.fed: see-other-host, {world.league.addresses[NORTH]} (decision {decision.id[:12]})")
    narrator.tell(ANN, f"reads, once: {ANSWER}")
    return decision.id


async def _refused(world: World, narrator: Narrator) -> tuple[str, str]:
    narrator.chapter("Another is refused, and told why")
    told = await world.people[MAL].bounced(world.people[MAL].write(ANN, KNOCK))
    decision = (await _at_the_door(world, EAST, NORTH)).decision
    expect("what the door decided about east", Outcome.REFUSED, decision.outcome)
    narrator.tell(DOOR, f"tells east.fed: policy-violation (decision {decision.id[:12]}; its log says {decision.reason.code})")
    narrator.tell(MAL, f"wrote to {ANN}, and is told: {told}")
    if decision.id[:12] not in told:
        raise NotAsTold(f"{MAL} should be told the decision {decision.id[:12]}, and is told {told}")
    return decision.id, told


async def _at_the_door(world: World, caller: str, called: str) -> Recorded:
    """Return the last decision of the door about this pair."""
    for recorded in reversed(await world.service.store.decisions(_LOOKED_AT)):
        request = recorded.decision.request
        pair = request.observed.get("from_domain"), request.observed.get("to_domain")
        if request.door is Door.STREAM and pair == (caller, called):
            return recorded
    raise NotAsTold(f"{caller} should have asked the door for {called}, and has not")
