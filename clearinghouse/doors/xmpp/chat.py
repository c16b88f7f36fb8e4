"""Performs ad-hoc commands: moves sessions along the table of `grid.commands`, and asks the office at each step."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from clearinghouse.clearing.people import NoSuchThing, Office, Speaker
from clearinghouse.doors.xmpp.member_steps import MEMBER_ACT, MEMBER_SHOW, MEMBER_TAKE
from clearinghouse.doors.xmpp.steps import ACT, SHOW, TAKE
from clearinghouse.doors.xmpp.talks import Talk, Talks
from clearinghouse.errors import ClearinghouseError, MalformedRequest, TooLarge, Unavailable
from clearinghouse.federation.membership.registry import Registry
from clearinghouse.grid import screens
from clearinghouse.grid.commands import (
    FIRST,
    Action,
    Command,
    CommandAsked,
    CommandRefused,
    Screen,
    Stage,
    after,
    bad_payload,
    no_session,
    read_command,
    write_stage,
)
from clearinghouse.grid.dialogs import Kind

SESSION_BYTES = 16
"""Random bytes of a session's name: nobody guesses one, not even another client of its owner."""


@dataclass(slots=True)
class Chat:
    """All open commands.  ``clock`` is in seconds and steady; ``registry`` is where members are, where there is a federation."""

    clock: Callable[[], float]
    registry: Registry | None = None
    talks: Talks = field(default_factory=Talks)

    async def step(self, office: Office, who: Speaker, jid: str, command: Element) -> Element:
        """Do one step of a command for *who* at the full JID *jid*, and return the ``<command/>`` that answers it.

        Raises `CommandRefused` where the protocol is broken, and `Unavailable` where nothing can be done now:
        the session then stays where it was.  What the office refuses is shown to the person instead.
        """
        asked = read_command(command)
        if asked.session:
            return await self._continue(office, who, jid, asked)
        if asked.command not in set(Command):
            raise NoSuchThing("there is no such command", mend=f"use {', '.join(Command)}")
        if asked.action is not Action.EXECUTE:
            raise no_session()
        named = Command(asked.command)
        return await self._show(office, who, Talk(secrets.token_hex(SESSION_BYTES), jid, named, FIRST[named]))

    async def _continue(self, office: Office, who: Speaker, jid: str, asked: CommandAsked) -> Element:
        talk = self.talks.take(asked.session, jid, asked.command, now=self.clock())
        try:
            return await self._move(office, who, talk, asked)
        except (CommandRefused, Unavailable):
            self.talks.keep(talk, now=self.clock())
            raise

    async def _move(self, office: Office, who: Speaker, talk: Talk, asked: CommandAsked) -> Element:
        action, stage = after(talk.stage, asked.action)
        if stage is Stage.CANCELLED:
            return write_stage(talk.command, talk.id, stage)
        if action is not Action.PREV:
            talk.inputs |= _read(talk.stage, asked)
        if stage is Stage.DONE:
            return write_stage(talk.command, talk.id, stage, await self._done(office, who, talk))
        try:
            screen = await self._screen(office, who, stage, talk)
        except Unavailable:
            raise
        except ClearinghouseError as error:
            return await self._show(office, who, talk, error)
        return self._keep(talk, stage, screen)

    async def _show(self, office: Office, who: Speaker, talk: Talk, error: ClearinghouseError | None = None) -> Element:
        """Show the stage at which *talk* is, with the *error* that kept it there."""
        try:
            screen = await self._screen(office, who, talk.stage, talk)
        except Unavailable:
            raise
        except ClearinghouseError as refused:
            return write_stage(talk.command, talk.id, Stage.DONE, Screen("", notes=(screens.problem(refused),)))
        if error is not None:
            screen = Screen(screen.title, screen.instructions, screen.fields, (screens.problem(error), *screen.notes))
        return self._keep(talk, talk.stage, screen)

    async def _screen(self, office: Office, who: Speaker, stage: Stage, talk: Talk) -> Screen:
        if stage in MEMBER_SHOW:
            return await MEMBER_SHOW[stage](self._members(), who, talk.inputs)
        return await SHOW[stage](office, who, talk.inputs)

    async def _done(self, office: Office, who: Speaker, talk: Talk) -> Screen:
        try:
            if talk.stage in MEMBER_ACT:
                return await MEMBER_ACT[talk.stage](self._members(), who, talk.inputs)
            return await ACT[talk.stage](office, who, talk.inputs)
        except Unavailable:
            raise
        except ClearinghouseError as error:
            return Screen("", notes=(screens.problem(error),))

    def _members(self) -> Registry:
        if self.registry is None:
            raise NoSuchThing("there is no federation here", mend="ask the clearinghouse that publishes your levels")
        return self.registry

    def _keep(self, talk: Talk, stage: Stage, screen: Screen) -> Element:
        if not screen.fields:
            return write_stage(talk.command, talk.id, Stage.DONE, screen)
        talk.stage = stage
        talk.inputs |= {each.name: each.values[0] for each in screen.fields if each.kind is Kind.HIDDEN}
        self.talks.keep(talk, now=self.clock())
        return write_stage(talk.command, talk.id, stage, screen)


def _read(stage: Stage, asked: CommandAsked) -> dict[str, str]:
    try:
        return {**TAKE, **MEMBER_TAKE}[stage](asked)
    except (MalformedRequest, TooLarge) as error:
        raise bad_payload(error) from None
