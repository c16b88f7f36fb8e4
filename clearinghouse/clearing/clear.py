"""Rule on one request: the whole clearinghouse, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from clearinghouse.clearing.decision import Decision, decide, refuse
from clearinghouse.clearing.enforcement import Enforcement, enforcement_of
from clearinghouse.clearing.facts import Facts, gather
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.request import Request, sender_of
from clearinghouse.clearing.senders import SenderBudgets
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Proven
from clearinghouse.clearing.vocabulary import lowest_of
from clearinghouse.errors import ClearinghouseError, InternalError, Unavailable
from clearinghouse.keynote import Admissions, Budget, Limits


class ClockBehind(Unavailable):
    """The clock shows less than the highest time that was ever recorded: nothing is granted (rule R17)."""

    code = "clock-behind"


class Overtaken(Unavailable):
    """Policy changed while a decision was recorded: its effect is owed until it is decided whether it still holds."""

    code = "overtaken"


class Ledger(Protocol):
    """Where decisions are recorded; a decision counts only once it is durable."""

    @property
    def highest_time(self) -> datetime | None:
        """The highest time that any recorded decision had, across restarts."""

    async def record(self, decision: Decision) -> None:
        """Make the decision durable; raises StoreUnavailable, and then it is not answered."""


class Enforcer(Protocol):
    """Where decisions take effect."""

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Make the enforcement true outside; raises BrokerUnavailable."""


@dataclass(slots=True)
class Desk:
    """What ruling needs; ``snapshot`` is replaced as a whole when policy changes.

    ``levels`` are the values of `federate`, weakest first.  ``cap`` is the longest that any grant
    lasts.  ``new_id`` gives random ids.  ``failed`` is told of every exception that nobody meant to raise.
    ``fit`` raises `Unavailable` where the snapshot is too old to decide by.
    """

    community: str
    snapshot: Snapshot
    ledger: Ledger
    enforcer: Enforcer
    new_id: Callable[[], str]
    levels: tuple[str, ...] = ("deny", "allow")
    cap: timedelta = timedelta(days=90)
    limits: Limits = field(default_factory=Limits)
    admissions: Admissions = field(default_factory=lambda: Admissions(_ADMITTED))
    senders: SenderBudgets = field(default_factory=SenderBudgets)
    failed: Callable[[Request, Exception], None] = lambda _, __: None
    fit: Callable[[], None] = lambda: None


async def clear(request: Request, desk: Desk, *, now: datetime) -> Decision:
    """Rule on one request: decide, record, and only then let it take effect.

    Raises :class:`StoreUnavailable` (then nothing was answered), and :class:`BrokerUnavailable` or
    :class:`Overtaken` (then the decision is recorded and its effect is still owed).
    """
    decision = rule(request, desk, now=now)
    await desk.ledger.record(decision)
    if decision.version != desk.snapshot.version:
        raise Overtaken("policy changed while this was decided", mend="nothing: it is decided again")
    await desk.enforcer.carry_out(enforcement_of(decision))
    return decision


def rule(request: Request, desk: Desk, *, now: datetime) -> Decision:
    """Return the decision on *request*; every failure is a refusal, or no answer, with its own reason."""
    identity, version = desk.new_id(), desk.snapshot.version
    try:
        check_clock(desk.ledger.highest_time, now)
        desk.fit()
        facts, proven = _proven(request, desk, now)
        return decide(
            identity,
            request,
            facts,
            proven,
            version=version,
            now=now,
            cap=desk.cap,
            explains=lambda steps: desk.senders.explains(steps, now),
        )
    except ClearinghouseError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - nothing means no (rule R1), and one request must not stop the others
        desk.failed(request, error)
        failure = InternalError(f"ruling on this failed ({type(error).__name__})", mend="report the trace that the log has of it")
    return refuse(identity, request, failure, value=lowest_of(request.operation, desk.levels), version=version, now=now)


def _proven(request: Request, desk: Desk, now: datetime) -> tuple[Facts, Proven]:
    """Gather facts and prove, at the expense of whoever sent the request."""
    sender = sender_of(request)
    budget = Budget(min(desk.limits.steps, desk.senders.allowance(sender, now)))
    try:
        budget.spend(_REQUEST_STEPS)
        facts = gather(request, community=desk.community, now=now)
        values = facts.operation.values or desk.levels
        return facts, prove(
            facts,
            desk.snapshot,
            values,
            credentials=request.credentials,
            approvals=request.approvals,
            admissions=desk.admissions,
            budget=budget,
            limits=desk.limits,
        )
    finally:
        desk.senders.charge(sender, budget.allowed - max(0, budget.left), now)


def check_clock(highest: datetime | None, now: datetime) -> None:
    """Raise `ClockBehind` where *now* is less than *highest*, the highest time on record (rule R17)."""
    if highest is not None and now < highest - _SLEW:
        raise ClockBehind(
            f"the clock shows {now:%Y-%m-%d %H:%M:%S}, and a decision was recorded at {highest:%Y-%m-%d %H:%M:%S}",
            mend="set the clock right",
        )


_REQUEST_STEPS = 50
"""Steps of any request, be it malformed: reading it, gathering its facts, refusing it."""

_ADMITTED = 32_768
"""Kilobytes of strangers' assertions that are remembered: 30,000 usual ones."""

_SLEW = timedelta(seconds=1)
"""What time synchronisation may step back without closing everything."""
