"""What ``log replay`` does: recorded requests decided again, and every difference told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from clearinghouse.clearing.decision import Decision
from clearinghouse.cli.output import clean, mark, say
from clearinghouse.errors import ClearinghouseError
from clearinghouse.runtime.replay import replay
from clearinghouse.storage.store import Recorded, Store


class Verdict(StrEnum):
    """What came of one replay."""

    AGREES = "agrees"
    DIFFERS = "differs"
    ERASED = "erased"
    """The facts, or the snapshot, are gone under the retention rule."""
    UNPROVEN = "unproven"
    """No query was made then, so there is none to make again: the request was malformed, or nothing could be said."""
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
        if found.verdict in {Verdict.DIFFERS, Verdict.DAMAGED}:
            self.differences.append(found)

    def as_json(self) -> dict[str, Any]:
        """Return the members in the documented schema."""
        return {"counts": {str(name): count for name, count in self.counts.items()}, "differences": [e.as_json() for e in self.differences]}


async def replay_all(store: Store, last: int) -> Replays:
    """Decide the *last* recorded requests again, oldest first."""
    replays = Replays()
    for recorded in await store.decisions(last):
        replays.add(await _replayed(recorded, store))
    return replays


async def _replayed(recorded: Recorded, store: Store) -> Difference:
    then = recorded.decision
    if recorded.proof is None:
        verdict = Verdict.UNPROVEN if recorded.attributes else Verdict.ERASED
        return Difference(then.id, verdict, _answer(then), "")
    try:
        found = await replay(recorded, store)
    except ClearinghouseError as error:
        return Difference(then.id, Verdict.DAMAGED, _answer(then), error.message)
    if found is None:
        return Difference(then.id, Verdict.ERASED, _answer(then), "")
    verdict = Verdict.AGREES if found.agrees else Verdict.DIFFERS
    return Difference(then.id, verdict, _answer(then), _answer(found.decision))


def _answer(decision: Decision) -> str:
    return f"{decision.outcome} `{decision.value}` ({decision.reason.code})"


def tell_replays(found: Replays) -> None:
    """Print each difference, and the counts."""
    for each in found.differences:
        again = f"today {each.again}" if each.verdict is Verdict.DIFFERS else each.again
        say(mark(good=False), f" {each.id}: then {clean(each.then)}, {clean(again)}")
    say(mark(good=found.ok), f" {_counted(found)}")


def _counted(found: Replays) -> str:
    told: Sequence[str] = [f"{count} {_WORDS[name]}" for name, count in found.counts.items() if count]
    return ", ".join(told) or "there are no decisions yet"


_WORDS = {
    Verdict.AGREES: "decided the same again",
    Verdict.DIFFERS: "decided differently",
    Verdict.ERASED: "erased",
    Verdict.UNPROVEN: "of which nothing was proven",
    Verdict.DAMAGED: "whose snapshot is damaged",
}
