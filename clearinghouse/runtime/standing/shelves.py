"""Indexes over what stands: cases and grants by place, holder and time (pure; each look-up is one of a dictionary or heap)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from typing import Generic, TypeAlias, TypeVar

from clearinghouse.clearing.cases import Case, CaseState, Grant
from clearinghouse.clearing.request import Place, Request

Slot: TypeAlias = tuple[str, str, str, str]
"""Operation, broker, node and subscriber as written: where at most one case waits and one grant holds."""

_Key = TypeVar("_Key", bound=Hashable)


def slot_of(operation: str, place: Place | None) -> Slot | None:
    """Return where a request about *place* stands, whatever the broker calls it; ``None`` where it has no place."""
    return None if place is None else (operation, place.broker, place.node, place.subscriber)


@dataclass(slots=True)
class Agenda(Generic[_Key]):
    """Keys by time; what was put anew or dropped stays in the heap until its old time, and is passed over."""

    _heap: list[tuple[datetime, int, _Key]] = field(default_factory=list)
    _at: dict[_Key, tuple[datetime, int]] = field(default_factory=dict)
    _count: int = 0

    def put(self, key: _Key, at: datetime) -> None:
        """Note *key* at this time, and at no other."""
        known = self._at.get(key)
        if known is not None and known[0] == at:
            return
        self._count += 1  # decides between equal times, so that keys need no order
        self._at[key] = at, self._count
        heappush(self._heap, (at, self._count, key))

    def drop(self, key: _Key) -> None:
        """Forget *key*."""
        self._at.pop(key, None)

    def until(self, now: datetime) -> list[_Key]:
        """Return the keys whose time is at or before *now*, earliest first; they stay."""
        found = []
        while (head := self._head()) is not None and head[0] <= now:
            found.append(heappop(self._heap))
        for each in found:
            heappush(self._heap, each)
        return [key for _, _, key in found]

    def next(self) -> datetime | None:
        """Return the earliest time."""
        head = self._head()
        return None if head is None else head[0]

    def _head(self) -> tuple[datetime, int, _Key] | None:
        heap = self._heap
        while heap and self._at.get(heap[0][2]) != heap[0][:2]:
            heappop(heap)
        return heap[0] if heap else None


@dataclass(slots=True)
class Cases:
    """Cases that are open or approved; a closed one is forgotten."""

    all: dict[str, Case] = field(default_factory=dict)
    due: Agenda[str] = field(default_factory=Agenda)
    _open: dict[Slot, str] = field(default_factory=dict)
    _approved: dict[Slot, dict[str, Case]] = field(default_factory=dict)

    def put(self, case: Case) -> None:
        """Hold *case* as it is now."""
        self._leave(case)
        slot = slot_of(case.request.operation, case.request.place)
        if case.state not in {CaseState.PENDING, CaseState.APPROVED}:
            return
        self.all[case.id] = case
        self.due.put(case.id, case.expires)
        if slot is not None and case.open:
            self._open[slot] = case.id
        elif slot is not None:
            self._approved.setdefault(slot, {})[case.id] = case

    def open_at(self, slot: Slot | None) -> Case | None:
        """Return the open case that stands there."""
        found = None if slot is None else self._open.get(slot)
        return None if found is None else self.all[found]

    def approved_for(self, request: Request) -> Sequence[Case]:
        """Return the approved cases of exactly this request."""
        slot = slot_of(request.operation, request.place)
        found = {} if slot is None else self._approved.get(slot, {})
        return [each for each in found.values() if asks_the_same(each.request, request)]

    def _leave(self, case: Case) -> None:
        slot = slot_of(case.request.operation, case.request.place)
        self.all.pop(case.id, None)
        self.due.drop(case.id)
        if slot is None:
            return
        if self._open.get(slot) == case.id:
            del self._open[slot]
        approved = self._approved.get(slot, {})
        approved.pop(case.id, None)
        if not approved:
            self._approved.pop(slot, None)


def asks_the_same(one: Request, other: Request) -> bool:
    """Say whether two requests have the same requesters and facts, so that what was signed for one is about the other."""
    return (
        (one.operation, one.requesters, one.door) == (other.operation, other.requesters, other.door)
        and dict(one.observed) == dict(other.observed)
        and dict(one.known) == dict(other.known)
        and dict(one.claims) == dict(other.claims)
        and one.validity == other.validity
    )


@dataclass(slots=True)
class Grants:
    """Grants that are active, and those that are over while the broker has not been told (``owed``, in order)."""

    all: dict[str, Grant] = field(default_factory=dict)
    owed: dict[str, Grant] = field(default_factory=dict)
    due: Agenda[str] = field(default_factory=Agenda)
    _slots: dict[Slot, dict[str, Grant]] = field(default_factory=dict)
    _nodes: dict[tuple[str, str], dict[str, Grant]] = field(default_factory=dict)
    _holders: dict[str, dict[str, Grant]] = field(default_factory=dict)

    def put(self, grant: Grant) -> None:
        """Hold *grant* as it is now."""
        self.forget((grant.id,))
        self.all[grant.id] = grant
        slot = slot_of(grant.request.operation, grant.request.place)
        if slot is not None:
            self._slots.setdefault(slot, {})[grant.id] = grant
        if grant.ended is not None:
            self.owed[grant.id] = grant
            return
        self.due.put(grant.id, grant.ends)
        self._nodes.setdefault((grant.broker, grant.topic), {})[grant.id] = grant
        self._holders.setdefault(grant.holder, {})[grant.id] = grant

    def forget(self, ids: Iterable[str]) -> None:
        """Hold these no more."""
        for each in ids:
            grant = self.all.pop(each, None)
            if grant is None:
                continue
            self.owed.pop(each, None)
            self.due.drop(each)
            _take(self._nodes, (grant.broker, grant.topic), each)
            _take(self._holders, grant.holder, each)
            slot = slot_of(grant.request.operation, grant.request.place)
            if slot is not None:
                _take(self._slots, slot, each)

    def at(self, slot: Slot | None) -> Sequence[Grant]:
        """Return every grant that stands there, active or owed."""
        return () if slot is None else tuple(self._slots.get(slot, {}).values())

    def active_at(self, slot: Slot | None) -> Grant | None:
        """Return the active grant that stands there."""
        return next((each for each in self.at(slot) if each.ended is None), None)

    def held(self, broker: str, node: str, jid: str) -> Sequence[Grant]:
        """Return active grants; an empty name is any."""
        if jid:
            found: Iterable[Grant] = self._holders.get(jid, {}).values()
        elif broker and node:
            found = self._nodes.get((broker, node), {}).values()
        else:
            found = (grant for at_node in self._nodes.values() for grant in at_node.values())
        return [each for each in found if broker in {"", each.broker} and node in {"", each.topic}]


def _take(index: dict[_Key, dict[str, Grant]], key: _Key, identity: str) -> None:
    found = index.get(key)
    if found is not None:
        found.pop(identity, None)
        if not found:
            del index[key]
