"""What a person sees at each stage of a command: forms that any client can draw, hostile text escaped (rule R4; pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from clearinghouse.clearing.cases import Case, Grant, Revocation, RevocationKind
from clearinghouse.clearing.people import Changed, KeptCredential, Ruling
from clearinghouse.errors import ClearinghouseError
from clearinghouse.grid.commands import Note, Screen
from clearinghouse.grid.dialogs import MAX_CHOICES, Choice, Field, Kind, fixed, hidden, text
from clearinghouse.grid.texts import (
    NAMED_CHARACTERS,
    case_line,
    changed_lines,
    counted,
    cut_short,
    grant_line,
    grant_lines,
    lines_of,
    named,
    revocation_line,
    ruling_lines,
    span,
)

CHOICE: Final = "choice"
OTHER: Final = "other"
SHOWN: Final = "shown"
DECISION: Final = "decision"
PERIOD: Final = "period"
REASON: Final = "reason"
AGAIN: Final = "may-ask-again"
KIND: Final = "kind"
NAME: Final = "name"
TEXT: Final = "text"
"""Names of the fields."""

APPROVE: Final = "approve"
DENY: Final = "deny"

PERIODS: Final = tuple(timedelta(days=days) for days in (1, 7, 30, 90))
"""For how long an approval may be given at a choice; policy and the settings may allow less."""

MAX_REASON_CHARACTERS: Final = 256
"""Characters of a reason: a sentence for the log."""

_KINDS: Final = {
    RevocationKind.PRINCIPAL: "a key or an opaque principal",
    RevocationKind.BELOW: "all that a key delegated",
    RevocationKind.CREDENTIAL: "one credential, by its id",
    RevocationKind.HOLDER: "one platform at one topic, as: jid topic",
}


def cases(found: Sequence[Case]) -> Screen:
    """Return the list of requests that wait, the oldest first."""
    return _choose("Requests that wait", "request", [Choice(case.id, case_line(case)) for case in found], "nothing waits for a decision")


def case(found: Case) -> Screen:
    """Return one request in full, with what can be done about it; the digest of what is shown goes back with the answer."""
    allow = (Choice("", "as long as policy allows"), *(Choice(str(int(each.total_seconds())), span(each)) for each in PERIODS))
    return Screen(
        f"Request {found.id[:NAMED_CHARACTERS]}",
        "Read what is asked for, then approve or deny it.",
        (
            *fixed(found.summary().split("\n")),
            *fixed([f"approved so far by: {', '.join(named(each.person) for each in found.approvals) or 'nobody'}"]),
            hidden(CHOICE, found.id),
            hidden(SHOWN, found.digest()),
            Field(Kind.CHOICE, DECISION, "Decision", options=(Choice(APPROVE, "approve"), Choice(DENY, "deny")), required=True),
            Field(Kind.CHOICE, PERIOD, "Approve for", values=("",), options=allow),
            Field(Kind.LINE, REASON, "Reason, if you deny (kept in the log)"),
        ),
    )


def grants(found: Sequence[Grant]) -> Screen:
    """Return the list of grants."""
    return _choose("Grants", "grant", [Choice(grant.id, grant_line(grant)) for grant in found], "nothing is granted now")


def grant(found: Grant) -> Screen:
    """Return one grant, and what ending it means."""
    return Screen(
        f"Grant {found.id[:NAMED_CHARACTERS]}",
        "To end this grant now, complete the command; else cancel it.",
        (
            *fixed(grant_lines(found)),
            hidden(CHOICE, found.id),
            Field(Kind.BOOLEAN, AGAIN, "Its holder may ask for it again", values=("0",)),
            Field(Kind.LINE, REASON, "Reason (kept in the log)"),
        ),
    )


def revoking(found: Sequence[Revocation]) -> Screen:
    """Return the question what to revoke, under what was revoked already."""
    options = tuple(Choice(kind.value, label) for kind, label in _KINDS.items())
    newest = cut_short([revocation_line(each) for each in reversed(found)], "revocations", MAX_CHOICES)
    return Screen(
        "Revoke",
        "The next page says who would lose what. Nothing is revoked before that.",
        (
            Field(Kind.CHOICE, KIND, "What to revoke", options=options, required=True),
            Field(Kind.LINE, NAME, "Its key, principal or id", required=True),
            Field(Kind.LINE, REASON, "Reason (kept in the log)"),
            *([text("revoked", "Revoked so far, to read", newest)] if newest else []),
        ),
    )


def losses(changed: Changed) -> Screen:
    """Return who would lose what."""
    return _preview("Who loses what", "To revoke for good, complete the command; this cannot be undone.", changed)


def credentials(found: Sequence[KeptCredential]) -> Screen:
    """Return the list of credentials."""
    choices = [Choice(each.id, f"{each.id[:NAMED_CHARACTERS]}: {_origin(each)}") for each in found]
    return _choose("Credentials", "credential", choices, "there are no credentials")


def credential(found: KeptCredential, changed: Changed | None, why_not: str = "") -> Screen:
    """Return one credential and who would lose what without it, or *why_not* where it cannot be withdrawn here."""
    body = text(TEXT, "The credential, to read", lines_of(found.raw.decode("utf-8", "backslashreplace")))
    head = (f"credential: {found.id}", f"from: {_origin(found)}")
    if changed is None:
        return Screen("Credential", "", (*fixed((*head, f"cannot be withdrawn here: {why_not}")), body))
    fields = (*fixed((*head, *changed_lines(changed))), hidden(CHOICE, found.id), body)
    return Screen("Credential", "To withdraw this credential, complete the command; else cancel it.", fields)


def adding(pasted: str = "") -> Screen:
    """Return the question for a credential's text."""
    label = "The signed credential, all of its lines"
    lines = tuple(pasted.splitlines())
    field = Field(Kind.LINES, TEXT, label, lines, required=True)
    return Screen("Add a credential", "The next page says who would win what. Nothing is added before that.", (field,))


def gains(changed: Changed) -> Screen:
    """Return who would win what."""
    return _preview("Who wins what", "To add the credential, complete the command; else cancel it.", changed)


def submitting() -> Screen:
    """Return the question for an envelope: it speaks for its signers, whoever pastes it here."""
    field = Field(Kind.LINES, TEXT, "What was signed, all of it", required=True)
    return Screen("Hand in what somebody signed", "It is done at once, on the word of those who signed it.", (field,))


def explaining() -> Screen:
    """Return the question what to explain."""
    field = Field(Kind.LINE, NAME, "Id of a decision, request or grant, or its beginning", required=True)
    return Screen("Explain a decision", "", (field,))


def explained(explanation: str) -> Screen:
    """Return an explanation."""
    return Screen("Explanation", "", (text(TEXT, "Explanation", lines_of(explanation)),))


def ruled(ruling: Ruling) -> Screen:
    """Return what came of an approval or a denial."""
    return told("Done", ruling_lines(ruling), Note("info", _in_short(ruling)))


def submitted(found: Ruling | Changed) -> Screen:
    """Return what came of an envelope."""
    return ruled(found) if isinstance(found, Ruling) else changed(found)


def changed(found: Changed) -> Screen:
    """Return what was changed."""
    return told("Done", changed_lines(found), Note("info", f"{', '.join(named(name[:NAMED_CHARACTERS]) for name in found.names)}: done"))


def told(title: str, lines: Iterable[str], *notes: Note) -> Screen:
    """Return lines to read."""
    return Screen(title, "", fixed(lines), notes)


def problem(error: ClearinghouseError) -> Note:
    """Return an error as people read it, with its mend."""
    return Note("error", str(error))


def _in_short(ruling: Ruling) -> str:
    if ruling.decision is None:
        return f"your word counts; {ruling.waits_for}" if ruling.waits_for else f"the request is {ruling.case.state}"
    return f"{ruling.decision.outcome}, decision {ruling.decision.id}"


def _choose(title: str, what: str, choices: Sequence[Choice], nothing: str) -> Screen:
    """Return a list to choose from; a screen without fields where there is nothing."""
    if not choices:
        return Screen(title, notes=(Note("info", nothing),))
    more = len(choices) - MAX_CHOICES
    note = (Note("info", f"{counted(more, what)} more; name one by its id"),) if more > 0 else ()
    fields = (
        Field(Kind.CHOICE, CHOICE, f"Choose a {what}", options=tuple(choices[:MAX_CHOICES])),
        Field(Kind.LINE, OTHER, "or the beginning of its id"),
    )
    return Screen(f"{title} ({len(choices):,})", f"Choose a {what} to see all about it.", fields, note)


def _preview(title: str, instructions: str, would: Changed) -> Screen:
    return Screen(title, instructions, fixed(changed_lines(would)))


def _origin(kept: KeptCredential) -> str:
    return f"{named(kept.source)}{f', by {named(kept.by)}' if kept.by else ''}"
