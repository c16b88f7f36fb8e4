"""What each stage of a command reads from its form, shows, and does: three tables, one row for each stage."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, TypeVar

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.people import NoSuchThing, Office, Speaker
from clearinghouse.errors import HolderError, MalformedRequest, PeerError, TooLarge
from clearinghouse.grid import screens
from clearinghouse.grid.commands import CommandAsked, Screen, Stage
from clearinghouse.grid.requests import MAX_SECONDS
from clearinghouse.grid.screens import (
    AGAIN,
    APPROVE,
    CHOICE,
    DECISION,
    DENY,
    KIND,
    MAX_REASON_CHARACTERS,
    NAME,
    OTHER,
    PERIOD,
    REASON,
    SHOWN,
    TEXT,
)
from clearinghouse.grid.texts import plain

Inputs: TypeAlias = Mapping[str, str]
"""What was filled in, or sent along hidden, so far."""

MAX_NAME_CHARACTERS: Final = 16_384
"""Characters of what is named: a key of RSA-8192 in a certificate has 6,000 in hex (`clearing.request`)."""


_is_seconds = re.compile(r"[1-9][0-9]{0,9}").fullmatch


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)

# -- what a form says ---------------------------------------------------------------------------------


def _chosen(asked: CommandAsked) -> dict[str, str]:
    found = asked.one(OTHER) or asked.one(CHOICE)
    if not found:
        raise MalformedRequest("nothing was chosen", mend="choose one, or give the beginning of its id")
    return {CHOICE: _short(found)}


def _judged(asked: CommandAsked) -> dict[str, str]:
    decision, period = asked.one(DECISION), asked.one(PERIOD)
    if decision not in {APPROVE, DENY}:
        raise MalformedRequest("it is neither approved nor denied", mend=f"choose `{APPROVE}` or `{DENY}`")
    if period and not (_is_seconds(period) and int(period) <= MAX_SECONDS):
        raise MalformedRequest("the period is no number of seconds", mend="choose one of the list")
    # Clients send hidden fields back; what one leaves out is what this session has shown it.
    seen = {SHOWN: asked.one(SHOWN)} if asked.one(SHOWN) else {}
    return {DECISION: decision, PERIOD: period, REASON: _reason(asked), **seen}


def _ended(asked: CommandAsked) -> dict[str, str]:
    return {AGAIN: "1" if asked.one(AGAIN) in {"1", "true"} else "", REASON: _reason(asked)}


def _revoked(asked: CommandAsked) -> dict[str, str]:
    kind, name = asked.one(KIND), asked.one(NAME)
    if kind not in {each.value for each in RevocationKind}:
        raise MalformedRequest("it does not say what to revoke", mend="choose one of the list")
    if not name:
        raise MalformedRequest("nothing was named", mend="give a key, a principal or an id")
    return {KIND: kind, NAME: _short(name), REASON: _reason(asked)}


def _pasted(asked: CommandAsked) -> dict[str, str]:
    text = asked.lines(TEXT)
    if not text.strip():
        raise MalformedRequest("nothing was pasted", mend="paste it with all of its lines")
    return {TEXT: _short(text)}


def _named(asked: CommandAsked) -> dict[str, str]:
    if not asked.one(NAME):
        raise MalformedRequest("nothing was named", mend="give an id, or its beginning")
    return {NAME: _short(asked.one(NAME))}


def _nothing(_: CommandAsked) -> dict[str, str]:
    return {}


def _reason(asked: CommandAsked) -> str:
    return plain(asked.one(REASON), MAX_REASON_CHARACTERS)


def _short(text: str) -> str:
    if len(text) > MAX_NAME_CHARACTERS:
        raise TooLarge(f"a text of {len(text)} characters", mend=f"use at most {MAX_NAME_CHARACTERS}")
    return text


TAKE: Final[Mapping[Stage, Callable[[CommandAsked], dict[str, str]]]] = MappingProxyType(
    {
        Stage.CASES: _chosen,
        Stage.CASE: _judged,
        Stage.GRANTS: _chosen,
        Stage.GRANT: _ended,
        Stage.REVOKING: _revoked,
        Stage.LOSSES: _nothing,
        Stage.CREDENTIALS: _chosen,
        Stage.CREDENTIAL: _nothing,
        Stage.ADDING: _pasted,
        Stage.GAINS: _nothing,
        Stage.SUBMITTING: _pasted,
        Stage.EXPLAINING: _named,
    }
)
"""Reads what was filled in at a stage; raises `MalformedRequest` or `TooLarge`."""

# -- what a person sees -------------------------------------------------------------------------------


async def _show_cases(office: Office, who: Speaker, _: Inputs) -> Screen:
    return screens.cases(await office.pending(who))


async def _show_case(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.case(await office.case(who, inputs[CHOICE]))


async def _show_grants(office: Office, who: Speaker, _: Inputs) -> Screen:
    return screens.grants(await office.grants(who))


async def _show_grant(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.grant(_one(await office.grants(who), inputs[CHOICE]))


async def _show_revoking(office: Office, who: Speaker, _: Inputs) -> Screen:
    return screens.revoking(await office.revocations(who))


async def _show_losses(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.losses(await office.revoke(who, RevocationKind(inputs[KIND]), inputs[NAME], reason=inputs[REASON], dry_run=True))


async def _show_credentials(office: Office, who: Speaker, _: Inputs) -> Screen:
    return screens.credentials(await office.credentials(who))


async def _show_credential(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    found = _one(await office.credentials(who), inputs[CHOICE])
    try:
        return screens.credential(found, await office.withdraw_credential(who, found.id, dry_run=True))
    except (PeerError, HolderError) as error:
        return screens.credential(found, None, str(error))


async def _show_adding(_: Office, __: Speaker, inputs: Inputs) -> Screen:
    return screens.adding(inputs.get(TEXT, ""))


async def _show_gains(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.gains(await office.add_credential(who, inputs[TEXT].encode(), dry_run=True))


async def _show_submitting(_: Office, __: Speaker, ___: Inputs) -> Screen:
    return screens.submitting()


async def _show_explaining(_: Office, __: Speaker, ___: Inputs) -> Screen:
    return screens.explaining()


Step: TypeAlias = Callable[[Office, Speaker, Inputs], Awaitable[Screen]]

SHOW: Final[Mapping[Stage, Step]] = MappingProxyType(
    {
        Stage.CASES: _show_cases,
        Stage.CASE: _show_case,
        Stage.GRANTS: _show_grants,
        Stage.GRANT: _show_grant,
        Stage.REVOKING: _show_revoking,
        Stage.LOSSES: _show_losses,
        Stage.CREDENTIALS: _show_credentials,
        Stage.CREDENTIAL: _show_credential,
        Stage.ADDING: _show_adding,
        Stage.GAINS: _show_gains,
        Stage.SUBMITTING: _show_submitting,
        Stage.EXPLAINING: _show_explaining,
    }
)
"""Returns what a stage shows; one without fields has nothing to choose from, and ends the command."""

# -- what is done -------------------------------------------------------------------------------------


async def _judge(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    if inputs[DECISION] == DENY:
        return screens.ruled(await office.deny(who, inputs[CHOICE], reason=inputs[REASON]))
    period = timedelta(seconds=int(inputs[PERIOD])) if inputs[PERIOD] else None
    return screens.ruled(await office.approve(who, inputs[CHOICE], shown=inputs[SHOWN], period=period))


async def _end(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    again = bool(inputs[AGAIN])
    return screens.changed(await office.end_grant(who, inputs[CHOICE], reason=inputs[REASON], may_ask_again=again))


async def _revoke(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.changed(await office.revoke(who, RevocationKind(inputs[KIND]), inputs[NAME], reason=inputs[REASON]))


async def _withdraw(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.changed(await office.withdraw_credential(who, inputs[CHOICE]))


async def _add(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.changed(await office.add_credential(who, inputs[TEXT].encode()))


async def _submit(office: Office, _: Speaker, inputs: Inputs) -> Screen:
    return screens.submitted(await office.submit(inputs[TEXT].strip().encode()))


async def _explain(office: Office, who: Speaker, inputs: Inputs) -> Screen:
    return screens.explained(await office.explain(who, inputs[NAME]))


ACT: Final[Mapping[Stage, Step]] = MappingProxyType(
    {
        Stage.CASE: _judge,
        Stage.GRANT: _end,
        Stage.LOSSES: _revoke,
        Stage.CREDENTIAL: _withdraw,
        Stage.GAINS: _add,
        Stage.SUBMITTING: _submit,
        Stage.EXPLAINING: _explain,
    }
)
"""Does what a command is for, and returns what came of it."""


def _one(found: Sequence[_Item], beginning: str) -> _Item:
    """Return the one whose id begins so; raises `NoSuchThing` for none and for several."""
    named = [each for each in found if each.id.startswith(beginning)]
    if len(named) != 1:
        raise NoSuchThing(f"{len(named) or 'none'} begin with this", mend="give more of the id, or choose from the list")
    return named[0]
