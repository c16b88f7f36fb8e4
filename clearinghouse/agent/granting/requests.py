"""The target's side of a signed request: read it, rule on it under this site's own policy, and let what follows count.

The steps are numbered; a request that fails one never reaches the next, so that strangers cause little work and what
they hand in is looked at last (rules R18 and R21).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final

import structlog

from clearinghouse.agent.granting.answers import Answer, answer_of
from clearinghouse.agent.granting.authority import Authority
from clearinghouse.agent.granting.grants import Grants
from clearinghouse.clearing.cases import Case, CaseChange
from clearinghouse.clearing.decision import Decision, Outcome, refuse
from clearinghouse.clearing.dsse import REQUEST, Envelope, fingerprint, opened
from clearinghouse.clearing.envelope import Asked, read_asked
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.senders import Account, Accounts, Rate, RateLimited
from clearinghouse.clearing.vocabulary import EVERYTHING, LOWEST, Door
from clearinghouse.clearing.whitelist import request_of
from clearinghouse.errors import PeerError
from clearinghouse.federation.enforced.packet_rules import PacketRule, rule_of
from clearinghouse.storage.changes import EnvelopeSeen
from clearinghouse.telemetry import decision_level, decision_line

log = structlog.get_logger(__name__)

EACH: Final = Rate(burst=30, per_second=1)
"""Envelopes of one sender: thirty at once, then one a second; an honest agent asks once for each user who writes."""
TOGETHER: Final = Rate(burst=300, per_second=60)
"""Envelopes of all senders; to check the signatures of sixty a second takes 3 % of a processor."""
SPARE: Final = Rate(burst=600, per_second=200)
"""Envelopes beyond those, of senders that were quiet: a hundred who ask all that they may leave half of it to the others."""
QUIET: Final = 3
"""Envelopes that a sender may have used up lately and still count as quiet."""
STRANGERS: Final = Rate(burst=120, per_second=2)
"""Envelopes of all whose key stands neither in a record nor in a policy, together: they fill 250 MB of disk in a day."""
RELAY: Final = "relay"
"""The sender of what came through the clearinghouse."""
REFUSAL_SECONDS: Final = 0.05
"""The least time to a refusal, so that what was refused at once and what took a search look the same (rule R22)."""
APPLIED_SECONDS: Final = 3.0
"""How long a grant may take to reach the server before its requester is told of it all the same; it takes 5 ms."""


class LocallyDenied(PeerError):
    """The site has shut the domain out by an override of its own."""

    code: ClassVar[str] = "locally-denied"
    http_status: ClassVar[int] = 403
    stanza_condition: ClassVar[str] = "forbidden"


@dataclass(slots=True)
class Paces:
    """How often each sender, and all of them, may ask."""

    each: Rate = EACH
    together: Rate = TOGETHER
    strangers: Rate = STRANGERS
    _accounts: Accounts = field(default_factory=Accounts)
    _all: Account | None = None
    _spare: Account | None = None
    _strangers: Account | None = None

    def take_stranger(self, now: datetime) -> None:
        """Take one question of somebody whom neither a record nor a policy names; raises `RateLimited`."""
        self._strangers = self._strangers or Account(self.strangers, now)
        if self._strangers.left(now) < 1:
            raise RateLimited("too many requests came from strangers", mend="ask again in a minute, or with a key of a member")
        self._strangers.charge(1, now)

    def take(self, sender: str, now: datetime) -> None:
        """Take one question of *sender*; raises `RateLimited` where there is none left.

        When all together ask too much, those who were quiet go on: a flood is no way to keep the honest out (rule R21).
        """
        self._all, self._spare = self._all or Account(self.together, now), self._spare or Account(SPARE, now)
        each = self.together if sender == RELAY else self.each  # whoever sits behind the relay has been held to a pace there
        left = self._accounts.left(sender, each, now)
        common, least = (self._all, 1) if self._all.left(now) >= 1 else (self._spare, max(1, each.burst - QUIET))
        if left < least or common.left(now) < 1:
            raise RateLimited("too many requests came from there", mend="ask again in a minute")
        self._accounts.charge(sender, each, 1, now)
        common.charge(1, now)


@dataclass(slots=True)
class Requests:
    """Answers the signed requests that are meant for *target*, the one domain whose agent this is (rule R18).

    ``denied`` says whether this site has shut a domain out by an override of its own; ``applied`` returns once the
    server has the grant with that id, so that whoever is told of it can use it at once.
    """

    target: str
    authority: Authority
    grants: Grants
    denied: Callable[[str, datetime], bool] = lambda _domain, _now: False
    applied: Callable[[str], Awaitable[None]] | None = None
    paces: Paces = field(default_factory=Paces)

    async def answer(self, raw: bytes, *, via: str) -> Answer:
        """Answer the envelope *raw*, which came *via* somebody whose door proved that: ``xmpp:b.example``, ``ip:192.0.2.1``.

        1. how often that sender may ask: `RateLimited`; 2. the envelope's form and signatures, and how often strangers may
        ask; 3. audience and life: what `read_asked` raises; 4. `Replayed`; 5. what is asked for can be enforced:
        `MalformedRequest`, `CannotEnforce`; 6. policy decides, on nothing that is stale: `StaleRecords`; 7. the decision is
        durable before it is answered: `StoreUnavailable`.
        """
        authority, due = self.authority, asyncio.get_running_loop().time() + REFUSAL_SECONDS
        self.paces.take(via, authority.now())  # 1
        envelope = await asyncio.to_thread(opened, raw, payload_type=REQUEST)  # 2
        if not any(authority.knows(each) for each in envelope.signers):
            self.paces.take_stranger(authority.now())
        asked = read_asked(envelope, audience=self.target, now=authority.now())  # 3
        self.grants.check_new(fingerprint(envelope), authority.now())  # 4
        request = request_of(asked, envelope, identity=authority.desk.new_id(), sender=self._sender(envelope, via))
        rule = rule_of(request.claims)  # 5
        decision = await self._decided(request, rule, asked, envelope)  # 6, 7
        answer = answer_of(decision, explained=self._explains(request, rule, decision), target=self.target)
        if decision.outcome is Outcome.REFUSED:
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        if decision.outcome is Outcome.GRANTED and self.applied is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(APPLIED_SECONDS):
                    await self.applied(decision.id)
        return answer

    async def _decided(self, request: Request, rule: PacketRule, asked: Asked, envelope: Envelope) -> Decision:
        authority = self.authority
        authority.require_fresh()
        self.grants.check_room(rule.remote)
        decision = self._barred(request) if self.denied(rule.remote, authority.now()) else authority.ruled(request)
        if decision.outcome is not Outcome.UNANSWERED:
            await self.grants.record(decision, _seen(asked, envelope))
        log.log(decision_level(decision), decision.outcome.value, **decision_line(decision))
        return decision

    # -- what the site's people do

    async def approve(self, who: Speaker, prefix: str, period: timedelta | None) -> tuple[Case, Decision | None]:
        """Count the approval of *who*; raises what `Cases.approved` does."""
        case, decision = self.grants.cases.approved(self.grants.cases.found(prefix), who, period)
        if decision is not None and decision.outcome is Outcome.GRANTED:
            await self.grants.record(decision, case=case)
        else:
            await self.grants.move(case, CaseChange.APPROVE)
        return case, decision

    async def deny(self, who: Speaker, prefix: str, reason: str) -> Case:
        """End a request that waits with a no."""
        case = self.grants.cases.denied(self.grants.cases.found(prefix), who, reason)
        await self.grants.move(case, CaseChange.DENY)
        return case

    # -- inside

    def _barred(self, request: Request) -> Decision:
        desk, error = self.authority.desk, LocallyDenied("an override of this site shuts the domain out", mend="ask its people")
        return refuse(desk.new_id(), request, error, value=LOWEST, version=desk.snapshot.version, now=self.authority.now())

    def _sender(self, envelope: Envelope, via: str) -> str:
        """Return whose account pays for the work: the member's whose key signed, else whoever brought it."""
        members = (self.authority.member_with(each) for each in envelope.signers)
        return next((f"member:{each}" for each in members if each is not None), via)

    def _explains(self, request: Request, rule: PacketRule, decision: Decision) -> bool:
        """Say whether its signers may know the reason, which is a query of its own (rule R22)."""
        if decision.outcome is not Outcome.REFUSED:
            return False
        about = {"subject": rule.remote, "topic": EVERYTHING, "case": decision.id, "asked": request.operation}
        asked = Request(decision.id, "explain", Door.ENVELOPE, request.requesters, claims=about, sender=request.sender)
        return self.authority.may(asked)


def _seen(asked: Asked, envelope: Envelope) -> Sequence[EnvelopeSeen]:
    return [EnvelopeSeen(signer, digest, asked.expires) for signer, digest in fingerprint(envelope)]
