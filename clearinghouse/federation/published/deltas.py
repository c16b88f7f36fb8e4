"""Deltas: what leads from one version of a table to the next (pure).

``{"set":{"level-1":["a.example"]},"unset":["b.example"]}``: a row is set to a level, or goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq
from typing import Any, Final

from clearinghouse.clearing.vocabulary import Kind, is_canonical, shown
from clearinghouse.clearing.wire import canonical
from clearinghouse.federation.published.documents import MAX_DELTA_BYTES, check_size
from clearinghouse.federation.published.payloads import members_of, reading
from clearinghouse.federation.published.rows import Rows


@dataclass(frozen=True, slots=True)
class Delta:
    """``changed`` are domains with their new level, ``unset`` those that have the lowest from now on."""

    changed: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return how many rows differ."""
        return len(self.changed) + len(self.unset)


def delta_between(before: Mapping[str, str], after: Mapping[str, str]) -> Delta:
    """Return what makes *after* of *before*, both domain to level without the lowest."""
    old, new = ({level: frozenset(names) for level, names in Rows.of(rows).lists().items()} for rows in (before, after))
    changed = {domain: level for level, names in new.items() for domain in names - old.get(level, _NONE)}
    left = (domain for level, names in old.items() for domain in names - new.get(level, _NONE))
    return Delta(changed, tuple(sorted(domain for domain in left if domain not in changed)))


def delta_among(touched: Iterable[str], before: Mapping[str, str], after: Mapping[str, str]) -> Delta:
    """Return what makes *after* of *before*, which agree about all but the *touched* domains."""
    changed = {domain: after[domain] for domain in touched if domain in after and before.get(domain) != after[domain]}
    return Delta(changed, tuple(sorted({domain for domain in touched if domain in before and domain not in after})))


def delta_of(before: Mapping[str, str], after: Mapping[str, str]) -> bytes:
    """Return the delta's content that makes *after* of *before*."""
    return written(delta_between(before, after))


def written(delta: Delta) -> bytes:
    """Return *delta* in canonical JSON."""
    lists: dict[str, list[str]] = {}
    for domain, level in sorted(delta.changed.items()):
        lists.setdefault(level, []).append(domain)
    return canonical({"set": lists, "unset": sorted(delta.unset)})


def read_delta(content: bytes, levels: Sequence[str]) -> Delta:
    """Return the delta that `written` wrote as *content*; raises `EndlessData`, `MalformedDocument`."""
    check_size(content, MAX_DELTA_BYTES, "the delta")
    with reading("the delta", mend="fetch the whole table"):
        found = members_of(content, _MEMBERS)
        rows: dict[str, str] = {}
        for level, domains in found["set"].items():
            if level not in levels[1:]:
                raise ValueError("sets a level that there is not")
            rows.update(dict.fromkeys(_names(domains), level))
        unset = _names(found["unset"]) if found["unset"] else ()
        stated = sum(map(len, found["set"].values())) + len(unset)
        if len({*rows, *unset}) != stated:
            raise ValueError("says two things about one name")
        return Delta(rows, unset)


def apply_delta(rows: Mapping[str, str], delta: Delta) -> Rows:
    """Return *rows* after *delta*; raises ``ValueError`` for a row that goes and is not there, or is set to what it is."""
    before = Rows.of(rows)
    levels = list(map(before.get, delta.changed))
    if any(map(eq, levels, delta.changed.values())) or None in map(before.get, delta.unset):
        raise ValueError("does not begin at the rows that are there")
    return before.changed(delta.changed, delta.unset, count=len(before) + levels.count(None) - len(delta.unset))


_NONE: Final = frozenset[str]()
_MEMBERS: Final[Mapping[str, type]] = {"set": dict, "unset": list}


def _names(found: Any) -> tuple[str, ...]:  # noqa: ANN401 - any JSON
    if not isinstance(found, list) or not found:
        raise ValueError("has something that is no list of names")
    for each in found:
        if not isinstance(each, str) or not is_canonical(Kind.DOMAIN, each):
            raise ValueError(f"has the name `{shown(str(each))}`, which is none in its normal form")
    if found != sorted(set(found)):
        raise ValueError("has names out of order, or one twice")
    return tuple(found)


def merged(deltas: Iterable[Delta]) -> Delta:
    """Return what *deltas*, one after the other, come to."""
    changed: dict[str, str] = {}
    unset: set[str] = set()
    for each in deltas:
        changed.update(each.changed)
        unset.difference_update(each.changed)
        for domain in each.unset:
            changed.pop(domain, None)
        unset.update(each.unset)
    return Delta(changed, tuple(sorted(unset)))
