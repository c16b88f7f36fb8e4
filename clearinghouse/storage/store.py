"""What every store does, and what it gives back.

The store is the memory of the service across restarts: decisions, which of them have still to be carried
out, the highest time ever seen (rule R17), and what policy was and how it changed (rule R16).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from clearinghouse import __version__
from clearinghouse.clearing.clear import Ledger
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.enforcement import LeavePending, Nothing, enforcement_of
from clearinghouse.clearing.request import Place
from clearinghouse.keynote import Missing, Proof
from clearinghouse.keynote.octets import from_octets
from clearinghouse.storage.archive import Archive

MAX_SKIPPED: Final = 100
"""Assertions that a recorded proof names as skipped; a folder full of broken files must not fill the store."""


class Effect(StrEnum):
    """Whether a decision has taken effect outside."""

    NONE = "none"
    """It has none: nothing outside changes, or a person decides."""
    OWED = "owed"
    DONE = "done"
    DROPPED = "dropped"
    """It was never carried out, and policy has changed since: the request is decided anew."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision as it is kept.

    ``decision.proof`` is ``None``: what was proven is ``proof``, in the documented schema.  With
    ``attributes``, ``values`` and the archived snapshot the same query can be made again.  ``latency``
    is the time from the question's arrival until its answer was carried out.
    """

    decision: Decision
    attributes: Mapping[str, str]
    values: tuple[str, ...]
    proof: Mapping[str, Any] | None
    engine: str
    effect: Effect
    effect_done_at: datetime | None = None
    latency: timedelta | None = None

    @classmethod
    def of(cls, decision: Decision) -> Recorded:
        """Return what is kept of *decision* when it is made."""
        effect = Effect.NONE if isinstance(enforcement_of(decision), Nothing | LeavePending) else Effect.OWED
        attributes, values = _asked(decision)
        return cls(
            replace(decision, proof=None, missing=()), attributes, values, _proven(decision.proof, decision.missing), __version__, effect
        )

    @property
    def stable_until(self) -> datetime | None:
        """When the clock alone could change the answer; ``None``: never."""
        told = None if self.proof is None else self.proof["stable_until"]
        return None if told is None else datetime.fromisoformat(told)

    def settled(self, effect: Effect, *, at: datetime, latency: timedelta | None) -> Recorded:
        """Return the same decision once its effect is *effect*."""
        return replace(self, effect=effect, effect_done_at=at, latency=latency)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed what later decisions rest on: policy, settings, the service's own life."""

    at: datetime
    kind: str
    detail: Mapping[str, Any]


class Store(Ledger, Protocol):
    """Where decisions live; every method raises `StoreUnavailable` when the store cannot be used now."""

    async def settle(self, identity: str, effect: Effect, *, at: datetime, latency: timedelta | None = None) -> None:
        """Note that the effect of a decision has been carried out, or never will be."""

    async def owed(self) -> Sequence[Recorded]:
        """Return the decisions whose effect is still owed, oldest first."""

    async def ruled(self, place: Place) -> Recorded | None:
        """Return the last decision about *place*, the broker's own name of the request included."""

    async def decision(self, identity: str) -> Recorded | None:
        """Return the decision whose id begins with *identity*; ``None`` where there is none, or several."""

    async def decisions(self, last: int) -> Sequence[Recorded]:
        """Return the *last* decisions, oldest first."""

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        """Keep what a snapshot was made of, unless it is kept already."""

    async def archived(self, version: str) -> Archive | None:
        """Return what the snapshot *version* was made of."""

    async def note(self, event: Event) -> None:
        """Keep an event; its time counts as seen."""

    async def events(self, last: int) -> Sequence[Event]:
        """Return the *last* events, oldest first."""

    async def close(self) -> None:
        """Finish what was begun, and let go."""


def _asked(decision: Decision) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the attributes and values of the query; where there was none, the attributes of the request."""
    request, proof = decision.request, decision.proof
    if proof is None:
        return {**request.claims, **request.known, **request.observed}, ()
    attributes = {from_octets(name): from_octets(value) for name, value in proof.context.action.items()}
    return attributes, tuple(map(from_octets, proof.context.scale.names))


def _proven(proof: Proof | None, missing: Sequence[Missing]) -> Mapping[str, Any] | None:
    """Return the proof as it is kept: recording explains no more than the decision had time for (rule R21)."""
    if proof is None:
        return None
    told = proof.as_json(missing)
    return {**told, "skipped": told["skipped"][:MAX_SKIPPED]}
