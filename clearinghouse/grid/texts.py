"""Text for people in a chat client: one fact a line, and nothing in it that is more than it looks (rule R4; pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.clearing.cases import Case, Grant, Revocation
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.people import Changed, Party, Ruling
from clearinghouse.keynote import principals

MAX_LINE_CHARACTERS: Final = 1_024
"""Characters of one line; a principal that is a key of RSA-4096 in hex has 1,100, and its beginning tells as much."""

MAX_NAME_CHARACTERS: Final = 256
"""Characters of one name among others on a line: as many as a node or a title may have, and twice as many as a key."""

MAX_LINES: Final = 200
"""Lines of one text.  With lines as long as they may be it still fits a stanza of 256 kB, escaped for XML."""

NAMED_CHARACTERS: Final = 8
"""Characters of an id that name it to a person; a prefix that several have is refused wherever it is read."""


def plain(text: str, at_most: int = MAX_LINE_CHARACTERS) -> str:
    r"""Return *text* on one line, with whatever cannot be printed or reorders what can escaped as ``\uXXXX``.

    So it is also text that XML can hold (XML 1.0, section 2.2).  What comes after *at_most* characters is an ellipsis.
    """
    cut = text if len(text) <= at_most else text[:at_most] + "…"
    return cut if cut.isprintable() else "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in cut)


def named(text: str) -> str:
    """Return a name that somebody else gave, as it is safe between backticks: those are escaped too (rule R4)."""
    return principals.shown(text.encode("utf-8", "replace").decode("latin-1"), MAX_NAME_CHARACTERS)


def lines_of(text: str) -> list[str]:
    """Return the lines of *text*, each `plain`; of very many only the first, and how many are left out."""
    return cut_short([plain(line.expandtabs(4)) for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")], "lines")


def cut_short(lines: Sequence[str], of_what: str, at_most: int = MAX_LINES) -> list[str]:
    """Return *lines*, or the first of them and how many are left out."""
    kept = list(lines[:at_most])
    return kept if len(lines) <= at_most else [*kept, f"... and {len(lines) - at_most} more {of_what}"]


def moment(at: datetime) -> str:
    """Return an instant in UTC to the second, as ``2026-11-20 09:00:00 UTC``."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(period: timedelta) -> str:
    """Return a period in the largest unit that measures it exactly."""
    seconds = int(period.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def counted(number: int, what: str) -> str:
    """Return *number* of *what*, in the plural where it is not one."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def case_line(case: Case) -> str:
    """Return a case as one choice among others."""
    return f"{case.id[:NAMED_CHARACTERS]}: {asks(case.subject, case.request.operation, case.topic)}, since {moment(case.opened)}"


def grant_line(grant: Grant) -> str:
    """Return a grant as one choice among others."""
    until = f"ended {moment(grant.ended)}" if grant.ended else f"until {moment(grant.until)}"
    return f"{grant.id[:NAMED_CHARACTERS]}: {asks(grant.holder, grant.request.operation, grant.topic)}, {until}"


def grant_lines(grant: Grant) -> Iterator[str]:
    """Yield what is known of a grant, one fact a line."""
    yield f"grant: {grant.id}"
    yield f"holder: {named(grant.holder)}"
    yield f"operation: {named(grant.request.operation)}"
    yield f"topic: `{named(grant.topic)}` at {named(grant.broker)}"
    yield f"since: {moment(grant.since)}"
    yield f"ends for certain: {moment(grant.until)}"
    if grant.case:
        yield f"approved in case: {grant.case}"
    if grant.ended:
        yield f"ended: {moment(grant.ended)}{f' ({named(grant.why.text)})' if grant.why else ''}"


def revocation_line(revocation: Revocation) -> str:
    """Return a revocation, and whether it was lifted."""
    lifted = f", lifted {moment(revocation.lifted)}" if revocation.lifted else ""
    return f"{moment(revocation.at)}: {revocation.kind} `{named(revocation.name)}` by {named(revocation.by)}{lifted}"


def ruling_lines(ruling: Ruling) -> Iterator[str]:
    """Yield what came of an act on a case."""
    yield f"case: {ruling.case.id}"
    yield f"state: {ruling.case.state}"
    if ruling.decision is not None:
        yield from decision_lines(ruling.decision)
    if ruling.waits_for:
        yield f"waits for: {plain(ruling.waits_for)}"


def decision_lines(decision: Decision) -> Iterator[str]:
    """Yield a decision for those who may know its reason."""
    yield f"decision: {decision.id}"
    yield f"outcome: {decision.outcome}"
    if (until := decision.until or decision.ends) is not None:
        yield f"holds until: {moment(until)}"
    yield f"reason: {plain(decision.reason.text)}"


def changed_lines(changed: Changed) -> Iterator[str]:
    """Yield who loses and who wins, complete up to `MAX_LINES` of each."""
    yield f"{'changed' if changed.done else 'would change'}: {', '.join(map(named, changed.names)) or 'nothing'}"
    yield from _parties("loses", changed.losing)
    yield from _parties("wins", changed.winning)
    if changed.unchecked:
        yield f"not looked at: {counted(changed.unchecked, 'pair')} of a known platform and a topic"


def _parties(verb: str, parties: Iterable[Party]) -> Iterator[str]:
    found = [f"{verb}: {asks(each.jid, each.operation, each.topic)}: {_change(each)}" for each in parties]
    yield from cut_short(found, f"of whom each {verb}") or [f"nobody {verb} anything"]


def _change(party: Party) -> str:
    reason = f" ({plain(party.reason)})" if party.reason else ""
    return f"{named(party.before)}, then {named(party.after)}{reason}"


def asks(jid: str, operation: str, topic: str) -> str:
    """Return who wants, has or loses what; the topic stands between backticks, since a node's name may be a sentence."""
    return f"{named(jid)} {named(operation)} `{named(topic)}`"
