"""What the clearinghouse believes at one moment: admitted assertions by group, immutable.

Policies are kept per group of operations, because a KeyNote clause without ``->`` yields the
strongest value of any value set: a query sees the policies of its own group only (rule R1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clearinghouse.clearing.vocabulary import GROUPS, SENSITIVE
from clearinghouse.keynote import POLICY, Admitted, Assertions, Refused
from clearinghouse.keynote.licensees import principals
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import normalise


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``version`` is the SHA-256 of what was admitted, so that equal contents have equal versions.

    ``foreign`` are, for each sensitive group, the principals that other groups license (rule R1).
    """

    version: str
    groups: Mapping[str, Assertions]
    refused: tuple[Refused, ...] = ()
    foreign: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        policies: Mapping[str, Iterable[Admitted]],
        credentials: Iterable[Admitted],
        *,
        refused: Iterable[Refused] = (),
        withdrawn: Iterable[bytes] = (),
        revoked: Iterable[str] = (),
        shared: Iterable[str] = (),
    ) -> Snapshot:
        """Index policies by group, each with all credentials; take away what is revoked (rule R15).

        *shared* are the principals that the settings allow in several groups.
        """
        loaded = {group: tuple(policies.get(group, ())) for group in GROUPS}
        kept, ids, keys, both = tuple(credentials), tuple(withdrawn), tuple(revoked), tuple(map(normalise, shared))
        left_out = tuple(refused)
        groups = {
            # Without a policy nothing can be granted, so a group that has none needs no index of all credentials.
            group: Assertions(policies=own, credentials=kept if own else (), refused=left_out).without(ids, principals=keys)
            for group, own in loaded.items()
        }
        return cls(
            _version(loaded, kept, ids, keys, both), groups, left_out, {group: foreign_to(group, loaded, both) for group in SENSITIVE}
        )

    def assertions(self, group: str) -> Assertions:
        """Return what a query of *group* sees; an unknown group has nothing, and nothing means no."""
        return self.groups.get(group, _NOTHING)

    def elsewhere(self, group: str) -> frozenset[str]:
        """Return the principals that may have no say in *group*, because another one licenses them."""
        return self.foreign.get(group, frozenset())


def licensed(assertion: Admitted) -> Iterator[str]:
    """Yield the principals that *assertion* trusts, as people read them."""
    return iter(()) if assertion.trusted_by is None else map(from_octets, principals(assertion.trusted_by))


def foreign_to(group: str, policies: Mapping[str, Iterable[Admitted]], shared: Iterable[str]) -> frozenset[str]:
    """Return the principals that the policies of other groups license, but for the *shared* ones."""
    elsewhere = (each for other, loaded in policies.items() if other != group for each in loaded)
    return frozenset(name for each in elsewhere for name in licensed(each)) - {*shared, POLICY}


_NOTHING = Assertions()


def _version(
    policies: Mapping[str, tuple[Admitted, ...]],
    credentials: tuple[Admitted, ...],
    withdrawn: tuple[bytes, ...],
    revoked: tuple[str, ...],
    shared: tuple[str, ...],
) -> str:
    digest = hashlib.sha256()
    for group in GROUPS:
        digest.update(b"".join((group.encode(), b"\0", *sorted(each.id for each in policies[group]))))
    for ids in ((each.id for each in credentials), withdrawn, map(str.encode, revoked), map(str.encode, shared)):
        digest.update(b"\0\0" + b"\0".join(sorted(ids)))
    return digest.hexdigest()
