"""What signed envelopes ask for, and that none is taken twice (rule R18).

Each kind has its own body, texts all.  An envelope is remembered in the transaction of what it did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.dsse import REQUEST, fingerprint, opened
from clearinghouse.clearing.envelope import Asked, MalformedEnvelope, Replayed, read_asked
from clearinghouse.clearing.facts import LONGEST_VALIDITY
from clearinghouse.clearing.people import Changed, Ruling, Speaker, WrongCase
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.runtime.casework import Casework
from clearinghouse.runtime.governing import Governing
from clearinghouse.runtime.speakers import speakers_of, together
from clearinghouse.settings import Settings
from clearinghouse.storage.changes import EnvelopeSeen

APPROVE: Final = "approve"
DENY: Final = "deny"
END_GRANT: Final = "end-grant"
REVOKE: Final = "revoke"
LIFT: Final = "lift"
ADD: Final = "credential-add"
WITHDRAW: Final = "credential-withdraw"

BODIES: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = MappingProxyType(
    {
        APPROVE: (frozenset({"case", "shown", "subject", "topic"}), frozenset({"seconds"})),
        DENY: (frozenset({"case"}), frozenset({"reason"})),
        END_GRANT: (frozenset({"grant"}), frozenset({"reason", "may-ask-again"})),
        REVOKE: (frozenset({"what", "name"}), frozenset({"reason"})),
        LIFT: (frozenset({"revocation"}), frozenset()),
        ADD: (frozenset({"credential"}), frozenset()),
        WITHDRAW: (frozenset({"credential"}), frozenset()),
    }
)
"""By kind: members that its body must have, and may have.

``case``, ``grant``, ``revocation`` and the ``credential`` that is withdrawn are ids, the one that is added its text;
``shown`` is `Case.digest`; ``seconds`` is how long an approval holds at most; ``what`` is a `RevocationKind`;
``may-ask-again`` is ``yes`` or ``no``, which is meant where it is absent.
"""

_Seen: TypeAlias = tuple[EnvelopeSeen, ...]


@dataclass(frozen=True, slots=True)
class Petitions:
    """Does what envelopes ask for, on the word of those who signed them and of nobody else (rule R9)."""

    settings: Settings
    casework: Casework
    governing: Governing

    async def submit(self, raw: bytes) -> Ruling | Changed:
        """Do what the envelope *raw* asks for; raises what `opened` and `read_asked` do, and `Replayed`."""
        now, books = self.casework.rights.chance.now(), self.casework.books
        envelope = opened(raw, payload_type=REQUEST, limits=self.settings.limits)
        asked = read_asked(envelope, audience=self.settings.community, now=now)
        check_body(asked)
        prints = fingerprint(envelope)
        if any(books.seen(signer, digest, now) for signer, digest in prints):
            raise Replayed("the envelope was taken already", mend="sign a new one")
        seen = tuple(EnvelopeSeen(signer, digest, asked.expires) for signer, digest in prints)
        return await self._done(asked, speakers_of(self.settings, envelope.signers, envelope=raw), seen)

    async def _done(self, asked: Asked, speakers: tuple[Speaker, ...], seen: _Seen) -> Ruling | Changed:
        if asked.kind == APPROVE:
            return await self._approve(asked.body, speakers, seen)
        act: dict[str, Callable[[Mapping[str, str], Speaker, _Seen], Awaitable[Ruling | Changed]]] = {
            DENY: self._deny,
            END_GRANT: self._end_grant,
            REVOKE: self._revoke,
            LIFT: self._lift,
            ADD: self._add,
            WITHDRAW: self._withdraw,
        }
        return await act[asked.kind](asked.body, together(speakers), seen)

    async def _approve(self, body: Mapping[str, str], speakers: tuple[Speaker, ...], seen: _Seen) -> Ruling:
        """Several signers of several persons are as many approvals; subject and topic have to be the case's, word for word."""
        case = await self.casework.found(speakers[0], body["case"])
        if (body["subject"], body["topic"]) != (case.subject, case.topic):
            raise WrongCase(f"case {case.id[:8]} is about another subject or topic", mend="look at it, and sign what it is about")
        if not body["shown"]:
            raise WrongCase("the envelope does not say what its signer was shown", mend="put the digest of the case into `shown`")
        return await self.casework.approve(speakers, case.id, shown=body["shown"], period=_period(body), also=seen)

    async def _deny(self, body: Mapping[str, str], who: Speaker, seen: _Seen) -> Ruling:
        return await self.casework.deny(who, body["case"], reason=body.get("reason", ""), also=seen)

    async def _end_grant(self, body: Mapping[str, str], who: Speaker, seen: _Seen) -> Changed:
        again = body.get("may-ask-again", "no")
        if again not in {"yes", "no"}:
            raise MalformedEnvelope(f"`may-ask-again` is `{shown(again[:64])}`", mend="write `yes` or `no`")
        return await self.governing.end_grant(who, body["grant"], reason=body.get("reason", ""), may_ask_again=again == "yes", also=seen)

    async def _revoke(self, body: Mapping[str, str], who: Speaker, seen: _Seen) -> Changed:
        if body["what"] not in set(RevocationKind):
            raise MalformedEnvelope(
                f"`{shown(body['what'][:64])}` is no kind of revocation", mend=f"it is one of {', '.join(RevocationKind)}"
            )
        kind = RevocationKind(body["what"])
        return await self.governing.revoke(who, kind, body["name"], reason=body.get("reason", ""), dry_run=False, also=seen)

    async def _lift(self, body: Mapping[str, str], who: Speaker, seen: _Seen) -> Changed:
        lifted = await self.governing.lift(who, body["revocation"], also=seen)
        return Changed((lifted.id,), (), (), done=True, version=self.casework.rights.desk.snapshot.version)

    async def _add(self, body: Mapping[str, str], who: Speaker, seen: _Seen) -> Changed:
        return await self.governing.add_credential(who, body["credential"].encode(), dry_run=False, also=seen)

    async def _withdraw(self, body: Mapping[str, str], who: Speaker, seen: _Seen) -> Changed:
        return await self.governing.withdraw_credential(who, body["credential"], dry_run=False, also=seen)


def check_body(asked: Asked) -> None:
    """Raise `MalformedEnvelope` for a kind that is not known, and a body that has not what it must, or more than it may."""
    if asked.kind not in BODIES:
        raise MalformedEnvelope(f"`{shown(asked.kind)}` cannot be asked for in an envelope", mend=f"ask for {', '.join(BODIES)}")
    must, may = BODIES[asked.kind]
    for name in sorted(must - asked.body.keys()):
        raise MalformedEnvelope(f"the body of `{asked.kind}` has no `{name}`", mend="make it with the command line")
    for name in sorted(asked.body.keys() - must - may):
        raise MalformedEnvelope(f"the body of `{asked.kind}` has `{shown(name)}`, which means nothing there", mend="leave it out")


def _period(body: Mapping[str, str]) -> timedelta | None:
    written = body.get("seconds")
    if written is None:
        return None
    if not (
        written.isascii() and written.isdecimal() and len(written) <= len(str(LONGEST_VALIDITY)) and 1 <= int(written) <= LONGEST_VALIDITY
    ):
        raise MalformedEnvelope(f"`seconds` is `{shown(written[:64])}`", mend=f"write 1 to {LONGEST_VALIDITY}")
    return timedelta(seconds=int(written))
