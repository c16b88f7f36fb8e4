"""What the clearinghouse believes at one moment: admitted assertions by group, immutable.

Policies are kept per group of operations, because a KeyNote clause without ``->`` yields the
strongest value of any value set: a query sees the policies of its own group only (rule R1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clearinghouse.clearing.vocabulary import GROUPS
from clearinghouse.keynote import Admitted, Assertions, Refused


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``version`` is the SHA-256 of what was admitted, so that equal contents have equal versions."""

    version: str
    groups: Mapping[str, Assertions]
    refused: tuple[Refused, ...] = ()

    @classmethod
    def of(
        cls,
        policies: Mapping[str, Iterable[Admitted]],
        credentials: Iterable[Admitted],
        *,
        refused: Iterable[Refused] = (),
        withdrawn: Iterable[bytes] = (),
        revoked: Iterable[str] = (),
    ) -> Snapshot:
        """Index policies by group, each with all credentials; take away what is revoked (rule R15)."""
        kept, ids, keys = tuple(credentials), tuple(withdrawn), tuple(revoked)
        left_out = tuple(refused)
        groups = {
            group: Assertions(policies=policies.get(group, ()), credentials=kept, refused=left_out).without(ids, principals=keys)
            for group in GROUPS
        }
        return cls(_version(policies, kept, ids, keys), groups, left_out)

    def assertions(self, group: str) -> Assertions:
        """Return what a query of *group* sees; an unknown group has nothing, and nothing means no."""
        return self.groups.get(group, _NOTHING)


_NOTHING = Assertions()


def _version(
    policies: Mapping[str, Iterable[Admitted]], credentials: Iterable[Admitted], withdrawn: Iterable[bytes], revoked: Iterable[str]
) -> str:
    digest = hashlib.sha256()
    for group in GROUPS:
        digest.update(b"".join((group.encode(), b"\0", *sorted(each.id for each in policies.get(group, ())))))
    for ids in ((each.id for each in credentials), withdrawn, (key.encode() for key in revoked)):
        digest.update(b"\0\0" + b"\0".join(sorted(ids)))
    return digest.hexdigest()
