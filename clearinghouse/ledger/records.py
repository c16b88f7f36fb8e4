"""What an entry's record says: facts as data, with names of people masked by rule (pure).

A record is committed to and erasable; the entry itself says nothing but its kind and a random id.  The mask
is applied to what is written here alone: the question is asked, and answered, with everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from clearinghouse.clearing.cases import Approval, Case, Grant, Revocation
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import EVERYTHING, OPERATIONS, PACKET_RULE, Kind
from clearinghouse.clearing.wire import stamp
from clearinghouse.keynote.octets import from_octets

HIDDEN: Final = "***"
"""What stands for a part that is masked."""

JIDS: Final = "jid"
"""The name that masks the localparts of JIDs wherever they stand, in principals and in attributes."""

WHITELIST: Final = "whitelist"
"""The operation whose grants open a server, and no topic."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Mask:
    """The names of the attributes that records do not tell; none: records tell everything.

    An attribute that is a JID keeps its domain, by which organisations are held to account, and its localpart
    goes; of every other attribute the whole value goes.  With `JIDS` among the *names*, principals and all
    attributes that are JIDs are masked so.
    """

    names: frozenset[str] = frozenset()

    def principal(self, name: str) -> str:
        """Return a principal with the localpart of its JID masked, if it is one: ``xmpp:***@a.example``."""
        scheme, colon, jid = name.partition(":")
        if JIDS not in self.names or scheme != "xmpp" or not colon:
            return name
        return f"xmpp:{without_localpart(jid)}"

    def attributes(self, operation: str, attributes: Mapping[str, str]) -> dict[str, str]:
        """Return the *attributes* of a query of *operation*, masked."""
        return {name: self.value(operation, name, value) for name, value in attributes.items()}

    def value(self, operation: str, name: str, value: str) -> str:
        """Return one attribute's value, masked."""
        known = OPERATIONS[operation].attributes.get(name) if operation in OPERATIONS else None
        if known is not None and known.kind is Kind.JID:
            return without_localpart(value) if self.names & {name, JIDS} else value
        return HIDDEN if name in self.names and value else value


def without_localpart(jid: str) -> str:
    """Return *jid* with its localpart and its resource masked (RFC 7622, section 3.2); one that has neither stays."""
    bare, slash, _ = jid.partition("/")
    _, at, domain = bare.rpartition("@")
    return (f"{HIDDEN}@{domain}" if at else bare) + (f"/{HIDDEN}" if slash else "")


def decision_record(decision: Decision, *, took: timedelta | None, engine: str, mask: Mask, facts_commitment: str) -> dict[str, Any]:
    """Return the record of *decision*.

    *took* is the time from the question's arrival until here; *engine* the version of this package;
    *facts_commitment* what `commit` gives for the unmasked facts, which the store keeps beside the log, under a salt
    of their own: with the entry's, which exports tell, anybody could try names until one fits.
    The proof is told as the ids of the assertions that carried the value, from ``POLICY`` down (rule R14).
    """
    request, proof = decision.request, decision.proof
    return {
        "at": stamp(decision.at),
        "attributes": mask.attributes(request.operation, _asked(decision)),
        "door": request.door.value,
        "ends": None if decision.ends is None else stamp(decision.ends),
        "engine": engine,
        "facts": facts_commitment,
        "id": decision.id,
        "latency_us": None if took is None else took // _MICROSECOND,
        "operation": request.operation,
        "outcome": decision.outcome.value,
        "proof": [] if proof is None else [link.id for link in proof.chain],
        "reason": decision.reason.code,
        "requesters": [mask.principal(each) for each in request.requesters],
        "snapshot": decision.version,
        "value": decision.value,
    }


def case_record(case: Case, change: str, *, mask: Mask) -> dict[str, Any]:
    """Return the record of a *change* of a case: who approved so far, how it stands, and who closed it."""
    return {
        "approvals": [_approved(each, mask) for each in case.approvals],
        "by": mask.principal(case.by),
        "case": case.id,
        "change": change,
        "shown": case.digest(),
        "state": case.state.value,
        "why": case.why,
        **_about(case.request, mask),
    }


def grant_record(grant: Grant, *, mask: Mask) -> dict[str, Any]:
    """Return the record of a grant's end: which, whose, about what, and why."""
    return {
        "case": grant.case,
        "ended": None if grant.ended is None else stamp(grant.ended),
        "grant": grant.id,
        "reason": "" if grant.why is None else grant.why.code,
        "since": stamp(grant.since),
        **_about(grant.request, mask),
    }


def revocation_record(revocation: Revocation, *, mask: Mask) -> dict[str, Any]:
    """Return the record of a revocation that was made or lifted."""
    jid, space, topic = revocation.name.partition(" ")
    barred = f"{mask.value('subscribe', JIDS, jid)}{space}{topic}"
    return {
        "by": mask.principal(revocation.by),
        "kind": revocation.kind.value,
        "lifted": None if revocation.lifted is None else stamp(revocation.lifted),
        "name": barred if space else mask.principal(revocation.name),
        "reason": revocation.reason,
        "revocation": revocation.id,
    }


def act_record(act: str, *, by: str, mask: Mask, **told: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the record of an act of administration, such as ``credential-added``, by a principal; *told* is JSON."""
    return {**told, "act": act, "by": mask.principal(by)}


def _about(request: Request, mask: Mask) -> dict[str, str]:
    """Return who wants what where; of a white-list request, what it opens."""
    if request.operation == WHITELIST:
        told = {name: request.claims.get(name, EVERYTHING) for name in (*OPERATIONS[WHITELIST].effect, *PACKET_RULE)}
    else:
        told = {name: request.observed.get(name, "") for name in ("broker", "jid", "topic")}
    return {"operation": request.operation, **mask.attributes(request.operation, told)}


def _approved(approval: Approval, mask: Mask) -> dict[str, Any]:
    return {
        "at": stamp(approval.at),
        "door": approval.door.value,
        "person": mask.principal(approval.person),
        "principals": [mask.principal(each) for each in approval.principals],
        "shown": approval.shown,
        "vouched_by": approval.vouched_by,
    }


def _asked(decision: Decision) -> Mapping[str, str]:
    """Return the attributes of the query; where none could be asked, those of the request."""
    request, proof = decision.request, decision.proof
    if proof is None:
        return {**request.claims, **request.known, **request.observed}
    return {from_octets(name): from_octets(value) for name, value in proof.context.action.items()}
