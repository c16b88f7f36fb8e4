"""What the clearinghouse believes at one moment: admitted assertions by group, immutable.

Policies are kept per group of operations, because a KeyNote clause without ``->`` yields the
strongest value of any value set: a query sees the policies of its own group only (rule R1).
What the desk's key has signed is kept apart, because the first of two queries must not see it (rule R2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from clearinghouse.clearing.vocabulary import GROUPS, SENSITIVE
from clearinghouse.keynote import POLICY, Admitted, Assertions, Refused
from clearinghouse.keynote.licensees import principals
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.principals import normalise


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``version`` is the SHA-256 of what was admitted, so that equal contents have equal versions.

    ``groups`` is what a first query sees, ``approvals`` what a second one sees, where there is a desk.
    ``foreign`` are, for each sensitive group, the principals that other groups license (rule R1).
    ``desk`` is the principal that signs approvals, empty for none.  ``withdrawn`` are ids of credentials,
    ``revoked`` principals, ``below`` principals all of whose delegations are revoked (rule R15).
    """

    version: str
    groups: Mapping[str, Assertions]
    refused: tuple[Refused, ...] = ()
    foreign: Mapping[str, frozenset[str]] = field(default_factory=dict)
    approvals: Mapping[str, Assertions] = field(default_factory=dict)
    desk: str = ""
    withdrawn: tuple[bytes, ...] = ()
    revoked: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        policies: Mapping[str, Iterable[Admitted]],
        credentials: Iterable[Admitted],
        *,
        refused: Iterable[Refused] = (),
        withdrawn: Iterable[bytes] = (),
        revoked: Iterable[str] = (),
        below: Iterable[str] = (),
        shared: Iterable[str] = (),
        desk: str = "",
    ) -> Snapshot:
        """Index policies by group, and the credentials once for all groups; take away what is revoked (rule R15).

        *shared* are the principals that the settings allow in several groups.  *desk* is the principal that
        signs approvals: `assertions` holds nothing by it, `approved` does.  Raises `BadPrincipal`.
        """
        loaded = {group: tuple(policies.get(group, ())) for group in GROUPS}
        kept, left_out, both, by = tuple(credentials), tuple(refused), tuple(map(normalise, shared)), normalise(desk)
        ids, names, muted = tuple(withdrawn), tuple(revoked), tuple(below)
        gone = (*ids, *(each.id for each in _written_by(muted, chain(kept, *loaded.values()))))
        first, second = _shelved(loaded, kept, left_out, by, (gone, names))
        version = _version(loaded, kept, (ids, names, both), (muted, (by,) if by else ()))
        foreign = {group: foreign_to(group, loaded, both) for group in SENSITIVE}
        return cls(version, first, left_out, foreign, second, by, ids, names, muted)

    def assertions(self, group: str) -> Assertions:
        """Return what a first query of *group* sees: nothing by the desk; an unknown group has nothing, and nothing means no."""
        return self.groups.get(group, _NOTHING)

    def approved(self, group: str) -> Assertions:
        """Return what a second query of *group* sees: what the first one sees, and what the desk's key has signed."""
        return self.approvals.get(group) or self.assertions(group)

    def elsewhere(self, group: str) -> frozenset[str]:
        """Return the principals that may have no say in *group*, because another one licenses them."""
        return self.foreign.get(group, frozenset())

    def muted(self, assertions: Iterable[Admitted]) -> Iterator[bytes]:
        """Yield the ids of those of *assertions* that are by somebody all of whose delegations are revoked (rule R15)."""
        return (each.id for each in _written_by(self.below, assertions))


def licensed(assertion: Admitted) -> Iterator[str]:
    """Yield the principals that *assertion* trusts, as people read them."""
    return iter(()) if assertion.trusted_by is None else map(from_octets, principals(assertion.trusted_by))


def foreign_to(group: str, policies: Mapping[str, Iterable[Admitted]], shared: Iterable[str]) -> frozenset[str]:
    """Return the principals that the policies of other groups license, but for the *shared* ones."""
    elsewhere = (each for other, loaded in policies.items() if other != group for each in loaded)
    return frozenset(name for each in elsewhere for name in licensed(each)) - {*shared, POLICY}


_NOTHING = Assertions()

ADDED = frozenset({"admit", "members", "override"})
"""Groups of operations that earlier releases did not have: where they are empty, a snapshot keeps the version that it had."""


def _shelved(
    policies: Mapping[str, tuple[Admitted, ...]],
    credentials: tuple[Admitted, ...],
    refused: tuple[Refused, ...],
    desk: str,
    gone: tuple[tuple[bytes, ...], tuple[str, ...]],
) -> tuple[dict[str, Assertions], dict[str, Assertions]]:
    """Return what first and what second queries see, by group; *gone* are the ids and principals that are revoked.

    A first query does without the desk in every role, so that it cannot ask for anything either.
    """
    ids, names = gone
    everybody, approvals = (Assertions(credentials=each) for each in _apart(credentials, desk))
    first, second = {}, {}
    for group, (own, by_desk) in ((group, _apart(loaded, desk)) for group, loaded in policies.items()):
        held = Assertions(policies=own, refused=refused)
        if own:  # without a policy nothing can be granted, so a group that has none needs no credentials
            held = held.over(everybody)
        first[group] = held.without(ids, principals=(*names, desk) if desk else names)
        if desk and own:
            second[group] = held.over(approvals).over(Assertions(policies=by_desk)).without(ids, principals=names)
    return first, second


def _apart(assertions: tuple[Admitted, ...], desk: str) -> tuple[tuple[Admitted, ...], tuple[Admitted, ...]]:
    """Return what is not by the desk, and what is."""
    if not desk:
        return assertions, ()
    return tuple(each for each in assertions if each.authorizer != desk), tuple(each for each in assertions if each.authorizer == desk)


def _written_by(names: Iterable[str], assertions: Iterable[Admitted]) -> Iterator[Admitted]:
    authors = {normalise(to_octets(name)) for name in names}
    return (each for each in assertions if each.authorizer in authors) if authors else iter(())


def _version(
    policies: Mapping[str, tuple[Admitted, ...]],
    credentials: tuple[Admitted, ...],
    lists: tuple[tuple[bytes, ...], tuple[str, ...], tuple[str, ...]],
    later: tuple[tuple[str, ...], ...],
) -> str:
    """Return the digest of everything; *later* is what snapshots of earlier releases did not have, and has no part where it is empty."""
    digest = hashlib.sha256()
    for group in GROUPS:
        if group in ADDED and not policies[group]:
            continue
        digest.update(b"".join((group.encode(), b"\0", *sorted(each.id for each in policies[group]))))
    withdrawn, *names = lists
    for ids in ((each.id for each in credentials), withdrawn, *(map(str.encode, each) for each in names)):
        digest.update(b"\0\0" + b"\0".join(sorted(ids)))
    for number, added in enumerate(later):
        digest.update(b"".join(b"\0\0%d:%d:%b" % (number, len(each), each) for each in sorted(map(str.encode, added))))
    return digest.hexdigest()
