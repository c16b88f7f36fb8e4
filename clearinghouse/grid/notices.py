"""Chat messages about what happened: to people when something waits, to requesters what came of it (pure).

Each fact has a line of its own, and no line of somebody else's text can look like another.  A `Digest` keeps
a flood of requests from becoming a flood of messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.clearing.cases import Case, CaseState, Grant
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.grid.namespaces import CLIENT
from clearinghouse.grid.stanzas import MESSAGE
from clearinghouse.grid.texts import NAMED_CHARACTERS, asks, counted, lines_of, moment, named

NOTICES_PER_MINUTE: Final = 10
"""Messages to one address in a minute; more than that nobody reads one by one."""

MINUTE_SECONDS: Final = 60.0

MAX_ADDRESSEES: Final = 16_384
"""Addresses that were written to in the last minute, 0.2 kB each; to more of them nothing is said until one is forgotten."""

_OVER: Final = {
    CaseState.DENIED: "was denied",
    CaseState.EXPIRED: "was not decided in time",
    CaseState.CANCELLED: "waits no longer",
    CaseState.FAILED: "was approved, and the broker no longer knew of it",
    CaseState.WITHDRAWN: "was approved, and holds no longer",
}


def case_waits(case: Case, us: str) -> str:
    """Return what an approver reads when *case* has opened; *us* is where the commands are."""
    head = f"a request waits for you: {asks(case.subject, case.request.operation, case.topic)}"
    how = f"decide with the command `pending` of {us}, or with `clearinghouse approve {case.id[:NAMED_CHARACTERS]}` (or deny)"
    return "\n".join([head, *case.summary().split("\n"), f"waits until: {moment(case.expires)}", how])


def case_closed(case: Case) -> str:
    """Return what a requester reads when people have decided against it, or nobody has; never why (rule R22)."""
    outcome = _OVER.get(case.state, f"is {case.state}")
    return f"your request to {named(case.request.operation)} `{named(case.topic)}` {outcome}\ndecision: {case.id}"


def ruled(decision: Decision) -> str:
    """Return what a requester reads when its request was ruled on: the outcome and the id, and no reason (rule R22)."""
    asked = f"your request to {named(decision.request.operation)} `{named(decision.request.observed.get('topic', ''))}`"
    lines = [f"{asked} {_said(decision.outcome)}", f"decision: {decision.id}"]
    if (until := decision.until or decision.ends) is not None:
        lines.append(f"holds until: {moment(until)}")
    return "\n".join(lines)


def grant_ended(grant: Grant) -> str:
    """Return what a holder reads when its grant is over: that, and the code of the reason."""
    why = f" ({named(grant.why.code)})" if grant.why else ""
    return f"your grant to {named(grant.request.operation)} `{named(grant.topic)}` has ended{why}\ndecision: {grant.id}"


def held_back(number: int) -> str:
    """Return the message that stands for *number* others."""
    return f"{counted(number, 'more message')} held back in the last minute; see the command `pending`, or `clearinghouse pending`"


def write_notice(to: str, body: str, identity: str) -> Element:
    """Return the chat message with *body*; each of its lines is made plain, and of very many the first are kept."""
    message = Element(MESSAGE, {"to": to, "type": "chat", "id": identity})
    SubElement(message, f"{{{CLIENT}}}body").text = "\n".join(lines_of(body))
    return message


def _said(outcome: Outcome) -> str:
    match outcome:
        case Outcome.GRANTED:
            return "was granted"
        case Outcome.PENDING:
            return "waits for people to decide"
        case Outcome.REFUSED:
            return "was denied"
        case Outcome.UNANSWERED:
            return "could not be decided now"


@dataclass(slots=True)
class _Minute:
    since: float
    sent: int = 0
    held: int = 0


@dataclass(slots=True)
class Digest:
    """Who was written to in the last minute, and how much was held back.  Times are seconds of one steady clock."""

    _minutes: dict[str, _Minute] = field(default_factory=dict)
    unsaid: int = 0
    """Messages to addresses for which there was no room: not even a digest tells of them."""

    def may_send(self, to: str, *, now: float) -> bool:
        """Count one more message to *to*; whether it may go out now."""
        minute = self._minutes.get(to)
        if minute is None:
            if len(self._minutes) >= MAX_ADDRESSEES:
                self.unsaid += 1
                return False
            minute = self._minutes[to] = _Minute(now)
        if minute.sent < NOTICES_PER_MINUTE:
            minute.sent += 1
            return True
        minute.held += 1
        return False

    def failed(self, to: str, number: int = 1, *, now: float) -> None:
        """Count messages that could not go out as held back, so that a later digest tells of them."""
        if to in self._minutes or len(self._minutes) < MAX_ADDRESSEES:
            self._minutes.setdefault(to, _Minute(now)).held += number
        else:
            self.unsaid += number

    def due(self, *, now: float) -> list[tuple[str, int]]:
        """Forget whose minute is over, and return how many messages each of them was not sent."""
        over = [to for to, minute in self._minutes.items() if minute.since + MINUTE_SECONDS <= now]
        gone = [(to, self._minutes.pop(to).held) for to in over]
        return [(to, held) for to, held in gone if held]

    def next_due(self) -> float | None:
        """Return when the next minute is over; they are kept in the order in which they began."""
        return next((minute.since + MINUTE_SECONDS for minute in self._minutes.values()), None)
