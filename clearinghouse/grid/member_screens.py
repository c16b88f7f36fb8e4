"""What a person sees who proposes a member or a change of one (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from clearinghouse.clearing.people import Changed
from clearinghouse.grid.commands import Note, Screen
from clearinghouse.grid.dialogs import MAX_CHOICES, Choice, Field, Kind, fixed, text
from clearinghouse.grid.texts import cut_short, named

ACT: Final = "act"
LINES: Final = ("endpoints", "keys", "contacts", "pins")
"""What has several values: one a line."""
WORDS: Final = ("domain", "agent", "component", "note")

_ACTS: Final = {"add": "add a member", "change": "change a record", "remove": "remove a member"}
_LABELS: Final[Mapping[str, str]] = {
    "domain": "Its domain",
    "endpoints": "Where its server takes streams, host:port, one a line",
    "keys": "Its keys, one a line",
    "agent": "The HTTPS address of its agent",
    "component": "The XMPP address of its agent",
    "contacts": "Whom to write to, one a line",
    "pins": "Digests of the keys in its server's certificates, one a line",
    "note": "A note",
}


def enrolling(lines: Iterable[str]) -> Screen:
    """Return the question whose record is to be what, under the members that there are, a line each."""
    known = cut_short([*lines], "members", MAX_CHOICES)
    return Screen(
        "Propose a member, or a change",
        "What is left empty stays as it is. The next page says whose level would change. It becomes a draft, "
        "which somebody accepts at the clearinghouse itself or with a key.",
        (
            Field(Kind.CHOICE, ACT, "What", values=("add",), options=tuple(Choice(*each) for each in _ACTS.items()), required=True),
            *(Field(Kind.LINES if name in LINES else Kind.LINE, name, label, required=name == "domain") for name, label in _LABELS.items()),
            *([text("members", "Members, to read", known)] if known else []),
        ),
    )


def enrolment(changed: Changed) -> Screen:
    """Return whose level the record would change."""
    lines = [f"{named(each.jid)} in {named(each.topic)}: {each.before} -> {each.after}" for each in (*changed.losing, *changed.winning)]
    return Screen("Whose level changes", "To leave the draft, complete the command; else cancel it.", fixed(lines or ["no level changes"]))


def drafted(domain: str, draft: str, waits_for: str) -> Screen:
    """Return what became of the proposal."""
    return Screen("Done", "", fixed([f"{named(domain)} waits as draft {named(draft)}", waits_for]), (Note("info", "the draft is there"),))
