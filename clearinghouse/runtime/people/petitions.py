"""What signed envelopes ask for is done on the word of those who signed them, and none is taken twice (rules R9 and R18).

An envelope is remembered in the transaction of what it did: what was not done may come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from clearinghouse.clearing.acts import AddCredential, Approve, Deny, EndGrant, Lift, Revoke, WithdrawCredential, read_act
from clearinghouse.clearing.dsse import REQUEST, MalformedEnvelope, fingerprint, opened
from clearinghouse.clearing.envelope import Asked, Replayed, read_asked
from clearinghouse.clearing.people import Changed, Ruling, Speaker, WrongCase
from clearinghouse.runtime.people.casework import Casework
from clearinghouse.runtime.people.governing import Governing
from clearinghouse.runtime.people.speakers import speakers_of, together
from clearinghouse.settings import Settings
from clearinghouse.storage.changes import EnvelopeSeen

_Seen: TypeAlias = tuple[EnvelopeSeen, ...]


Other: TypeAlias = Callable[[Asked, Speaker, _Seen], Awaitable[Changed]]
"""Does what an envelope of a kind asks for, and writes in the same transaction that it was seen."""


@dataclass(frozen=True, slots=True)
class Petitions:
    """Does what envelopes ask for; ``others`` are kinds that are not the office's own."""

    settings: Settings
    casework: Casework
    governing: Governing
    others: dict[str, Other] = field(default_factory=dict)

    async def submit(self, raw: bytes) -> Ruling | Changed:
        """Do what the envelope *raw* asks for; raises what `opened`, `read_asked` and `read_act` do, and `Replayed`."""
        # Strangers bring envelopes too, and sixteen large keys take 40 ms: everybody else has a turn after each of them.
        envelope = await asyncio.to_thread(opened, raw, payload_type=REQUEST, limits=self.settings.limits)
        now, books = self.casework.rights.chance.now(), self.casework.books
        asked = read_asked(envelope, audience=self.settings.community, now=now)
        if asked.credentials:
            raise MalformedEnvelope("what people decide rests on no credentials of theirs", mend="leave `credentials` out")
        other, prints = self.others.get(asked.kind), fingerprint(envelope)
        act = None if other is not None else read_act(asked.kind, asked.body)
        if any(books.seen(signer, digest, now) for signer, digest in prints):
            raise Replayed("the envelope was taken already", mend="sign a new one")
        seen = tuple(EnvelopeSeen(signer, digest, asked.expires) for signer, digest in prints)
        speakers = speakers_of(self.settings, envelope.signers, envelope=raw)
        if act is None:
            return await self.others[asked.kind](asked, together(speakers), seen)
        if isinstance(act, Approve):
            return await self._approve(act, speakers, seen)
        return await self._done(act, together(speakers), seen)

    async def _approve(self, act: Approve, speakers: tuple[Speaker, ...], seen: _Seen) -> Ruling:
        """Several signers of several persons are as many approvals; subject and topic have to be the case's, word for word."""
        case = await self.casework.found(speakers[0], act.case)
        if (act.subject, act.topic) != (case.subject, case.topic):
            raise WrongCase(f"case {case.id[:8]} is about another subject or topic", mend="look at it, and sign what it is about")
        if not act.shown:
            raise WrongCase("the envelope does not say what its signer was shown", mend="put the digest of the case into `shown`")
        return await self.casework.approve(speakers, case.id, shown=act.shown, period=act.period, also=seen)

    async def _done(
        self, act: Deny | EndGrant | Revoke | Lift | AddCredential | WithdrawCredential, who: Speaker, seen: _Seen
    ) -> Ruling | Changed:
        governing = self.governing
        match act:
            case Deny(case, reason):
                return await self.casework.deny(who, case, reason=reason, also=seen)
            case EndGrant(grant, reason, again):
                return await governing.end_grant(who, grant, reason=reason, may_ask_again=again, also=seen)
            case Revoke(what, name, reason):
                return await governing.revoke(who, what, name, reason=reason, dry_run=False, also=seen)
            case Lift(revocation):
                lifted = await governing.lift(who, revocation, also=seen)
                return Changed((lifted.id,), (), (), done=True, version=self.casework.rights.desk.snapshot.version)
            case AddCredential(raw):
                return await governing.add_credential(who, raw, dry_run=False, also=seen)
            case WithdrawCredential(identity):
                return await governing.withdraw_credential(who, identity, dry_run=False, also=seen)
            case _:
                assert_never(act)
