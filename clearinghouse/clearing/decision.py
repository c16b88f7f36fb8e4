"""Step 4: a compliance value becomes a decision; failing closed lives here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from clearinghouse.clearing.facts import Facts
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import EVERYTHING, PACKET_RULE, Origin
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Proof


class Outcome(StrEnum):
    """What follows from a decision."""

    GRANTED = "granted"
    PENDING = "pending"
    """A person decides: the value is `ask`."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a stable code and as a sentence for those who may know (rule R22)."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A ruling on one request.

    ``id`` is random and tells a stranger nothing.  ``ends`` is when a grant ends by itself.
    ``version`` names the snapshot that was used.  ``proof`` is ``None`` where none could be made.
    """

    id: str
    request: Request
    outcome: Outcome
    value: str
    reason: Reason
    version: str
    at: datetime
    ends: datetime | None
    proof: Proof | None


ASK = "ask"


def decide(identity: str, request: Request, facts: Facts, proof: Proof, *, version: str, now: datetime, cap: timedelta) -> Decision:
    """Return the decision on a proven value, after the checks that KeyNote cannot make."""
    weakness = None if proof.level == 0 else unbound_effect(facts, proof) or unbound_claim(facts, proof)
    if weakness is not None:
        return Decision(identity, request, Outcome.REFUSED, lowest(proof), weakness, version, now, None, proof)
    outcome = outcome_of(proof)
    ends = grant_end(facts, proof, now=now, cap=cap) if outcome is Outcome.GRANTED else None
    return Decision(identity, request, outcome, proof.value, reason_of(outcome, proof), version, now, ends, proof)


def refuse(identity: str, request: Request, error: ClearinghouseError, *, value: str, version: str, now: datetime) -> Decision:
    """Return the decision that nothing could be decided: the lowest value, with a reason of its own."""
    return Decision(identity, request, Outcome.REFUSED, value, Reason(error.code, str(error)), version, now, None, None)


def outcome_of(proof: Proof) -> Outcome:
    """The weakest value refuses, `ask` waits for a person, every other one grants what it names."""
    if proof.level == 0:
        return Outcome.REFUSED
    return Outcome.PENDING if proof.value == ASK else Outcome.GRANTED


def reason_of(outcome: Outcome, proof: Proof) -> Reason:
    """Return what an operator wants to read first."""
    if outcome is Outcome.GRANTED:
        return Reason("granted", f"{len(proof.chain)} assertions carry `{proof.value}`")
    if outcome is Outcome.PENDING:
        return Reason("pending", "policy leaves this to a person")
    missing = proof.missing[-1] if proof.missing else None
    text = (
        f"`{missing.value}` would need {'; and '.join(step.text for step in missing.steps)}"
        if missing
        else "no policy grants this to anybody"
    )
    code = (
        "condition-failed" if missing and missing.steps[0].kind == "condition" else missing.steps[0].kind if missing else "nothing-granted"
    )
    return Reason({"licence": "no-licence"}.get(code, code), text)


def lowest(proof: Proof) -> str:
    """Return the weakest value of the proof's query."""
    return proof.context.scale.names[0]


def unbound_effect(facts: Facts, proof: Proof) -> Reason | None:
    """R5: every dimension of the effect was read by the proof, or is tied by the requester's name."""
    read = {name for link in proof.chain for name in link.reads}
    for name in _dimensions(facts):
        if name not in read and name not in facts.operation.by_requester:
            return Reason(
                "unbound-effect", f"no assertion on the chain says for which `{name}` it grants this: test `{name}` in the policy"
            )
    return None


def _dimensions(facts: Facts) -> tuple[str, ...]:
    """Return the effect's dimensions; a packet rule has its own, but only where one is asked for."""
    asks_for_rule = any(facts.attributes.get(name, EVERYTHING) != EVERYTHING for name in PACKET_RULE)
    rule = PACKET_RULE[:2] if facts.operation.name == "whitelist" and asks_for_rule else ()
    return (*facts.operation.effect, *rule)


def unbound_claim(facts: Facts, proof: Proof) -> Reason | None:
    """R8: a statement of the requester counts where a credential by somebody else tests it."""
    subject = {f"{kind}:{facts.attributes.get('domain', '')}" for kind in ("xmpp", "xmpp-member")}
    own = {*facts.requesters, *proof.authorizers, *subject}
    read = {name for link in proof.chain for name in link.reads}
    bound = {name for link in proof.chain if link.authorizer not in own and link.authorizer != "POLICY" for name in link.reads}
    for name in sorted(read - bound):
        if facts.origins.get(name) is Origin.STATEMENT:
            return Reason("unbound-claim", f"only the requester says what `{name}` is: a credential by an auditor must test it")
    return None


def grant_end(facts: Facts, proof: Proof, *, now: datetime, cap: timedelta) -> datetime:
    """R17: a grant ends after the period asked for, when the clock can change the answer, or at the cap."""
    asked = now + timedelta(seconds=int(facts.attributes["ValidityPeriod"]))
    return min(each for each in (asked, proof.stable_until, now + cap) if each is not None)
