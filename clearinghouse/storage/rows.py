"""Between what is recorded and its row (pure): written as SQLite takes it, read as the tables' types give it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from clearinghouse.clearing.decision import Decision, Outcome, Reason
from clearinghouse.clearing.facts import LONGEST_VALIDITY
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.vocabulary import COMMON, OPERATIONS, Door, Origin
from clearinghouse.ledger.entry import Entry, Kind
from clearinghouse.storage.entries import Draft, Fact
from clearinghouse.storage.recorded import Effect, Event, Recorded
from clearinghouse.storage.schema import decisions
from clearinghouse.storage.statements import Row, row
from clearinghouse.storage.store import KeptEntry
from clearinghouse.storage.texts import compact, instant, microseconds, octets

# -- decisions ----------------------------------------------------------------------------------------


def row_of(fact: Fact) -> Row:
    """Return the columns of a decision that was just made."""
    recorded = fact.recorded
    decision, request, place = recorded.decision, recorded.decision.request, recorded.decision.request.place
    requesters, attributes, scale, proof, approvals = fact.texts
    values = {
        "id": decision.id,
        "at": instant(decision.at),
        "request": request.id,
        "operation": request.operation,
        "door": request.door.value,
        "outcome": decision.outcome.value,
        "value": decision.value,
        "reason_code": decision.reason.code,
        "reason_text": decision.reason.text,
        "requesters": requesters,
        "attributes": attributes,
        "scale": scale,
        "proof": proof,
        "snapshot": decision.version,
        "engine": recorded.engine,
        "ends": maybe(decision.ends),
        "broker": place and place.broker,
        "node": place and place.node,
        "subscriber": place and place.subscriber,
        "subid": place and place.subid,
        "effect": recorded.effect.value,
        "effect_done_at": None,
        "latency_ms": None,
        "until": maybe(decision.until),
        "took_us": microseconds(recorded.took),
        "approvals": approvals,
        "salt": recorded.salt,
        "erased": None,
    }
    return row(decisions, values)


def recorded_in(found: RowMapping) -> Recorded:
    """Return the decision of a row."""
    decision = Decision(
        found["id"],
        _request_in(found),
        Outcome(found["outcome"]),
        found["value"],
        Reason(found["reason_code"], found["reason_text"]),
        found["snapshot"],
        found["at"],
        found["ends"],
        None,
        until=found["until"],
    )
    return Recorded(
        decision,
        found["attributes"],
        tuple(found["scale"]),
        found["proof"],
        found["engine"],
        Effect(found["effect"]),
        found["effect_done_at"],
        _span(found["latency_ms"], "milliseconds"),
        _span(found["took_us"], "microseconds"),
        found["erased"],
        found["salt"],
    )


def _request_in(found: RowMapping) -> Request:
    place = None if found["broker"] is None else Place(found["broker"], found["node"], found["subscriber"], found["subid"])
    parts = _by_origin(found["operation"], found["attributes"])
    approvals, requesters = octets(found["approvals"]), tuple(found["requesters"])
    return Request(found["request"], found["operation"], Door(found["door"]), requesters, **parts, place=place, approvals=approvals)


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


# -- the log ------------------------------------------------------------------------------------------


def row_of_event(event: Event) -> Row:
    """Return the columns of an event."""
    return instant(event.at), event.kind, compact(dict(event.detail))


def row_of_entry(draft: Draft, number: int) -> tuple[Row, bytes]:
    """Return the columns of an entry as number *number*, and its leaf's hash."""
    entry, hashed = draft.entry(number)
    commitment = bytes.fromhex(entry.commitment)
    return (number, instant(entry.at), entry.kind.value, entry.ref, commitment, hashed, draft.salt, draft.record), hashed


def entry_in(found: RowMapping) -> KeptEntry:
    """Return the entry of a row."""
    entry = Entry(found["number"], found["at"], Kind(found["kind"]), found["ref"], found["commitment"].hex())
    return KeptEntry(entry, found["leaf_hash"], found["salt"], found["record"])


# -- values -------------------------------------------------------------------------------------------


def maybe(at: datetime | None) -> str | None:
    """Return an instant as its column keeps it, if there is one."""
    return None if at is None else instant(at)


def milliseconds(latency: timedelta | None) -> float | None:
    """Return a latency as its column keeps it."""
    return None if latency is None else latency.total_seconds() * 1000


def _span(number: float | None, unit: str) -> timedelta | None:
    return None if number is None else timedelta(**{unit: number})
