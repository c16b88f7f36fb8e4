"""What members hand in: each envelope goes to where its audience and kind say, on the word of those who signed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.dsse import Envelope
from clearinghouse.clearing.envelope import Asked, read_asked
from clearinghouse.clearing.people import Changed, NoSuchThing, Office
from clearinghouse.clearing.wire import read_object
from clearinghouse.federation.reception import Answer, Reader
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.fleet import Fleet
from clearinghouse.runtime.federation.relay import Relay
from clearinghouse.runtime.federation.roll import Roll


class _Kinds(StrEnum):
    """What is asked of the federation itself; everything else is for the office."""

    STATUS = "status"
    """How an agent is."""
    JOIN = "join"
    """A request of a domain about its own record."""


@dataclass(frozen=True, slots=True)
class Carried:
    """How an envelope came here: the member that handed it in, if it proved to be one, and the JID that a server has authenticated."""

    by: Reader | None = None
    speaker: str = ""


Join = Callable[[Asked, Envelope, str], Awaitable[Changed]]


@dataclass(slots=True)
class Intake:
    """Takes envelopes; ``join`` rules on requests to join."""

    desk: Desk
    office: Office
    roll: Roll
    fleet: Fleet
    relay: Relay
    chance: Chance
    join: Join

    def owners(self, envelope: Envelope) -> frozenset[str]:
        """Return the members by whose keys *envelope* is signed; a revoked key is nobody's (rule R15)."""
        revoked = frozenset(self.desk.snapshot.revoked)
        return self.roll.owners(tuple(each for each in envelope.signers if each not in revoked))

    async def take(self, envelope: Envelope, raw: bytes, carried: Carried, seconds: float) -> Answer:
        """Do what *envelope* asks for; raises what reading it raises, and `NoSuchThing` for whatever a stranger may not."""
        audience = _audience(envelope)
        if audience != self.desk.community:
            return await self._relayed(envelope, raw, carried, audience, seconds)
        asked = read_asked(envelope, audience=audience, now=self.chance.now())
        match asked.kind:
            case _Kinds.STATUS:
                return await self._status(asked, envelope)
            case _Kinds.JOIN:
                return _outcome(await self.join(asked, envelope, carried.speaker))
            case _:
                found = await self.office.submit(raw)
                return (
                    _outcome(found) if isinstance(found, Changed) else Answer("ruled", {"case": found.case.id, "state": found.case.state})
                )

    async def _status(self, asked: Asked, envelope: Envelope) -> Answer:
        owners = self.owners(envelope)
        domain = asked.body.get("domain", min(owners, default=""))
        if domain not in owners:
            raise _nobody()
        await self.fleet.report(domain, asked)
        return Answer("taken")

    async def _relayed(self, envelope: Envelope, raw: bytes, carried: Carried, target: str, seconds: float) -> Answer:
        asked = read_asked(envelope, audience=target, now=self.chance.now())
        asker = carried.by.domain if carried.by is not None else min(self.owners(envelope), default="")
        if not asker or self.roll.member(target) is None:
            raise _nobody()
        identity = self.relay.hold(target, asker, raw, asked.expires)
        answer = await self.relay.answer(asker, identity, seconds)
        return Answer("relayed", {"id": identity}) if answer is None else Answer("answered", {"id": identity}, answer)


def _outcome(found: Changed) -> Answer:
    return Answer("done" if found.done else "waits", {"names": list(found.names), "version": found.version})


def _audience(envelope: Envelope) -> str:
    """Return for whom *envelope* is meant; whatever else is wrong with it is found when it is read."""
    try:
        return str(read_object(envelope.payload).get("audience", ""))
    except ValueError:
        return ""


def _nobody() -> NoSuchThing:
    return NoSuchThing("there is no such thing", mend="ask as a member, for what members have")
