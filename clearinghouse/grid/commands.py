"""Ad-hoc commands (XEP-0050) for people with an ordinary client: which there are, and their stages as one table (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.errors import ClearinghouseError, MalformedRequest, PeerError, TooLarge
from clearinghouse.grid.dialogs import Field, write_dialog
from clearinghouse.grid.forms import Form, forms_in, read_form
from clearinghouse.grid.namespaces import CLEARINGHOUSE, COMMANDS
from clearinghouse.grid.texts import plain

MAX_PASTED_CHARACTERS: Final = 16_384
"""Characters of one value of a command's form: a pasted credential has at most 8,192 bytes (`keynote.Limits`), and the
envelope that adds a usual one some 2,000."""

COMMAND: Final = f"{{{COMMANDS}}}command"

_is_session = re.compile(r"[0-9a-f]{32}").fullmatch


class Command(StrEnum):
    """The commands; a value is the command's node."""

    PENDING = "pending"
    GRANTS = "grants"
    REVOKE = "revoke"
    CREDENTIALS = "credentials"
    ADD_CREDENTIAL = "add-credential"
    SUBMIT = "submit"
    EXPLAIN = "explain"
    MEMBER = "member"


TITLES: Final[Mapping[Command, str]] = MappingProxyType(
    {
        Command.PENDING: "Requests that wait",
        Command.GRANTS: "Grants: see them, or end one",
        Command.REVOKE: "Revoke a key, a credential or what was delegated",
        Command.CREDENTIALS: "Credentials: see them, or withdraw one",
        Command.ADD_CREDENTIAL: "Add a credential",
        Command.SUBMIT: "Hand in what somebody signed",
        Command.EXPLAIN: "Explain a decision",
        Command.MEMBER: "Propose a member of the federation, or a change of one",
    }
)
"""What a client shows in its list of commands."""


class Action(StrEnum):
    """What a client does with a stage (XEP-0050, section 3.4)."""

    EXECUTE = "execute"
    """Start or, with a session, do what the stage names as its default."""
    NEXT = "next"
    PREV = "prev"
    COMPLETE = "complete"
    CANCEL = "cancel"


_ACTIONS: Final = frozenset(each.value for each in Action)


class Stage(StrEnum):
    """What a person sees."""

    CASES = "cases"
    CASE = "case"
    GRANTS = "grants"
    GRANT = "grant"
    REVOKING = "revoking"
    LOSSES = "losses"
    CREDENTIALS = "credentials"
    CREDENTIAL = "credential"
    ADDING = "adding"
    GAINS = "gains"
    SUBMITTING = "submitting"
    EXPLAINING = "explaining"
    ENROLLING = "enrolling"
    ENROLMENT = "enrolment"
    DONE = "done"
    CANCELLED = "cancelled"


FIRST: Final[Mapping[Command, Stage]] = MappingProxyType(
    {
        Command.PENDING: Stage.CASES,
        Command.GRANTS: Stage.GRANTS,
        Command.REVOKE: Stage.REVOKING,
        Command.CREDENTIALS: Stage.CREDENTIALS,
        Command.ADD_CREDENTIAL: Stage.ADDING,
        Command.SUBMIT: Stage.SUBMITTING,
        Command.EXPLAIN: Stage.EXPLAINING,
        Command.MEMBER: Stage.ENROLLING,
    }
)
"""Where each command starts."""

NEXT: Final[Mapping[tuple[Stage, Action], Stage]] = MappingProxyType(
    {
        (Stage.CASES, Action.NEXT): Stage.CASE,
        (Stage.CASE, Action.PREV): Stage.CASES,
        (Stage.CASE, Action.COMPLETE): Stage.DONE,
        (Stage.GRANTS, Action.NEXT): Stage.GRANT,
        (Stage.GRANT, Action.PREV): Stage.GRANTS,
        (Stage.GRANT, Action.COMPLETE): Stage.DONE,
        (Stage.REVOKING, Action.NEXT): Stage.LOSSES,
        (Stage.LOSSES, Action.PREV): Stage.REVOKING,
        (Stage.LOSSES, Action.COMPLETE): Stage.DONE,
        (Stage.CREDENTIALS, Action.NEXT): Stage.CREDENTIAL,
        (Stage.CREDENTIAL, Action.PREV): Stage.CREDENTIALS,
        (Stage.CREDENTIAL, Action.COMPLETE): Stage.DONE,
        (Stage.ADDING, Action.NEXT): Stage.GAINS,
        (Stage.GAINS, Action.PREV): Stage.ADDING,
        (Stage.GAINS, Action.COMPLETE): Stage.DONE,
        (Stage.SUBMITTING, Action.COMPLETE): Stage.DONE,
        (Stage.EXPLAINING, Action.COMPLETE): Stage.DONE,
        (Stage.ENROLLING, Action.NEXT): Stage.ENROLMENT,
        (Stage.ENROLMENT, Action.PREV): Stage.ENROLLING,
        (Stage.ENROLMENT, Action.COMPLETE): Stage.DONE,
        **{(stage, Action.CANCEL): Stage.CANCELLED for stage in Stage if stage not in {Stage.DONE, Stage.CANCELLED}},
    }
)
"""The whole state machine of a session; a pair that is not here is a ``bad-action``."""


def actions_of(stage: Stage) -> tuple[Action, ...]:
    """Return what a client may do at *stage* beside cancelling, the default first."""
    return tuple(action for action in (Action.NEXT, Action.COMPLETE, Action.PREV) if (stage, action) in NEXT)


def after(stage: Stage, action: Action) -> tuple[Action, Stage]:
    """Return what *action* means at *stage*, and the stage that it leads to; raises `CommandRefused`."""
    meant = actions_of(stage)[0] if action is Action.EXECUTE else action
    if (stage, meant) not in NEXT:
        raise CommandRefused("bad-action", f"nobody can {action} here", mend=f"use {', '.join(actions_of(stage))} or cancel")
    return meant, NEXT[stage, meant]


class CommandRefused(PeerError):
    """A command that breaks the protocol; ``condition`` is one of XEP-0050, section 4.4."""

    code: ClassVar[str] = "command-refused"

    def __init__(self, condition: str, message: str, *, mend: str) -> None:
        """Keep the condition that a client understands."""
        super().__init__(message, mend=mend)
        self.condition = condition


class SessionExpired(CommandRefused):
    """The session was there, and has been open for too long."""

    stanza_condition: ClassVar[str] = "not-allowed"


@dataclass(frozen=True, slots=True)
class CommandAsked:
    """One step of a client: ``session`` is empty for a new one, ``form`` is what was filled in."""

    command: str
    action: Action
    session: str
    form: Form | None

    def one(self, name: str) -> str:
        """Return what was filled in for *name*, without space around it; empty where nothing was."""
        return "" if self.form is None else self.form.optional(name).strip()

    def lines(self, name: str) -> str:
        """Return the lines that were filled in for *name*, each ended."""
        values = () if self.form is None else self.form.fields.get(name, ())
        return "".join(f"{value}\n" for value in values)


def read_command(command: Element) -> CommandAsked:
    """Read a ``<command/>``; raises `CommandRefused`."""
    action = command.get("action", Action.EXECUTE)
    if action not in _ACTIONS:
        raise CommandRefused("malformed-action", "no such action", mend=f"use {', '.join(Action)}")
    session = command.get("sessionid", "")
    if session and not _is_session(session):
        raise no_session()
    return CommandAsked(command.get("node", ""), Action(action), session, _form_in(command))


def no_session() -> CommandRefused:
    """Return the refusal of a session that is not there, or is somebody else's."""
    return CommandRefused("bad-sessionid", "there is no such session", mend="start the command again")


def _form_in(command: Element) -> Form | None:
    found = forms_in(command)
    if len(found) > 1:
        raise CommandRefused("bad-payload", "a command with several forms", mend="send one")
    try:
        return read_form(found[0], longest=MAX_PASTED_CHARACTERS) if found else None
    except (MalformedRequest, TooLarge) as error:
        raise bad_payload(error) from None


def bad_payload(error: ClearinghouseError) -> CommandRefused:
    """Return the refusal of a form that cannot be used."""
    return CommandRefused("bad-payload", error.message, mend=error.mend)


@dataclass(frozen=True, slots=True)
class Note:
    """A line beside the form; ``kind`` is ``info``, ``warn`` or ``error`` (XEP-0050, section 4.3)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Screen:
    """What a person sees at a stage."""

    title: str
    instructions: str = ""
    fields: tuple[Field, ...] = ()
    notes: tuple[Note, ...] = ()


def write_stage(command: str, session: str, stage: Stage, screen: Screen | None = None) -> Element:
    """Return the ``<command/>`` that shows *screen* at *stage*, with what may be done there."""
    status = {Stage.DONE: "completed", Stage.CANCELLED: "canceled"}.get(stage, "executing")
    element = Element(COMMAND, node=command, sessionid=session, status=status)
    if allowed := actions_of(stage):
        _write_actions(element, allowed)
    if screen is None:
        return element
    if screen.fields:
        form_type = f"{CLEARINGHOUSE}#{command}"
        element.append(write_dialog("form" if allowed else "result", form_type, screen.title, screen.instructions, screen.fields))
    _write_notes(element, screen.notes)
    return element


def _write_actions(element: Element, allowed: tuple[Action, ...]) -> None:
    actions = SubElement(element, f"{{{COMMANDS}}}actions", execute=allowed[0])
    for name in (Action.PREV, Action.NEXT, Action.COMPLETE):  # the order of XEP-0050's schema
        if name in allowed:
            SubElement(actions, f"{{{COMMANDS}}}{name}")


def _write_notes(element: Element, notes: Iterable[Note]) -> None:
    for note in notes:
        SubElement(element, f"{{{COMMANDS}}}note", type=note.kind).text = plain(note.text)
