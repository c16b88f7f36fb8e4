"""Step 3: run the engine over the snapshot and the credentials that came with the request, once or twice (rule R2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final

from clearinghouse.clearing.facts import Facts
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Less, Proven, flaw_of, soundest
from clearinghouse.clearing.vocabulary import ASK
from clearinghouse.errors import HolderError, TooLarge
from clearinghouse.keynote import Admissions, Admitted, Assertions, Budget, Limits, Proof, Refused
from clearinghouse.keynote.clock import instant_of, next_change

MAX_APPROVALS: Final = 8
"""Approvals of one request that are looked at, of our own store: one for each case of it that is not over."""


class HandedInApproval(HolderError):
    """A request came with something by the desk's key: approvals count from our own store only (rule R2)."""

    code: ClassVar[str] = "handed-in-approval"


class NoApproval(HolderError):
    """What was given as an approval is not by the desk's key."""

    code: ClassVar[str] = "no-approval"


def prove(
    facts: Facts,
    snapshot: Snapshot,
    values: tuple[str, ...],
    *,
    credentials: tuple[bytes, ...],
    approvals: tuple[bytes, ...] = (),
    admissions: Admissions,
    budget: Budget,
    limits: Limits,
) -> Proven:
    """Return the compliance value of the facts with its proof, the strongest that is sound.

    *credentials* are admitted one by one as what a stranger sends: a bad one is left out and named
    in the proof, and none enters the snapshot or the engine's memory of shapes (rule R20).
    Where that leaves the request to a person, the question is put again with what the desk's key has
    signed, *approvals* included; the second answer counts where it is more than the first (rule R2).
    Raises :class:`BudgetExhausted` and :class:`TooLarge`, which are no answer.
    """
    _check_size(credentials, limits)
    group, query = facts.operation.group, _Query(facts, snapshot, values, budget)
    own = _handed_in(credentials, snapshot, admissions, budget, limits) if credentials else _NONE
    first = query.soundest(_overlaid(snapshot, snapshot.assertions(group), own))
    if not snapshot.desk:
        return first
    first = replace(first, approvable=True)
    if first.flaw is not None or first.proof.value != ASK:
        return first
    signed = _signed(approvals[:MAX_APPROVALS], snapshot.desk, admissions, budget) if approvals else _NONE
    more = _Handed((*own.admitted, *signed.admitted), (*own.refused, *signed.refused))
    second = query.soundest(_overlaid(snapshot, snapshot.approved(group), more))
    if second.flaw is not None or second.proof.level < first.proof.level:
        return first
    return replace(second, first=first.proof, approved_until=_first_end(second.proof, signed.admitted))


@dataclass(frozen=True, slots=True)
class _Query:
    """One question, put to any set of assertions."""

    facts: Facts
    snapshot: Snapshot
    values: tuple[str, ...]
    budget: Budget

    def soundest(self, assertions: Assertions) -> Proven:
        facts, desk = self.facts, self.snapshot.desk
        elsewhere = self.snapshot.elsewhere(facts.operation.group)

        def query(less: Less) -> Proof:
            names = [each for each in less if isinstance(each, str)]
            fewer = assertions.without((each for each in less if isinstance(each, bytes)), principals=names) if less else assertions
            return fewer.query(authorizers=facts.requesters, action=facts.attributes, values=self.values, budget=self.budget)

        return soundest(query, lambda proof: flaw_of(facts, elsewhere, proof, desk))


@dataclass(frozen=True, slots=True)
class _Handed:
    """What lies over the snapshot for one request only."""

    admitted: tuple[Admitted, ...] = ()
    refused: tuple[Refused, ...] = ()


_NONE: Final = _Handed()


def _overlaid(snapshot: Snapshot, assertions: Assertions, handed: _Handed) -> Assertions:
    if handed is _NONE:
        return assertions
    over = assertions.with_credentials(handed.admitted, refused=handed.refused)
    muted = tuple(snapshot.muted(handed.admitted))
    return over.without(muted) if muted else over


def _check_size(credentials: Sequence[bytes], limits: Limits) -> None:
    if len(credentials) > limits.assertions:
        raise TooLarge(f"a request hands in {len(credentials)} credentials", mend=f"at most {limits.assertions} are read (`assertions`)")
    if sum(map(len, credentials)) > limits.request_bytes:
        raise TooLarge(
            "the credentials of a request are too long together", mend=f"at most {limits.request_bytes} bytes are read (`request_bytes`)"
        )


def _handed_in(credentials: Iterable[bytes], snapshot: Snapshot, admissions: Admissions, budget: Budget, limits: Limits) -> _Handed:
    """Admit what came with a request; what the desk has signed comes from our own store, or not at all."""

    def admit(raw: bytes, source: str) -> Admitted:
        found = admissions.admit(raw, limits=limits, budget=budget, learn=False, source=source)
        if snapshot.desk and found.authorizer == snapshot.desk:
            raise HandedInApproval("it is by the desk's key", mend="approvals are not handed in: ask, and a person decides")
        return found

    return _admitted("credential", credentials, admit)


def _signed(approvals: Iterable[bytes], desk: str, admissions: Admissions, budget: Budget) -> _Handed:
    """Admit what our own desk has signed; its length follows from the request's, which was bounded where it came in."""

    def admit(raw: bytes, source: str) -> Admitted:
        found = admissions.admit(raw, limits=_OURS, budget=budget, source=source)
        if found.authorizer != desk:
            raise NoApproval("it is not by the desk's key", mend="have the case approved anew")
        return found

    return _admitted("approval", approvals, admit)


def _admitted(kind: str, texts: Iterable[bytes], admit: Callable[[bytes, str], Admitted]) -> _Handed:
    """Admit each by itself: a bad one is left out, and named."""
    admitted: list[Admitted] = []
    refused: list[Refused] = []
    for index, raw in enumerate(texts):
        source = f"{kind} {index + 1}"
        try:
            admitted.append(admit(raw, source))
        except (HolderError, TooLarge) as error:
            refused.append(Refused(source, index, error, raw))
    return _Handed(tuple(admitted), tuple(refused))


_OURS: Final = Limits.local()


def _first_end(proof: Proof, approvals: Iterable[Admitted]) -> datetime | None:
    """Return when the first of the *approvals* ends that carry *proof*: each tests the clock once, as its last day and second."""
    now, carrying = instant_of(proof.context.action), {link.id for link in proof.chain}
    if now is None:
        return None
    ends = (next_change(each.clock_use(), now) for each in approvals if each.name in carrying)
    return min((each for each in ends if each is not None), default=None)
