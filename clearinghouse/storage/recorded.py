"""What the store gives back of decisions and events (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from clearinghouse import __version__
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.enforcement import LeavePending, Nothing, enforcement_of
from clearinghouse.keynote import Missing, Proof
from clearinghouse.keynote.octets import from_octets

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
    ``attributes``, ``values``, the request's approvals and the archived snapshot the same query can be made
    again.  ``latency`` is the time from the question's arrival until its answer was carried out, ``took``
    until it was decided.  ``erased`` is when who asked, what they asked and what was proven were erased
    under the retention rule: they are empty then.  ``salt`` is the one with which the log's record commits to
    them (`clearinghouse.storage.entries.commitment_of`); decisions from before the log have none.  ``repeats`` is
    the id of the decision that this one repeats, whose facts these are.
    """

    decision: Decision
    attributes: Mapping[str, str]
    values: tuple[str, ...]
    proof: Mapping[str, Any] | None
    engine: str
    effect: Effect
    effect_done_at: datetime | None = None
    latency: timedelta | None = None
    took: timedelta | None = None
    erased: datetime | None = None
    salt: bytes | None = field(default=None, repr=False)
    repeats: str = ""

    @classmethod
    def of(cls, decision: Decision, took: timedelta | None = None) -> Recorded:
        """Return what is kept of *decision* when it is made."""
        effect = Effect.NONE if isinstance(enforcement_of(decision), Nothing | LeavePending) else Effect.OWED
        attributes, values = _asked(decision)
        proof = _proven(decision.proof, decision.missing)
        return cls(replace(decision, proof=None, missing=()), attributes, values, proof, __version__, effect, took=took)

    @property
    def stable_until(self) -> datetime | None:
        """When the clock alone could change the answer; ``None``: never."""
        told = None if self.proof is None else self.proof["stable_until"]
        return None if told is None else datetime.fromisoformat(told)

    def settled(self, effect: Effect, *, at: datetime, latency: timedelta | None) -> Recorded:
        """Return the same decision once its effect is *effect*."""
        return replace(self, effect=effect, effect_done_at=at, latency=latency)

    def again(self, identity: str, at: datetime) -> Recorded:
        """Return what stands for the answer *identity*, which repeats this decision (rule R20)."""
        return replace(self, decision=replace(self.decision, id=identity, at=at), repeats=self.decision.id)

    def forgotten(self, at: datetime) -> Recorded:
        """Return what remains of the decision once its facts are erased."""
        decision = self.decision
        request = replace(
            decision.request, requesters=(), observed={}, known={}, claims={}, approvals=(), validity=None, place=None, sender=""
        )
        bare = replace(decision, request=request, reason=replace(decision.reason, text=""))
        return replace(self, decision=bare, attributes={}, values=(), proof=None, erased=at, salt=None)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed what later decisions rest on: policy, settings, the service's own life."""

    at: datetime
    kind: str
    detail: Mapping[str, Any]


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
