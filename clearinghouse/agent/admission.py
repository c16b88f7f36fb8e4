"""Whom this server admits: each row of the community's table becomes a mask, by the site's own policy (pure).

One KeyNote query asks about one other server, its level, a direction and a kind of stanza.  Eight of them make a mask.
Most rows are strangers to the policy: it names no key or domain of theirs, and does not read `from_domain`.  Those of
one level share one answer, so a hundred thousand rows cost as much as a handful.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from clearinghouse.agent.shorthand import ADMIT
from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.request import Request, server
from clearinghouse.clearing.snapshot import Snapshot, licensed
from clearinghouse.clearing.soundness import Proven
from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from clearinghouse.errors import BudgetExhausted, TooLarge
from clearinghouse.federation.image import BITS, EVERYTHING, NOTHING, OUTBOUND, LevelClass
from clearinghouse.keynote import Admissions, Budget, Limits
from clearinghouse.keynote.principals import normalise

_VALUES: Final = OPERATIONS[ADMIT].values or ()
_ALLOW: Final = _VALUES[-1]
_DIRECTIONS: Final = MappingProxyType({"in": 1, "out": OUTBOUND})
_QUESTIONS: Final = tuple((direction, kind, bit * factor) for direction, factor in _DIRECTIONS.items() for kind, bit in BITS.items())


@dataclass(frozen=True, slots=True)
class Answered:
    """What passes, and whether that would be the same for other domains of the level; until when the clock leaves it so."""

    mask: int
    reads_domain: bool
    stable_until: datetime | None

    def holds(self, now: datetime) -> bool:
        """Say whether the clock has left it as it was."""
        return self.stable_until is None or now < self.stable_until


@dataclass(frozen=True, slots=True)
class Admission:
    """The class of each row, the classes, and when the clock alone could change them."""

    rows: Mapping[str, str]
    classes: Mapping[str, LevelClass]
    stable_until: datetime | None


@dataclass(slots=True)
class Admitter:
    """Asks the policy of *snapshot* for the server of *domain*, and remembers answers until policy or the clock changes them.

    ``keys`` gives the principals of a member's record (rule R9).
    """

    snapshot: Snapshot
    community: str
    domain: str
    keys: Callable[[str], Sequence[str]] = lambda _: ()
    _named: frozenset[str] = frozenset()
    _strangers: dict[str, Answered] = field(default_factory=dict)
    _known: dict[tuple[str, str], Answered] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._named = frozenset(name for each in self.snapshot.assertions(ADMIT) for name in licensed(each))

    def admission(self, rows: Mapping[str, str], now: datetime) -> Admission:
        """Return what *rows*, domain to level, come to at *now*."""
        self._forget(now)
        found: dict[str, str] = {}
        masks: dict[str, dict[int, str]] = {}
        plain = {level: self._plain(level, now) for level in set(rows.values())}
        for domain, level in rows.items():
            answered = plain[level]
            if answered.reads_domain or self._is_named(domain):
                answered = self._own(domain, level, now)
            names = masks.setdefault(level, {})
            name = names.get(answered.mask)
            if name is None:
                name = names[answered.mask] = level if not names else f"{level}/{answered.mask}"
            found[domain] = name
        classes = {name: LevelClass(mask, _reason(level, mask)) for level, names in masks.items() for mask, name in names.items()}
        return Admission(found, classes, self._next_change(plain.values()))

    def _plain(self, level: str, now: datetime) -> Answered:
        """Return the answer for a domain of *level* that nobody has named."""
        if level not in self._strangers:
            self._strangers[level] = self._asked(_NOBODY, level, (), now)
        return self._strangers[level]

    def _own(self, domain: str, level: str, now: datetime) -> Answered:
        if (domain, level) not in self._known:
            self._known[domain, level] = self._asked(domain, level, tuple(self.keys(domain)), now)
        return self._known[domain, level]

    def _is_named(self, domain: str) -> bool:
        if not self._named:
            return False
        return f"xmpp:{domain}" in self._named or any(normalise(key) in self._named for key in self.keys(domain))

    def _asked(self, domain: str, level: str, keys: Sequence[str], now: datetime) -> Answered:
        mask, reads, until = NOTHING, False, None
        for direction, kind, bit in _QUESTIONS:
            proven = self._query(domain, level, direction, kind, keys, now)
            read, granted = proven.proof.reads, proven.flaw is None and proven.proof.value == _ALLOW
            reads |= "from_domain" in read or "_ACTION_AUTHORIZERS" in read
            until = _first(until, proven.proof.stable_until)
            mask |= bit if granted else NOTHING
            if not {"direction", "kind"} & read.keys():
                return Answered(EVERYTHING if granted else NOTHING, reads, until)
        return Answered(mask, reads, until)

    def _query(self, domain: str, level: str, direction: str, kind: str, keys: Sequence[str], now: datetime) -> Proven:
        observed = {"from_domain": domain, "to_domain": self.domain, "level": level, "direction": direction, "kind": kind}
        request = Request("admission", ADMIT, Door.TABLE, (*server(domain), *keys), observed=observed)
        facts = gather(request, community=self.community, now=now)
        limits = Limits.local()
        try:
            return prove(facts, self.snapshot, _VALUES, credentials=(), admissions=_NONE, budget=Budget(limits.steps), limits=limits)
        except (BudgetExhausted, TooLarge):  # no answer is no permission
            return prove(facts, _EMPTY, _VALUES, credentials=(), admissions=_NONE, budget=Budget(limits.steps), limits=limits)

    def _forget(self, now: datetime) -> None:
        """Forget the answers whose time is over."""
        self._strangers = {key: each for key, each in self._strangers.items() if each.holds(now)}
        self._known = {key: each for key, each in self._known.items() if each.holds(now)}

    def _next_change(self, used: Iterable[Answered]) -> datetime | None:
        return min((each.stable_until for each in (*used, *self._known.values()) if each.stable_until is not None), default=None)


_NOBODY: Final = "nobody.invalid"
"""A domain that no policy names; it is nobody's (RFC 6761, section 6.4)."""
_EMPTY: Final = Snapshot.of({}, ())
_NONE: Final = Admissions(1)


def _first(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _reason(level: str, mask: int) -> str:
    return f"level {level} is not admitted here" if mask == NOTHING else f"level {level} does not let this pass here"
