"""Whom this server admits: each row of the community's table becomes a mask, by the site's own policy (pure).

Most rows are strangers to the policy: it names no key or domain of theirs, and does not read `from_domain`.  Those of
one level share one answer, so a hundred thousand rows cost as much as a handful.  `judging` asks about one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from clearinghouse.agent.applying.judging import NOBODY, Answered, Judge, earlier
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.federation.enforced.image import NOTHING, LevelClass
from clearinghouse.federation.published.rows import Rows


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
    _judge: Judge = field(init=False)
    _strangers: dict[str, Answered] = field(default_factory=dict)
    _known: dict[tuple[str, str], Answered] = field(default_factory=dict)
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    _table: Mapping[str, str] = field(default_factory=dict)
    _last: Admission | None = None
    _until: datetime | None = None

    def __post_init__(self) -> None:
        self._judge = Judge(self.snapshot, self.community, self.domain)

    def admission(self, table: Mapping[str, str], now: datetime, levels: Sequence[str] = ()) -> Admission:
        """Return what the rows of *table*, domain to level, come to at *now*; *levels* are all that there may be.

        Where the table and the answers are those of the last time but for some domains, only these are looked at.
        """
        if self._forget(now):
            self._last = None
            self._names.clear()
        plain = {level: self._plain(level, now) for level in levels or _levels_of(table)}
        for level, answered in plain.items():
            self._class_of(level, answered.mask)
        last, touched = self._last, table.touched_since(self._table) if isinstance(table, Rows) else None
        if last is None or touched is None:
            rows, follows, touched = dict(self._classified(table.items(), plain, now)), 0, frozenset[str]()
        else:
            rows, follows = self._changed(last.rows, table, touched, plain, now), last.number
        classes = {name: LevelClass(mask, _reason(level, mask)) for (level, mask), name in self._names.items()}
        self._table = table
        self._last = Admission(rows, classes, self._until, follows=follows, touched=touched)
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
            if level in alone or (self._judge.named and self._is_named(domain)):
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
            self._strangers[level] = self._held(self._judge.thorough(NOBODY, level, (), now))
        return self._strangers[level]

    def _own(self, domain: str, level: str, now: datetime) -> Answered:
        if (domain, level) not in self._known:
            self._known[domain, level] = self._held(self._judge.quick(domain, level, tuple(self.keys(domain)), now))
        return self._known[domain, level]

    def _held(self, answered: Answered) -> Answered:
        self._until = earlier(self._until, answered.stable_until)
        return answered

    def _is_named(self, domain: str) -> bool:
        named = self._judge.named
        return f"xmpp:{domain}" in named or any(key in named for key in self.keys(domain))

    def _forget(self, now: datetime) -> bool:
        """Forget every answer once the clock may have changed one of them; whether that is so."""
        if self._until is None or now < self._until:
            return False
        self._until = None
        self._strangers.clear()
        self._known.clear()
        return True


def _levels_of(table: Mapping[str, str]) -> Iterable[str]:
    return table.lists() if isinstance(table, Rows) else set(table.values())


def _reason(level: str, mask: int) -> str:
    return f"level {level} is not admitted here" if mask == NOTHING else f"level {level} does not let this pass here"
