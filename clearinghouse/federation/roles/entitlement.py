"""Who may sign what: a KeyNote query about the policy and the role credentials of root metadata (pure).

The query is an ordinary one of the group `publish`, with every rule of authority: a role credential must bind
community, epoch and audience (rule R5), each clause says its operation (R1), what is revoked is taken away
before (R15).  There is no list of keys beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.policies import check_policy
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.snapshot import Snapshot, licensed
from clearinghouse.clearing.vocabulary import EVERYTHING, OPERATIONS, Door
from clearinghouse.errors import BadPolicy, HolderError
from clearinghouse.federation.published.refusals import ForeignSigner, MalformedDocument, RevokedSigner, TooFewSigners
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.roots import Root
from clearinghouse.keynote import Admissions, Admitted, Budget, Limits, admit
from clearinghouse.keynote.principals import short

PUBLISH: Final = "publish"
"""The group of operations whose policies root metadata holds."""

ALLOW: Final = "allow"
_VALUES: Final = ("deny", ALLOW)
_LIMITS: Final = Limits()
_NO_ADMISSIONS: Final = Admissions(0)
"""Queries about documents hand nothing in, so nothing is remembered."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one generation of root metadata licenses, less what is revoked.

    ``before`` is the same without the revocation set: it tells a revoked signer from a stranger, and decides
    about root metadata.  A revoker's key must not be able to lock the roots out, whom only rotation replaces.
    """

    root: Root
    policies: tuple[Admitted, ...] = field(repr=False)
    credentials: tuple[Admitted, ...] = field(repr=False)
    named: frozenset[str] = field(repr=False)
    before: Snapshot = field(repr=False)
    now: Snapshot = field(repr=False)

    @classmethod
    def of(cls, root: Root) -> Entitlement:
        """Return what *root* licenses; raises `MalformedDocument` where an assertion in it could not be loaded, or does not hold."""
        policies = tuple(_admitted(text, index, policy=True) for index, text in enumerate(root.policy))
        credentials = tuple(_admitted(text, index, policy=False) for index, text in enumerate(root.credentials))
        named = frozenset(name for each in (*policies, *credentials) for name in licensed(each))
        snapshot = Snapshot.of({PUBLISH: policies}, credentials)
        return cls(root, policies, credentials, named, snapshot, snapshot)

    def less(self, revocations: RevocationSet) -> Entitlement:
        """Return what is left when all that is in *revocations* is taken away, instead of what was before."""
        snapshot = Snapshot.of(
            {PUBLISH: self.policies},
            self.credentials,
            withdrawn=map(bytes.fromhex, revocations.credentials),
            revoked=revocations.principals,
            below=revocations.below,
        )
        return Entitlement(self.root, self.policies, self.credentials, self.named, self.before, snapshot)

    def allows(self, operation: str, signers: tuple[str, ...], *, now: datetime, audience: str = EVERYTHING, member: str = "") -> bool:
        """Say whether *signers* together may do *operation* at *now*; root metadata is judged without the revocation set."""
        return self._asks(operation == "publish-root", operation, signers, now, audience, member)

    def check(self, operation: str, signers: tuple[str, ...], *, now: datetime, audience: str = EVERYTHING, member: str = "") -> None:
        """Raise `RevokedSigner`, `TooFewSigners` or `ForeignSigner` unless `allows`."""
        if self.allows(operation, signers, now=now, audience=audience, member=member):
            return
        who, mend = ", ".join(map(short, signers)), f"`{operation}` is licensed in generation {self.root.generation} of the root metadata"
        if self._asks(True, operation, signers, now, audience, member):  # noqa: FBT003 - the other of two snapshots
            raise RevokedSigner(f"what {who} signed rests on something that is revoked", mend=mend)
        if self.named.intersection(signers):
            raise TooFewSigners(f"{who} may not sign this, or not without others", mend=mend)
        raise ForeignSigner(f"{who} may not sign this", mend=mend)

    def _asks(self, before: bool, operation: str, signers: tuple[str, ...], now: datetime, audience: str, member: str) -> bool:  # noqa: FBT001 - see above
        """Put the question for those of *signers* whom the root metadata names at all."""
        known = tuple(each for each in signers if each in self.named)
        if not known:
            return False
        claims = {"table_community": self.root.community, "audience": audience, "epoch": str(self.root.epoch)}
        if "member" in OPERATIONS[operation].attributes:
            claims["member"] = member
        facts = gather(Request("", operation, Door.ENVELOPE, known, claims=claims), community=self.root.community, now=now)
        snapshot = self.before if before else self.now
        proven = prove(facts, snapshot, _VALUES, credentials=(), admissions=_NO_ADMISSIONS, budget=Budget(_LIMITS.steps), limits=_LIMITS)
        return proven.flaw is None and proven.proof.value == ALLOW


def _admitted(text: str, index: int, *, policy: bool) -> Admitted:
    """Return one assertion of root metadata; what the roots signed is whole, or it is refused as a whole."""
    what = f"{'policy' if policy else 'credential'} {index + 1} of the root metadata"
    try:
        admitted = admit(text.encode("utf-8"), policy=policy, limits=_LIMITS, source=what)
        if policy:
            check_policy(admitted, PUBLISH)
    except (HolderError, BadPolicy, UnicodeError) as error:
        raise MalformedDocument(f"{what} cannot be loaded ({error})", mend="have the roots make and sign it again") from None
    return admitted
