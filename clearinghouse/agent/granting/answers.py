"""What an agent answers to a signed request, and how that is written and read (docs/reference/agent-requests.md; pure).

Whoever may not know the policy learns a code and the decision's id: what was denied, what is unknown and what is no
member look alike (rule R22).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.clearing.wire import check_members, read_object, read_stamp, stamp
from clearinghouse.errors import MalformedRequest

REFUSED: Final = "refused"
"""The one code of every refusal, for those who may not know more."""
MAX_REASON_CHARACTERS: Final = 1_000
"""Characters of a reason that is passed on: it is read by a user in an error of a chat client."""
MAX_ANSWER_BYTES: Final = 16_384
"""Bytes of an answer; the longest that we write has 3,000."""

_MEMBERS: Final = {"id": str, "outcome": str, "value": str, "code": str, "until": str, "reason": str}
_OUTCOMES: Final = frozenset(each.value for each in Outcome)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``until`` is when a grant ends at the latest unless it is renewed, ``reason`` is for people."""

    id: str
    outcome: str
    value: str
    code: str
    until: datetime | None = None
    reason: str = ""

    @property
    def granted(self) -> bool:
        """Whether it was granted."""
        return self.outcome == Outcome.GRANTED

    def as_json(self) -> dict[str, Any]:
        """Return the members of the answer."""
        return {
            "id": self.id,
            "outcome": self.outcome,
            "value": self.value,
            "code": self.code,
            "until": "" if self.until is None else stamp(self.until),
            "reason": self.reason,
        }


def answer_of(decision: Decision, *, explained: bool, target: str) -> Answer:
    """Return the answer that *decision* is; *explained* says whether who asked may know the reason."""
    identity, outcome = decision.id, decision.outcome
    if outcome is Outcome.REFUSED and not explained:
        return Answer(identity, outcome.value, "deny", REFUSED, reason=f"{target} does not grant this")
    text = decision.reason.text if explained else _PLAIN[outcome].format(target=target)
    return Answer(identity, outcome.value, decision.value, decision.reason.code, decision.ends, text[:MAX_REASON_CHARACTERS])


_PLAIN: Final = {
    Outcome.GRANTED: "{target} grants this",
    Outcome.PENDING: "a person decides at {target}",
    Outcome.UNANSWERED: "{target} cannot answer now",
    Outcome.REFUSED: "{target} does not grant this",
}


def read_answer(raw: bytes) -> Answer:
    """Return the answer in *raw*, as another agent wrote it; raises `MalformedRequest`."""
    try:
        found = read_object(raw) if len(raw) <= MAX_ANSWER_BYTES else {}
        return answer_in(found)
    except ValueError as error:
        raise MalformedRequest(f"the answer {error}", mend="ask who runs the agent that gave it") from None


def answer_in(found: Mapping[str, Any]) -> Answer:
    """Return the answer that *found* holds; raises ``ValueError``."""
    check_members(found, _MEMBERS)
    if found["outcome"] not in _OUTCOMES:
        raise ValueError(f"has the outcome `{shown(found['outcome'])}`, which is none")
    until = read_stamp(found["until"]) if found["until"] else None
    return Answer(found["id"][:64], found["outcome"], found["value"], found["code"], until, found["reason"][:MAX_REASON_CHARACTERS])
