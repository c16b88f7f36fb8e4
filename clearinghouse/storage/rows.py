"""Between a recorded decision and its row (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping

from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.clearing.facts import LONGEST_VALIDITY
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.vocabulary import COMMON, OPERATIONS, Door, Origin
from clearinghouse.storage.store import Effect, Recorded


def row_of(recorded: Recorded) -> dict[str, Any]:
    """Return the columns of a decision."""
    decision, place = recorded.decision, recorded.decision.request.place
    return {
        "id": decision.id,
        "at": decision.at,
        "request": decision.request.id,
        "operation": decision.request.operation,
        "door": decision.request.door.value,
        "outcome": decision.outcome.value,
        "value": decision.value,
        "reason_code": decision.reason.code,
        "reason_text": decision.reason.text,
        "requesters": list(decision.request.requesters),
        "attributes": dict(recorded.attributes),
        "scale": list(recorded.values),
        "proof": recorded.proof,
        "snapshot": decision.version,
        "engine": recorded.engine,
        "ends": decision.ends,
        "broker": place and place.broker,
        "node": place and place.node,
        "subscriber": place and place.subscriber,
        "subid": place and place.subid,
        "effect": recorded.effect.value,
        "effect_done_at": recorded.effect_done_at,
        "latency_ms": milliseconds(recorded.latency),
    }


def recorded_in(row: RowMapping) -> Recorded:
    """Return the decision of a row."""
    place = None if row["broker"] is None else Place(row["broker"], row["node"], row["subscriber"], row["subid"])
    parts = _by_origin(row["operation"], row["attributes"])
    request = Request(row["request"], row["operation"], Door(row["door"]), tuple(row["requesters"]), **parts, place=place)
    reason = Reason(row["reason_code"], row["reason_text"])
    decision = Decision(row["id"], request, Outcome(row["outcome"]), row["value"], reason, row["snapshot"], row["at"], row["ends"], None)
    latency = None if row["latency_ms"] is None else timedelta(milliseconds=row["latency_ms"])
    effect = Effect(row["effect"])
    return Recorded(decision, row["attributes"], tuple(row["scale"]), row["proof"], row["engine"], effect, row["effect_done_at"], latency)


def _by_origin(operation: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return the request's own attributes, each where it came from; those that every request has are made anew."""
    known = OPERATIONS[operation].attributes if operation in OPERATIONS else {}
    parts: dict[str, Any] = {"observed": {}, "known": {}, "claims": {}}
    for name, value in attributes.items():
        match known[name].origin if name in known and name not in COMMON else None:
            case Origin.OBSERVED:
                parts["observed"][name] = value
            case Origin.OURS:
                parts["known"][name] = value
            case Origin.PARAMETER | Origin.STATEMENT if value != known[name].default:
                parts["claims"][name] = value
    period = attributes.get("ValidityPeriod", "")
    return parts | ({"validity": int(period)} if period.isdecimal() and period != str(LONGEST_VALIDITY) else {})


def milliseconds(latency: timedelta | None) -> float | None:
    """Return a latency as its column keeps it."""
    return None if latency is None else latency.total_seconds() * 1000
