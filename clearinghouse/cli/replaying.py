"""What ``log replay`` does: recorded requests decided again, and every difference told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.wire import stamp
from clearinghouse.cli.output import clean, mark, say
from clearinghouse.errors import ClearinghouseError
from clearinghouse.runtime.records.logbook import Kept
from clearinghouse.runtime.records.replay import proven_again
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.store import Recorded


class Witness(Protocol):
    """What is needed here of `clearinghouse.storage.store.Store`."""

    async def entry_of(self, ref: str) -> Kept | None:
        """Return the first entry of the log about *ref*."""

    async def archived(self, version: str) -> Archive | None:
        """Return what the snapshot *version* was made of."""


class Verdict(StrEnum):
    """What came of one replay."""

    AGREES = "agrees"
    DIFFERS = "differs"
    ERASED = "erased"
    """The facts, or the snapshot, are gone under the retention rule."""
    UNPROVEN = "unproven"
    """No query was made then, so there is none to make again: the request was malformed, or nothing could be said."""
    CONTRADICTS = "contradicts"
    """The log's record of the decision, which is signed, says something else than the decision that is kept beside it."""
    DAMAGED = "damaged"
    """What was archived is not what the decision names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that cannot be confirmed: what it was, what it would be, and why that is so."""

    id: str
    verdict: Verdict
    then: str
    again: str

    def as_json(self) -> dict[str, str]:
        """Return the members in the documented schema."""
        return {"id": self.id, "verdict": self.verdict, "then": self.then, "again": self.again}


@dataclass(slots=True)
class Replays:
    """How many decisions came to which verdict; ``differences`` names those that differ or are damaged."""

    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    differences: list[Difference] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every decision that could be made again was the same."""
        return not self.differences

    def add(self, found: Difference) -> None:
        """Count one decision."""
        self.counts[found.verdict] += 1
        if found.verdict in {Verdict.DIFFERS, Verdict.CONTRADICTS, Verdict.DAMAGED}:
            self.differences.append(found)

    def as_json(self) -> dict[str, Any]:
        """Return the members in the documented schema."""
        return {"counts": {str(name): count for name, count in self.counts.items()}, "differences": [e.as_json() for e in self.differences]}


async def replay_all(store: Witness, recorded: Iterable[Recorded]) -> Replays:
    """Decide *recorded* requests again; the snapshot of the one before is kept, for most share it."""
    replays, version = Replays(), ""
    holdings: Holdings | None = None
    for each in recorded:
        logged = _logged(await store.entry_of(each.decision.id))
        if logged and (other := _contradiction(each, logged)):
            replays.add(Difference(each.decision.id, Verdict.CONTRADICTS, _answer(each.decision), other))
            continue
        if each.proof is None:
            replays.add(_unproven(each))
            continue
        try:
            if each.decision.version != version:
                holdings = await _holdings(store, each.decision.version)
                version = each.decision.version
            replays.add(_compared(each, holdings))
        except ClearinghouseError as error:
            replays.add(Difference(each.decision.id, Verdict.DAMAGED, _answer(each.decision), error.message))
    return replays


def _logged(kept: Kept | None) -> dict[str, Any]:
    """Return the record in the log; nothing where it is erased, or the decision is older than the log."""
    record: dict[str, Any] = {} if kept is None or kept.record is None else json.loads(kept.record)
    return record


def _contradiction(recorded: Recorded, logged: Mapping[str, Any]) -> str:
    """Return what the log's record says otherwise, of all that no mask hides."""
    then = recorded.decision
    kept = {
        "at": stamp(then.at),
        "engine": recorded.engine,
        "operation": then.request.operation,
        "outcome": then.outcome.value,
        "reason": then.reason.code,
        "snapshot": then.version,
        "value": then.value,
    }
    return ", ".join(f"{name} `{logged.get(name)}`" for name, value in kept.items() if logged.get(name) != value)


async def _holdings(store: Witness, version: str) -> Holdings | None:
    archive = await store.archived(version)
    return None if archive is None else archive.holdings()


def _unproven(recorded: Recorded) -> Difference:
    verdict = Verdict.UNPROVEN if recorded.erased is None else Verdict.ERASED
    return Difference(recorded.decision.id, verdict, _answer(recorded.decision), "")


def _compared(recorded: Recorded, holdings: Holdings | None) -> Difference:
    then = recorded.decision
    if holdings is None:
        return Difference(then.id, Verdict.ERASED, _answer(then), "")
    found = proven_again(recorded, holdings)
    verdict = Verdict.AGREES if found.agrees else Verdict.DIFFERS
    return Difference(then.id, verdict, _answer(then), _answer(found.decision))


def _answer(decision: Decision) -> str:
    return f"{decision.outcome} `{decision.value}` ({decision.reason.code})"


def tell_replays(found: Replays) -> None:
    """Print each difference, and the counts."""
    for each in found.differences:
        again = f"{_BEFORE.get(each.verdict, '')}{each.again}"
        say(mark(good=False), f" {each.id}: then {clean(each.then)}, {clean(again)}")
    say(mark(good=found.ok), f" {_counted(found)}")


def _counted(found: Replays) -> str:
    told: Sequence[str] = [f"{count} {_WORDS[name]}" for name, count in found.counts.items() if count]
    return ", ".join(told) or "there are no decisions yet"


_BEFORE = {Verdict.DIFFERS: "today ", Verdict.CONTRADICTS: "in the log "}
_WORDS = {
    Verdict.AGREES: "decided the same again",
    Verdict.DIFFERS: "decided differently",
    Verdict.ERASED: "erased",
    Verdict.UNPROVEN: "of which nothing was proven",
    Verdict.CONTRADICTS: "that the log contradicts",
    Verdict.DAMAGED: "whose snapshot is damaged",
}
