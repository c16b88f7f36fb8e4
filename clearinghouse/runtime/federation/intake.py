"""What members hand in: each envelope goes to where its audience and kind say, on the word of those who signed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.dsse import Envelope
from clearinghouse.clearing.envelope import Asked, read_asked
from clearinghouse.clearing.people import Changed, NoSuchThing, Office
from clearinghouse.clearing.vocabulary import EVERYTHING, domain_of
from clearinghouse.clearing.wire import read_object
from clearinghouse.federation.membership.reception import Answer, Reader
from clearinghouse.runtime.asking.rates import Pace, Rates
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.fleet import Fleet
from clearinghouse.runtime.federation.relay import Relay
from clearinghouse.runtime.federation.roll import Roll

KINDS: Final = frozenset({"status", "join"})
"""What is asked of the federation itself; everything else is for the office."""

STRANGER: Final = Pace(0.05, 20.0)
"""Requests to join of one address or domain whose key is no member's: twenty at once, and one in 20 s."""

STRANGERS: Final = Pace(1.0, 100.0)
"""Those of all of them: at 1 kB each they write 86 MB in a day."""


@dataclass(frozen=True, slots=True)
class Carried:
    """How an envelope came here: from a member that proved to be one, from a JID that a server has authenticated, from an address."""

    by: Reader | None = None
    speaker: str = ""
    peer: str = ""


Join = Callable[[Asked, Envelope, str, str], Awaitable[Changed]]


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
    strangers: Rates = field(init=False)

    def __post_init__(self) -> None:
        self.strangers = Rates(STRANGER, STRANGERS, self.chance.elapsed)

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
            case "status":
                return await self._status(asked, envelope)
            case "join":
                if not self.owners(envelope):  # each leaves something in the store
                    self.strangers.take(carried.peer or domain_of(carried.speaker.partition("/")[0]), EVERYTHING)
                return _outcome(await self.join(asked, envelope, carried.speaker, carried.peer or carried.speaker))
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
        member = carried.by.domain if carried.by is not None else min(self.owners(envelope), default="")
        there, known = self.roll.member(target) is not None, self.roll.member(member)
        if member and not there:
            raise _nobody()
        signers = frozenset((*envelope.signers, *(() if known is None else known.keys)))
        account = member or carried.peer or carried.speaker
        # Strangers do not learn who is a member: neither by what they hear nor by how long it takes (rule R22).
        kept = raw if there else b""
        identity = self.relay.hold(target, account, signers, kept, asked.expires, stranger=not member)
        answer = await self.relay.answer(signers, identity, seconds)
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
