"""The sessions of ad-hoc commands (XEP-0050, section 3.3): each belongs to one full JID, and ends by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from clearinghouse.errors import Unavailable
from clearinghouse.grid.commands import Command, SessionExpired, Stage, no_session

MAX_TALKS: Final = 256
"""Sessions that are open together; with the largest credential pasted into each that is 4 MB."""

MAX_TALKS_EACH: Final = 16
"""Sessions of one bare JID; a person with three clients uses three.  The oldest makes room for the next."""

TALK_SECONDS: Final = 600.0
"""How long a session waits for its next step: the time to read a request, and to ask somebody about it."""


class TooManyTalks(Unavailable):
    """More people are in the middle of something than there is room for."""

    code: ClassVar[str] = "too-many-sessions"


@dataclass(slots=True)
class Talk:
    """One session: where it is, and what was filled in or shown so far.  ``until`` is in seconds of a steady clock."""

    id: str
    jid: str
    command: Command
    stage: Stage
    inputs: dict[str, str] = field(default_factory=dict)
    until: float = 0.0

    @property
    def bare(self) -> str:
        """The bare JID of its owner."""
        return self.jid.partition("/")[0]


@dataclass(slots=True)
class Talks:
    """All open sessions, in the order in which they will end."""

    _open: dict[str, Talk] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._open)

    def keep(self, talk: Talk, *, now: float) -> None:
        """Let *talk* wait for its next step; raises `TooManyTalks`."""
        self._forget_old(now)
        mine = [each.id for each in self._open.values() if each.bare == talk.bare]
        if len(mine) >= MAX_TALKS_EACH:
            del self._open[mine[0]]
        if len(self._open) >= MAX_TALKS:
            raise TooManyTalks("too many commands are open", mend="try again in some minutes")
        talk.until = now + TALK_SECONDS
        self._open[talk.id] = talk

    def take(self, identity: str, jid: str, command: str, *, now: float) -> Talk:
        """Take a session out, so that nobody else takes the same step; raises `CommandRefused` unless it is *jid*'s."""
        talk = self._open.get(identity)
        if talk is None or talk.jid != jid or talk.command != command:
            raise no_session()
        del self._open[identity]
        if talk.until <= now:
            raise SessionExpired("session-expired", "the session has ended by itself", mend="start the command again")
        return talk

    def _forget_old(self, now: float) -> None:
        for identity in [each.id for each in self._open.values() if each.until <= now]:
            del self._open[identity]
