"""Whom this server admits: each row of the community's table becomes a mask, by the site's own policy (pure).

One KeyNote query asks about one other server, its level, a direction and a kind of stanza.  Eight of them make a mask.
Most rows are strangers to the policy: it names no key or domain of theirs, and does not read `from_domain`.  Those of
one level share one answer, so a hundred thousand rows cost as much as a handful.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
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
from clearinghouse.federation.rows import Rows
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
    """The class of each row, the classes, and when the clock alone could change them.

    ``rows`` never change in place.  ``number`` tells one from another; ``touched`` are the only domains about which it
    differs from the one with the number ``follows``, where that is not 0.
    """

    rows: Mapping[str, str]
    classes: Mapping[str, LevelClass]
    stable_until: datetime | None
    number: int = field(default_factory=count(1).__next__)
    follows: int = 0
    touched: frozenset[str] = frozenset()


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
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    _table: Mapping[str, str] = field(default_factory=dict)
    _last: Admission | None = None

    def __post_init__(self) -> None:
        self._named = frozenset(name for each in self.snapshot.assertions(ADMIT) for name in licensed(each))

    def admission(self, table: Mapping[str, str], now: datetime, levels: Sequence[str] = ()) -> Admission:
        """Return what the rows of *table*, domain to level, come to at *now*; *levels* have a class in any case.

        Where the table and the answers are those of the last time but for some domains, only these are looked at.
        """
        if self._forget(now):
            self._last = None
            self._names.clear()
        plain = {level: self._plain(level, now) for level in {*levels, *_levels_of(table)}}
        for level, answered in plain.items():
            self._class_of(level, answered.mask)
        last, touched = self._last, table.touched_since(self._table) if isinstance(table, Rows) else None
        if last is None or touched is None:
            rows, follows, touched = dict(self._classified(table.items(), plain, now)), 0, frozenset[str]()
        else:
            rows, follows = self._changed(last.rows, table, touched, plain, now), last.number
        classes = {name: LevelClass(mask, _reason(level, mask)) for (level, mask), name in self._names.items()}
        self._table = table
        self._last = Admission(rows, classes, self._next_change(plain.values()), follows=follows, touched=touched)
        return self._last

    def _changed(
        self, before: Mapping[str, str], table: Mapping[str, str], touched: frozenset[str], plain: Mapping[str, Answered], now: datetime
    ) -> dict[str, str]:
        rows = dict(before)
        for domain in touched - table.keys():
            rows.pop(domain, None)
        rows.update(self._classified([(each, table[each]) for each in touched if each in table], plain, now))
        return rows

    def _classified(self, rows: Iterable[tuple[str, str]], plain: Mapping[str, Answered], now: datetime) -> Iterator[tuple[str, str]]:
        """Yield the class of each row."""
        alone = {level for level, answered in plain.items() if answered.reads_domain}
        names = {level: self._class_of(level, answered.mask) for level, answered in plain.items()}
        for domain, level in rows:
            if level in alone or (self._named and self._is_named(domain)):
                yield domain, self._class_of(level, self._own(domain, level, now).mask)
            else:
                yield domain, names[level]

    def _class_of(self, level: str, mask: int) -> str:
        """Return the name of the class of *level* with *mask*: the level's own for the mask that it had first."""
        name = self._names.get((level, mask))
        if name is None:
            plain = all(each != level for each, _ in self._names)
            name = self._names[level, mask] = level if plain else f"{level}/{mask}"
        return name

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

    def _forget(self, now: datetime) -> bool:
        """Forget the answers whose time is over; whether there were any."""
        before = len(self._strangers) + len(self._known)
        self._strangers = {key: each for key, each in self._strangers.items() if each.holds(now)}
        self._known = {key: each for key, each in self._known.items() if each.holds(now)}
        return len(self._strangers) + len(self._known) < before

    def _next_change(self, used: Iterable[Answered]) -> datetime | None:
        return min((each.stable_until for each in (*used, *self._known.values()) if each.stable_until is not None), default=None)


def _levels_of(table: Mapping[str, str]) -> Iterable[str]:
    return table.lists() if isinstance(table, Rows) else set(table.values())


_NOBODY: Final = "nobody.invalid"
"""A domain that no policy names; it is nobody's (RFC 6761, section 6.4)."""
_EMPTY: Final = Snapshot.of({}, ())
_NONE: Final = Admissions(1)


def _first(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _reason(level: str, mask: int) -> str:
    return f"level {level} is not admitted here" if mask == NOTHING else f"level {level} does not let this pass here"
