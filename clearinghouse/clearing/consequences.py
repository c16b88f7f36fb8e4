"""What lasts beyond a decision: the case that it opens, or the grant that it gives (pure)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from clearinghouse.clearing.cases import LASTING, Case, Grant
from clearinghouse.clearing.decision import Decision, Outcome

WAIT: Final = timedelta(days=30)
"""How long a case waits for people unless the settings say otherwise: a holiday, and a week to catch up."""


def consequences(decision: Decision, *, wait: timedelta = WAIT) -> tuple[Case | None, Grant | None]:
    """Return the case that *decision* opens, and the grant that it gives; either has the decision's id.

    Only what changes something at a broker lasts.  The request is kept without its approvals: these are
    looked up again each time (rule R3).  A grant's ``case`` is left to whoever knows it.
    """
    request = replace(decision.request, approvals=())
    if request.place is None or request.operation not in LASTING:
        return None, None
    if decision.outcome is Outcome.PENDING:
        return Case(decision.id, request, decision.at, decision.at + wait), None
    if decision.outcome is Outcome.GRANTED and decision.ends is not None and decision.until is not None:
        return None, Grant(decision.id, request, decision.at, decision.ends, decision.until)
    return None, None
