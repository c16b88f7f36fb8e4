"""Decisions as text, for as long as the store is away (pure); what is read was written here, by the same or an earlier release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.storage.changes import Decided, Journaled, Repeated
from clearinghouse.storage.recorded import Effect, Recorded
from clearinghouse.storage.texts import compact, instant, microseconds, request_in, request_text

CanWait: TypeAlias = Decided | Journaled | Repeated
"""What can wait for the store: it has an id, so that it is written once whatever happens."""


def journal_text(change: CanWait) -> str:
    """Return *change* as JSON, in ASCII and on one line; raises ``ValueError`` for a decision from which something follows."""
    match change:
        case Decided(opens=opens, gives=gives) if opens is not None or gives is not None:
            raise ValueError("a decision that opens a case or gives a grant cannot wait")
        case Repeated(identity, decision, at):
            return compact({"repeated": [identity, decision, instant(at), [[each, instant(then)] for each, then in change.answers]]})
        case Decided() | Journaled():
            recorded = change.recorded()
            told = compact(_members(recorded))
            return f'{{"decision":{told},"request":{request_text(recorded.decision.request)}}}'


def journal_in(text: str) -> Journaled | Repeated:
    """Return what `journal_text` wrote; raises ``ValueError``, ``LookupError`` and ``TypeError`` for anything else."""
    found = json.loads(text)
    if "repeated" in found:
        identity, decision, at, answers = found["repeated"]
        each = tuple((own, datetime.fromisoformat(then)) for own, then in answers)
        return Repeated(identity, decision, datetime.fromisoformat(at), each)
    return Journaled(_recorded(found["decision"], found["request"]))


def id_of(change: CanWait) -> str:
    """Return the id under which the log has it."""
    return change.id if isinstance(change, Repeated) else change.decision.id


def _members(recorded: Recorded) -> dict[str, Any]:
    decision = recorded.decision
    return {
        "id": decision.id,
        "at": instant(decision.at),
        "outcome": decision.outcome.value,
        "value": decision.value,
        "reason": [decision.reason.code, decision.reason.text],
        "version": decision.version,
        "ends": None if decision.ends is None else instant(decision.ends),
        "until": None if decision.until is None else instant(decision.until),
        "attributes": dict(recorded.attributes),
        "values": recorded.values,
        "proof": recorded.proof,
        "engine": recorded.engine,
        "effect": recorded.effect.value,
        "took_us": microseconds(recorded.took),
    }


def _recorded(told: Mapping[str, Any], request: Mapping[str, Any]) -> Recorded:
    decision = Decision(
        told["id"],
        request_in(request),
        Outcome(told["outcome"]),
        told["value"],
        Reason(*told["reason"]),
        told["version"],
        datetime.fromisoformat(told["at"]),
        _instant(told["ends"]),
        None,
        until=_instant(told["until"]),
    )
    took = None if told["took_us"] is None else timedelta(microseconds=told["took_us"])
    return Recorded(decision, told["attributes"], tuple(told["values"]), told["proof"], told["engine"], Effect(told["effect"]), took=took)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
