"""What was ruled lately, kept so that a question which comes twice is answered without a look into the store (pure)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from clearinghouse import __version__
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import LeavePending, Nothing, enforcement_of
from clearinghouse.clearing.request import Place
from clearinghouse.storage.changes import Change, Decided, Settled
from clearinghouse.storage.store import Effect, Recorded

MAX_RECENT: Final = 10_000
"""Rulings that are remembered, about 2 kB each; a broker repeats a form within seconds, after a lost session within minutes."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """A decision without its proof, and what says whether it would be the same now (rule R20).

    ``stable_until`` is when the clock alone could change the answer, ``None``: never.  ``community`` is empty
    where nothing was asked of the engine.
    """

    decision: Decision
    stable_until: datetime | None
    community: str
    engine: str
    owed: bool

    @classmethod
    def of(cls, decision: Decision, community: str, *, owed: bool) -> Ruled:
        """Return what is kept of a decision that was made just now."""
        stable = None if decision.proof is None else decision.proof.stable_until
        return cls(replace(decision, proof=None, missing=()), stable, community, __version__, owed)

    @classmethod
    def recorded(cls, recorded: Recorded) -> Ruled:
        """Return what is kept of a decision that the store remembers."""
        owed = recorded.effect is Effect.OWED
        return cls(recorded.decision, recorded.stable_until, recorded.attributes.get("community", ""), recorded.engine, owed)


@dataclass(slots=True)
class Memory:
    """Rulings by the place that they are about: all whose effect is still owed, and the latest others.

    A question with a name of its own (``subid``) is the same question whenever it comes.  One without may be a
    new one, unless the broker has never heard our answer.
    """

    community: str
    _owed: dict[Place, Ruled] = field(default_factory=dict)
    _recent: OrderedDict[Place, Ruled] = field(default_factory=OrderedDict)
    _places: dict[str, Place] = field(default_factory=dict)

    def recall(self, recorded: Iterable[Recorded]) -> None:
        """Remember what the store does, oldest first."""
        for each in recorded:
            self._keep(Ruled.recorded(each))

    def hear(self, change: Change) -> None:
        """Take note of what was written (see `Books.heard`)."""
        match change:
            case Decided(decision):
                self._keep(Ruled.of(decision, self.community if decision.proof else "", owed=is_owed(decision)))
            case Settled(identity, effect):
                self._settle(identity, dropped=effect is Effect.DROPPED)
            case _:
                pass

    def at(self, place: Place) -> Ruled | None:
        """Return the ruling that may answer a question about exactly *place*."""
        return self._owed.get(place) or self._recent.get(place)

    def owed_at(self, place: Place) -> bool:
        """Say whether the broker has still to hear an answer about *place*."""
        return place in self._owed

    def owes(self, identity: str) -> bool:
        """Say whether the decision with this id has still to be carried out."""
        return identity in self._places

    def _keep(self, ruled: Ruled) -> None:
        place = ruled.decision.request.place
        if place is None or ruled.decision.outcome is Outcome.UNANSWERED:
            return
        if ruled.owed:
            self._owed[place] = ruled
            self._places[ruled.decision.id] = place
        if place.subid:
            self._recent[place] = ruled
            self._recent.move_to_end(place)
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)

    def _settle(self, identity: str, *, dropped: bool) -> None:
        """The effect of a decision is owed no more; one that was *dropped* answers nothing any more."""
        place = self._places.pop(identity, None)
        if place is None:
            return
        for kept in (self._owed, self._recent) if dropped else (self._owed,):
            if place in kept and kept[place].decision.id == identity:
                del kept[place]


def is_owed(decision: Decision) -> bool:
    """Say whether *decision* changes something outside, which is owed until it is done."""
    return not isinstance(enforcement_of(decision), Nothing | LeavePending)
