"""What the office answers, as members of JSON; ``docs/reference/json.md`` describes each (pure)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clearinghouse.clearing.cases import Case, Grant, Revocation
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.people import Changed, KeptCredential, Party, Ruling


def case_members(case: Case) -> dict[str, Any]:
    """Return a case; ``summary`` is what an approver is shown, and ``shown`` its digest."""
    return {
        "id": case.id,
        "state": case.state.value,
        "operation": case.request.operation,
        "subject": case.subject,
        "topic": case.topic,
        "opened": _instant(case.opened),
        "expires": _instant(case.expires),
        "approvals": [{"person": each.person, "at": _instant(each.at), "door": each.door.value} for each in case.approvals],
        "closed": _instant(case.closed),
        "by": case.by,
        "why": case.why,
        "summary": case.summary(),
        "shown": case.digest(),
    }


def grant_members(grant: Grant) -> dict[str, Any]:
    """Return a grant; ``ended`` is ``None`` while it holds."""
    return {
        "id": grant.id,
        "operation": grant.request.operation,
        "holder": grant.holder,
        "topic": grant.topic,
        "broker": grant.broker,
        "since": _instant(grant.since),
        "ends": _instant(grant.ends),
        "until": _instant(grant.until),
        "case": grant.case,
        "ended": _instant(grant.ended),
        "why": {"code": grant.why.code, "text": grant.why.text} if grant.why is not None else None,
    }


def ruling_members(ruling: Ruling) -> dict[str, Any]:
    """Return what came of an act on a case; ``decision`` is ``None`` while more people have to approve."""
    return {
        "case": case_members(ruling.case),
        "decision": _decision(ruling.decision) if ruling.decision is not None else None,
        "waits_for": ruling.waits_for,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "outcome": decision.outcome.value,
        "value": decision.value,
        "reason": {"code": decision.reason.code, "text": decision.reason.text},
        "until": _instant(decision.until),
    }


def changed_members(changed: Changed) -> dict[str, Any]:
    """Return what a change does or did."""
    return {
        "names": list(changed.names),
        "losing": [_party(each) for each in changed.losing],
        "winning": [_party(each) for each in changed.winning],
        "done": changed.done,
        "version": changed.version,
        "unchecked": changed.unchecked,
    }


def _party(party: Party) -> dict[str, str]:
    return {
        "jid": party.jid,
        "operation": party.operation,
        "topic": party.topic,
        "before": party.before,
        "after": party.after,
        "reason": party.reason,
        "grant": party.grant,
    }


def revocation_members(revocation: Revocation) -> dict[str, Any]:
    """Return a revocation; ``lifted`` is ``None`` while it holds."""
    return {
        "id": revocation.id,
        "at": _instant(revocation.at),
        "kind": revocation.kind.value,
        "name": revocation.name,
        "by": revocation.by,
        "reason": revocation.reason,
        "lifted": _instant(revocation.lifted),
    }


def credential_members(credential: KeptCredential) -> dict[str, str]:
    """Return where a credential comes from; its text is in the file, or was given by whoever added it."""
    return {"id": credential.id, "source": credential.source, "by": credential.by}


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
