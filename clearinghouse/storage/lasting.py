"""Between what lasts beyond a decision and its row (pure): cases, grants, revocations."""

from __future__ import annotations

from sqlalchemy import RowMapping

from clearinghouse.clearing.cases import Case, CaseState, Grant, Revocation, RevocationKind
from clearinghouse.clearing.soundness import Reason
from clearinghouse.storage.rows import maybe
from clearinghouse.storage.schema import cases, grants, revocations
from clearinghouse.storage.statements import Row, row
from clearinghouse.storage.texts import approvals_in, approvals_text, instant, request_in, request_text


def row_of_case(case: Case) -> Row:
    """Return the columns of a case."""
    values = {
        "id": case.id,
        "request": request_text(case.request),
        "opened": instant(case.opened),
        "expires": instant(case.expires),
        "state": case.state.value,
        "approvals": approvals_text(case.approvals),
        "credential": case.credential,
        "closed": maybe(case.closed),
        "by": case.by,
        "why": case.why,
    }
    return row(cases, values)


def case_in(found: RowMapping) -> Case:
    """Return the case of a row."""
    return Case(
        found["id"],
        request_in(found["request"]),
        found["opened"],
        found["expires"],
        CaseState(found["state"]),
        approvals_in(found["approvals"]),
        found["credential"],
        found["closed"],
        found["by"],
        found["why"],
    )


def row_of_grant(grant: Grant) -> Row:
    """Return the columns of a grant whose end, if there is one, the broker has still to be told."""
    values = {
        "id": grant.id,
        "request": request_text(grant.request),
        "since": instant(grant.since),
        "ends": instant(grant.ends),
        "until": instant(grant.until),
        "case": grant.case,
        "ended": maybe(grant.ended),
        "why_code": grant.why and grant.why.code,
        "why_text": grant.why and grant.why.text,
        "affiliation": grant.affiliation,
        "told": None,
    }
    return row(grants, values)


def grant_in(found: RowMapping) -> Grant:
    """Return the grant of a row."""
    why = None if found["why_code"] is None else Reason(found["why_code"], found["why_text"])
    return Grant(
        found["id"],
        request_in(found["request"]),
        found["since"],
        found["ends"],
        found["until"],
        found["case"],
        found["ended"],
        why,
        found["affiliation"],
    )


def row_of_revocation(revocation: Revocation) -> Row:
    """Return the columns of a revocation."""
    values = {
        "id": revocation.id,
        "at": instant(revocation.at),
        "kind": revocation.kind.value,
        "name": revocation.name,
        "by": revocation.by,
        "reason": revocation.reason,
        "lifted": maybe(revocation.lifted),
    }
    return row(revocations, values)


def revocation_in(found: RowMapping) -> Revocation:
    """Return the revocation of a row."""
    kind = RevocationKind(found["kind"])
    return Revocation(found["id"], found["at"], kind, found["name"], found["by"], found["reason"], found["lifted"])
