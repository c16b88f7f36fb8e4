"""The relay: signed requests for agents that have no direct way, held for minutes, and the answers on their way back.

What is relayed is neither opened nor judged here: the target's agent decides (design, section 2).  It is held in
memory alone: an envelope lives for five minutes at most (rule R18), and whoever signed it signs another one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import ClassVar, Final

from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.errors import TooLarge, Unavailable
from clearinghouse.runtime.chance import Chance

MAX_HELD: Final = 1_000
"""Requests that are held together: with the largest envelope each they take 256 MB, with usual ones 4 MB."""

MAX_HELD_EACH: Final = 32
"""Requests for one target, and at the expense of one member or address; an agent asks one at a time for each pair."""

MAX_HELD_OF_ONE: Final = 8
"""Requests of one member or address for one target: nobody keeps a target from hearing of others."""

STRANGERS_SHARE: Final = 2
"""Whoever is no member has at most one place in so many, of all and of one target's."""

MAX_TAKEN: Final = 16
"""Requests that a target gets at once; the others a moment later."""

MAX_ANSWER_BYTES: Final = 262_144
"""Bytes of an answer: as many as a request may have."""


class RelayFull(Unavailable):
    """Too many requests wait for answers already, in all or for this target or asker."""

    code: ClassVar[str] = "relay-full"


@dataclass(slots=True)
class _Held:
    """``account`` pays for the place; ``signers`` may have the answer.  What is for no member has no envelope: nobody asks for it."""

    target: str
    account: str
    signers: frozenset[str]
    envelope: bytes = field(repr=False)
    until: datetime
    answer: asyncio.Future[bytes]
    stranger: bool


@dataclass(slots=True)
class Relay:
    """Holds requests by id until they are answered, or have expired."""

    chance: Chance
    _held: dict[str, _Held] = field(default_factory=dict)
    _news: dict[str, asyncio.Event] = field(default_factory=dict)

    def hold(self, target: str, account: str, signers: frozenset[str], envelope: bytes, until: datetime, *, stranger: bool = False) -> str:
        """Hold *envelope* for *target*'s agent at the expense of *account*, and return the id under which its answer will be.

        A *stranger* is no member.  Raises `RelayFull`.
        """
        self._forget()
        if self._is_full(target, account) or (stranger and self._is_full_of_strangers(target)):
            raise RelayFull("too many requests wait already", mend="try again in some minutes")
        identity = self.chance.new_id()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._held[identity] = _Held(target, account, signers, envelope, until, answer, stranger)
        waiting = self._news.pop(target, None)
        if waiting is not None:
            waiting.set()
        return identity

    async def waiting(self, target: str, seconds: float) -> Mapping[str, bytes]:
        """Return what waits for *target*, by id, oldest first, once there is anything or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := self._for(target)):
                    await self._news.setdefault(target, asyncio.Event()).wait()
        except TimeoutError:
            return {}
        return found

    def answered(self, target: str, identity: str, answer: bytes) -> None:
        """Take the answer of *target*; the first one counts.  Raises `NoSuchThing`, `TooLarge`."""
        held = self._held.get(identity)
        if held is None or held.target != target:
            raise NoSuchThing("no such request waits", mend="answer within the life of its envelope")
        if len(answer) > MAX_ANSWER_BYTES:
            raise TooLarge(f"the answer has {len(answer)} bytes", mend=f"at most {MAX_ANSWER_BYTES} are passed on")
        if not held.answer.done():
            held.answer.set_result(answer)

    async def answer(self, signers: frozenset[str], identity: str, seconds: float) -> bytes | None:
        """Return the answer to what one of *signers* has signed; ``None`` while there is none.  Raises `NoSuchThing`."""
        held = self._held.get(identity)
        if held is None or held.signers.isdisjoint(signers):
            raise NoSuchThing("no such request waits", mend="hand it in again")
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(held.answer)
        except TimeoutError:
            return None

    def _is_full(self, target: str, account: str) -> bool:
        of_target = [each.account for each in self._held.values() if each.target == target]
        accounts = Counter(each.account for each in self._held.values())
        most = len(self._held) >= MAX_HELD or len(of_target) >= MAX_HELD_EACH or accounts[account] >= MAX_HELD_EACH
        return most or of_target.count(account) >= MAX_HELD_OF_ONE

    def _is_full_of_strangers(self, target: str) -> bool:
        theirs = [each.target for each in self._held.values() if each.stranger]
        return len(theirs) >= MAX_HELD // STRANGERS_SHARE or theirs.count(target) >= MAX_HELD_EACH // STRANGERS_SHARE

    def _for(self, target: str) -> dict[str, bytes]:
        self._forget()
        waiting = (
            (name, each.envelope) for name, each in self._held.items() if each.target == target and each.envelope and not each.answer.done()
        )
        return dict(islice(waiting, MAX_TAKEN))

    def _forget(self) -> None:
        now = self.chance.now()
        self._held = {name: each for name, each in self._held.items() if each.until > now}
