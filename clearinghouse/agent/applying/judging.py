"""What the site's policy lets pass of one other server: eight KeyNote queries, one for each direction and kind, make a mask (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from clearinghouse.agent.applying.shorthand import ADMIT
from clearinghouse.clearing.facts import Facts, gather
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.request import Request, server
from clearinghouse.clearing.snapshot import Snapshot, licensed
from clearinghouse.clearing.soundness import Proven
from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from clearinghouse.errors import BudgetExhausted, TooLarge
from clearinghouse.federation.enforced.image import BITS, EVERYTHING, NOTHING, OUTBOUND
from clearinghouse.keynote import Admissions, Admitted, Assertions, Budget, Limits, Proof, syntax
from clearinghouse.keynote.clock import next_change

NOBODY: Final = "nobody.invalid"
"""A domain that no policy names; it is nobody's (RFC 6761, section 6.4)."""

_VALUES: Final = OPERATIONS[ADMIT].values or ()
_ALLOW: Final = _VALUES[-1]
_DIRECTIONS: Final = MappingProxyType({"in": 1, "out": OUTBOUND})
_QUESTIONS: Final = tuple((direction, kind, bit * factor) for direction, factor in _DIRECTIONS.items() for kind, bit in BITS.items())
_ABOUT_STANZAS: Final = frozenset({"direction", "kind"})
_ABOUT_DOMAINS: Final = frozenset({"from_domain", "_ACTION_AUTHORIZERS"})
_LIMITS: Final = Limits.local()
_EMPTY: Final = Snapshot.of({}, ())
_NONE: Final = Admissions(1)


@dataclass(frozen=True, slots=True)
class Answered:
    """What passes, and whether that would be the same for other domains of the level; until when the clock leaves it so."""

    mask: int
    reads_domain: bool
    stable_until: datetime | None


@dataclass(slots=True)
class Judge:
    """Asks the policies of *snapshot* for the server of *domain*; ``named`` are the principals that they license."""

    snapshot: Snapshot
    community: str
    domain: str
    named: frozenset[str] = field(init=False)
    _assertions: Assertions = field(init=False)
    _splits: bool = field(init=False)
    _sound: set[tuple[str, ...]] = field(default_factory=set)
    _facts: dict[tuple[str, str, str], Facts] = field(default_factory=dict)
    _now: datetime | None = None
    _until: datetime | None = None

    def __post_init__(self) -> None:
        self._assertions = self.snapshot.assertions(ADMIT)
        every = list(self._assertions)
        self.named = frozenset(name for each in every for name in licensed(each))
        self._splits = any(_may_read(each, _ABOUT_STANZAS) for each in every)

    def thorough(self, domain: str, level: str, keys: Sequence[str], now: datetime) -> Answered:
        """Return what passes of *domain* with everything that the proofs tell; *keys* are those of its member record (rule R9)."""
        mask, reads, until = NOTHING, False, None
        for direction, kind, bit in _QUESTIONS:
            proven = self._proven(self._asked(domain, level, direction, kind, keys, now))
            read = proven.proof.reads.keys()
            reads |= not _ABOUT_DOMAINS.isdisjoint(read)
            until = earlier(until, proven.proof.stable_until)
            mask |= bit if _is_granted(proven) else NOTHING
            if _ABOUT_STANZAS.isdisjoint(read):
                return Answered(EVERYTHING if _is_granted(proven) else NOTHING, reads, until)
        return Answered(mask, reads, until)

    def quick(self, domain: str, level: str, keys: Sequence[str], now: datetime) -> Answered:
        """Return the same in a tenth of the time, if perhaps for a shorter time: until any assertion of the group may change its mind."""
        self._set_clock(now)
        requesters = (*server(domain), *keys)
        if not self._splits:
            direction, kind, _ = _QUESTIONS[0]
            return Answered(
                EVERYTHING if self._grants(domain, level, direction, kind, requesters) else NOTHING,
                reads_domain=True,
                stable_until=self._until,
            )
        granted = (bit for direction, kind, bit in _QUESTIONS if self._grants(domain, level, direction, kind, requesters))
        return Answered(sum(granted), reads_domain=True, stable_until=self._until)

    def _set_clock(self, now: datetime) -> None:
        if now == self._now:
            return
        self._now = now
        self._facts.clear()
        changes = (next_change(each.clock_use(), now) for each in self._assertions)
        self._until = min((each for each in changes if each is not None), default=None)

    def _grants(self, domain: str, level: str, direction: str, kind: str, requesters: tuple[str, ...]) -> bool:
        """Ask once; whether a proof by the same assertions is sound does not depend on whom they are about.

        The requester's own name ties the one dimension of the effect (rule R5), and nothing here is claimed (rule R8).
        """
        assert self._now is not None  # noqa: S101 - the clock was set
        facts = self._facts.get((level, direction, kind))
        if facts is None:
            facts = self._facts[level, direction, kind] = self._asked(NOBODY, level, direction, kind, (), self._now)
        attributes = {**facts.attributes, "from_domain": domain}
        try:
            proof = self._assertions.query(authorizers=requesters, action=attributes, values=_VALUES, budget=Budget(_LIMITS.steps))
        except (BudgetExhausted, TooLarge):  # no answer is no permission
            return False
        if proof.value != _ALLOW:
            return False
        carriers = _carriers(proof)
        if carriers in self._sound:
            return True
        proven = self._proven(self._asked(domain, level, direction, kind, requesters[1:], self._now))
        if _is_granted(proven) and _carriers(proven.proof) == carriers:
            self._sound.add(carriers)
        return _is_granted(proven)

    def _asked(self, domain: str, level: str, direction: str, kind: str, keys: Sequence[str], now: datetime) -> Facts:
        observed: Mapping[str, str] = {
            "from_domain": domain,
            "to_domain": self.domain,
            "level": level,
            "direction": direction,
            "kind": kind,
        }
        request = Request("admission", ADMIT, Door.TABLE, (*server(domain), *keys), observed=observed)
        return gather(request, community=self.community, now=now)

    def _proven(self, facts: Facts) -> Proven:
        try:
            return _prove(facts, self.snapshot)
        except (BudgetExhausted, TooLarge):  # no answer is no permission
            return _prove(facts, _EMPTY)


def _prove(facts: Facts, snapshot: Snapshot) -> Proven:
    return prove(facts, snapshot, _VALUES, credentials=(), admissions=_NONE, budget=Budget(_LIMITS.steps), limits=_LIMITS)


def _is_granted(proven: Proven) -> bool:
    return proven.flaw is None and proven.proof.value == _ALLOW


def _carriers(proof: Proof) -> tuple[str, ...]:
    """Return the assertions that carry what was settled, for comparison."""
    return tuple(sorted(carrier.name for _, carrier in proof.settled.values() if carrier is not None))


def _may_read(assertion: Admitted, names: frozenset[str]) -> bool:
    """Say whether the assertion could read one of these attributes; one that computes a name could read any."""
    return any(each is None or each in names for each in _names_in(assertion.tree()))


def _names_in(tree: syntax.Assertion) -> Iterator[str | None]:
    for node in syntax.nodes((tree.authorizer, tree.licensees, tree.conditions)):
        if isinstance(node, syntax.Attribute):
            yield node.name
        elif isinstance(node, syntax.Indirect):
            yield None


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of the two, where ``None`` is never."""
    return min((each for each in (one, other) if each is not None), default=None)
