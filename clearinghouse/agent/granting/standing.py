"""Grants as they stand in memory (pure): by id, by what they open, and how many there are for each domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from clearinghouse.clearing.cases import Grant
from clearinghouse.federation.enforced import image
from clearinghouse.federation.enforced.packet_rules import PacketRule, rule_of

Same: TypeAlias = tuple[tuple[str, ...], PacketRule]
"""What a newer grant has in common that takes another one's place: who asked, and what it opens."""


@dataclass(frozen=True, slots=True)
class Held:
    """A grant, what it opens, and what the server module is told of it."""

    grant: Grant
    rule: PacketRule
    told: image.Grant

    @classmethod
    def of(cls, grant: Grant) -> Held:
        """Return *grant* as it is held; it counts at the server until the next look at it, in whole seconds."""
        rule = rule_of(grant.request.claims)
        told = image.Grant(
            grant.id,
            rule.remote,
            int(grant.ends.timestamp()),
            user=rule.user,
            mask=rule.mask,
            address=rule.address,
            decision=grant.id,
        )
        return cls(grant, rule, told)

    @property
    def same(self) -> Same:
        """Return by what another one takes this one's place."""
        return self.grant.request.requesters, self.rule


@dataclass(slots=True)
class Standing:
    """The grants that hold, oldest first."""

    _all: dict[str, Held] = field(default_factory=dict)
    _same: dict[Same, str] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._all.values())

    def get(self, identity: str) -> Held | None:
        """Return the grant with this id."""
        return self._all.get(identity)

    def like(self, same: Same) -> Held | None:
        """Return the grant that opens the same to the same requesters."""
        return self._all.get(self._same.get(same, ""))

    def count(self, remote: str) -> int:
        """Return how many there are for the domain *remote*."""
        return self._counts[remote]

    def put(self, held: Held) -> None:
        """Take a grant, or what has become of it."""
        if held.grant.id not in self._all:
            self._counts[held.rule.remote] += 1
        self._all[held.grant.id] = held
        self._same[held.same] = held.grant.id

    def drop(self, identity: str) -> None:
        """Forget a grant."""
        held = self._all.pop(identity, None)
        if held is None:
            return
        self._counts[held.rule.remote] -= 1
        if not self._counts[held.rule.remote]:
            del self._counts[held.rule.remote]
        if self._same.get(held.same) == identity:
            del self._same[held.same]
