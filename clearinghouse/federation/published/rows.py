"""The rows of a table in memory: a sorted list of names for each level, and what has changed since (pure).

A table of 100,000 names is used where it lies: a name is found in three microseconds, and a delta costs what
it changes.  Building a dictionary instead would take longer than verifying the signature, parsing and checking.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from itertools import chain, repeat
from typing import Final

from typing_extensions import override

MOST_CHANGES: Final = 4_096
"""Changed names beside the lists, before new lists are made of both: 4,096 take 2 MB, and new lists of 100,000 names 20 ms."""

_GONE: Final = ""
"""The level of a name that has none any more; no level has this name."""


class Rows(Mapping[str, str]):
    """Domain to level, for all that have more than the lowest; a value, which never changes.

    It equals a dictionary with the same rows, and `items` gives them as fast.
    """

    __slots__ = ("_changes", "_count", "_lists")

    def __init__(self, lists: Mapping[str, Sequence[str]] = {}) -> None:
        """Take sorted *lists* of names by level, each name in one of them and once; `tables.read_content` has checked them."""
        self._lists = lists
        self._changes: Mapping[str, str] = {}
        self._count = sum(map(len, lists.values()))

    @classmethod
    def of(cls, rows: Mapping[str, str]) -> Rows:
        """Return *rows* in this form."""
        if isinstance(rows, Rows):
            return rows
        lists: dict[str, list[str]] = {level: [] for level in set(rows.values())}
        for domain, level in rows.items():
            lists[level].append(domain)
        for names in lists.values():
            names.sort()  # what is sorted already, as members are, takes a tenth of the time
        return cls(lists)

    def above(self, lowest: str) -> Rows:
        """Return these rows without those of the level *lowest*."""
        lists = self.lists()
        return Rows({level: names for level, names in lists.items() if level != lowest}) if lowest in lists else self

    def lists(self) -> Mapping[str, Sequence[str]]:
        """Return the sorted names of each level, without levels that nobody has."""
        if not self._changes:
            return {level: names for level, names in self._lists.items() if names}
        found = {level: [each for each in names if each not in self._changes] for level, names in self._lists.items()}
        for domain, level in self._changes.items():
            if level != _GONE:
                found.setdefault(level, []).append(domain)
        return {level: sorted(names) for level, names in found.items() if names}

    def changed(self, changes: Mapping[str, str], unset: Sequence[str], *, count: int | None = None) -> Rows:
        """Return these rows after *changes*, and without those that are *unset*; names that have no row are no harm.

        *count* is how many there are then, where that is known already.
        """
        made = Rows(self._lists)
        made._changes = {**self._changes, **changes, **dict.fromkeys(unset, _GONE)}
        if count is None:
            count = self._count + sum(1 for each in changes if each not in self) - sum(1 for each in unset if each in self)
        made._count = count
        return made if len(made._changes) <= MOST_CHANGES else Rows(made.lists())

    def touched_since(self, before: Mapping[str, str]) -> frozenset[str] | None:
        """Return the names about which these rows and those *before* may differ; ``None`` where that takes a look at each."""
        if not isinstance(before, Rows) or before._lists is not self._lists:  # noqa: SLF001 - one of our own kind
            return None
        return frozenset(name for name, _ in self._changes.items() ^ before._changes.items())  # noqa: SLF001 - as above

    @override
    def __getitem__(self, domain: str) -> str:
        level = self._changes.get(domain)
        if level is None:
            level = next((level for level, names in self._lists.items() if _holds(names, domain)), _GONE)
        if level == _GONE:
            raise KeyError(domain)
        return level

    @override
    def __iter__(self) -> Iterator[str]:
        return (domain for domain, _ in self.items())

    @override
    def __len__(self) -> int:
        return self._count

    @override
    def items(self) -> ItemsView[str, str]:
        """Return the rows, in no order that means anything."""
        return _Items(self)

    @override
    def values(self) -> ValuesView[str]:
        """Return the levels, in the order of `items`."""
        return _Values(self)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield each name with its level."""
        listed = chain.from_iterable(zip(names, repeat(level)) for level, names in self._lists.items())
        if not self._changes:
            return listed
        changes = self._changes
        return chain((each for each in listed if each[0] not in changes), (each for each in changes.items() if each[1] != _GONE))


class _Items(ItemsView[str, str]):
    """The rows without a search for each."""

    _mapping: Rows

    @override
    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.pairs()


class _Values(ValuesView[str]):
    """The levels, in the same way."""

    _mapping: Rows

    @override
    def __iter__(self) -> Iterator[str]:
        return (level for _, level in self._mapping.pairs())


def _holds(names: Sequence[str], name: str) -> bool:
    at = bisect_left(names, name)
    return at < len(names) and names[at] == name
