"""Assertions that did not count, each with its reason: KeyNote is silent about them, we are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote.chain import Settled
from clearinghouse.keynote.conditions import Outcome
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.credential import Refused
from clearinghouse.keynote.evaluation import Reached, environment_of
from clearinghouse.keynote.licensees import Quorum, Trusted, met
from clearinghouse.keynote.places import line_and_column
from clearinghouse.keynote.principals import short, shown
from clearinghouse.keynote.reasons import why_not


@dataclass(frozen=True, slots=True)
class Skipped:
    """One assertion that did not count, and why.

    ``reason`` is ``malformed``, ``bad-signature``, ``weak-key``, ``too-large``, ``revoked``,
    ``condition-failed``, ``run-time-error``, ``unknown-value`` or ``licensees-not-met``;
    ``line`` and ``column`` are the place in the assertion, from 1.
    """

    id: str
    source: str
    reason: str
    detail: str
    line: int
    column: int

    def as_json(self) -> dict[str, Any]:
        """Return it in the documented schema."""
        return {
            "id": self.id,
            "source": self.source,
            "reason": self.reason,
            "detail": self.detail,
            "line": self.line,
            "column": self.column,
        }


def of_refused(refused: Refused) -> Skipped:
    """Return what became of an assertion that was not admitted."""
    error = refused.error
    line, column = (error.line, error.column) if isinstance(error, MalformedAssertion) else (1, 1)
    detail = f"{error.message}: {error.mend}" if error.mend else error.message
    return Skipped("", refused.source, error.code, detail, line, column)


def of_reached(reached: Reached, context: Context, settled: Settled, *, revoked: bool) -> Iterator[Skipped]:
    """Yield why a reached assertion gave nothing; nothing where it gave something."""
    assertion = reached.assertion
    if revoked:
        yield Skipped(assertion.name, assertion.source, "revoked", "it has been revoked", 1, 1)
    elif reached.level == 0 and not reached.outcomes:
        yield Skipped(
            assertion.name, assertion.source, "condition-failed", "its Conditions field is empty, which is the weakest value", 1, 1
        )
    elif reached.level == 0:
        yield from (_clause(reached, outcome, context) for outcome in reached.outcomes)
    elif (missing := _unmet(assertion.trusted_by, settled)) is not None:
        yield Skipped(assertion.name, assertion.source, "licensees-not-met", missing, 1, 1)


def _clause(reached: Reached, outcome: Outcome, context: Context) -> Skipped:
    line, column = line_and_column(reached.assertion.raw.decode("latin-1"), outcome.clause.start)
    reason, detail = _why(reached, outcome, context)
    number = ".".join(map(str, outcome.path))
    return Skipped(reached.assertion.name, reached.assertion.source, reason, f"clause {number}: {detail}", line, column)


def _why(reached: Reached, outcome: Outcome, context: Context) -> tuple[str, str]:
    if outcome.fault:
        return "run-time-error", outcome.fault
    if outcome.held and outcome.said is not None:
        return "unknown-value", f"`{shown(outcome.said)}` is not a value of this query"
    if outcome.held:
        return "condition-failed", "the value is the weakest"
    return "condition-failed", why_not(outcome.clause.test, environment_of(context, reached.tree))


def _unmet(trusted: Trusted | None, settled: Settled) -> str | None:
    """Return what an unmet Licensees field still lacks, or ``None`` where it is met."""
    if trusted is None or met(trusted, settled):
        return None
    if isinstance(trusted, Quorum):
        present = sum(weight for name, weight in trusted.weights.items() if name in settled)
        absent = ", ".join(f"`{short(name)}`" for name in trusted.weights if name not in settled)
        return f"{trusted.k} of its principals are needed, {present} are there; not reached: {absent}"
    return "its licensees are met in part only"
