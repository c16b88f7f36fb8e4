"""Between what lasts and the JSON that the store keeps of it (pure); what is read comes from our own store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from clearinghouse.clearing.cases import Approval
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.storage.recorded import Recorded

_encode = json.JSONEncoder(separators=(",", ":")).encode

_MICROSECOND = timedelta(microseconds=1)


def compact(value: object) -> str:
    """Return *value* as JSON without white space, in ASCII: a malformed request may have lone surrogates."""
    return _encode(value)


def instant(at: datetime) -> str:
    """Return a point in time as UTC text of fixed width, which sorts as time does and reads well in any SQLite shell."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def microseconds(span: timedelta | None) -> int | None:
    """Return a span as its column keeps it."""
    return None if span is None else span // _MICROSECOND


def facts_of(recorded: Recorded) -> tuple[str, str, str, str | None, str | None]:
    """Return the JSON texts of requesters, attributes, values, proof and approvals, which may be erased one day."""
    request = recorded.decision.request
    return (
        compact(request.requesters),
        compact(dict(recorded.attributes)),
        compact(recorded.values),
        None if recorded.proof is None else compact(recorded.proof),
        compact(opaque(request.approvals)) if request.approvals else None,
    )


def facts_bytes(facts: Sequence[str | None]) -> bytes:
    """Return what the log's record of a decision commits to: the texts, one a line, an empty line for none."""
    return "\n".join(each or "" for each in facts).encode("ascii")


def opaque(raw: Sequence[bytes]) -> list[str]:
    """Return octets as text, one character each."""
    return [each.decode("latin-1") for each in raw]


def octets(texts: Sequence[str] | None) -> tuple[bytes, ...]:
    """Return what `opaque` wrote."""
    return tuple(each.encode("latin-1") for each in texts or ())


def request_text(request: Request) -> str:
    """Return all of *request*."""
    place = request.place
    return compact(
        {
            "id": request.id,
            "operation": request.operation,
            "door": request.door.value,
            "requesters": request.requesters,
            "observed": dict(request.observed),
            "claims": dict(request.claims),
            "known": dict(request.known),
            "credentials": opaque(request.credentials),
            "validity": request.validity,
            "place": None if place is None else [place.broker, place.node, place.subscriber, place.subid],
            "sender": request.sender,
            "approvals": opaque(request.approvals),
        }
    )


def request_in(told: Mapping[str, Any]) -> Request:
    """Return the request that `request_text` wrote, once it is read as JSON."""
    return Request(
        told["id"],
        told["operation"],
        Door(told["door"]),
        tuple(told["requesters"]),
        told["observed"],
        told["claims"],
        told["known"],
        octets(told["credentials"]),
        told["validity"],
        None if told["place"] is None else Place(*told["place"]),
        told["sender"],
        octets(told["approvals"]),
    )


def approvals_text(approvals: Sequence[Approval]) -> str:
    """Return the approvals of a case."""
    return compact([_approval(each) for each in approvals])


def approvals_in(told: Sequence[Mapping[str, Any]]) -> tuple[Approval, ...]:
    """Return what `approvals_text` wrote, once it is read as JSON."""
    return tuple(_approval_in(each) for each in told)


def _approval(approval: Approval) -> dict[str, Any]:
    return {
        "person": approval.person,
        "principals": approval.principals,
        "at": instant(approval.at),
        "door": approval.door.value,
        "vouched_by": approval.vouched_by,
        "shown": approval.shown,
        "envelope": approval.envelope.decode("latin-1"),
        "seconds": None if approval.period is None else approval.period.total_seconds(),
    }


def _approval_in(told: Mapping[str, Any]) -> Approval:
    return Approval(
        told["person"],
        tuple(told["principals"]),
        datetime.fromisoformat(told["at"]),
        Door(told["door"]),
        told["vouched_by"],
        told["shown"],
        told["envelope"].encode("latin-1"),
        None if told.get("seconds") is None else timedelta(seconds=told["seconds"]),
    )
