"""Asks by itself: what our server's module holds becomes a request, and its answer lets the stanza go or tells the user why not.

The user sees a delay, not an error.  What is asked, and whether at all, `asking` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from clearinghouse.agent.asking.composing import Composer
from clearinghouse.agent.asking.post import AgentUnreachable, Way, asked
from clearinghouse.agent.asking.when import Ask, Asking, Matter, Outcome, Refuse, Release, Step, matter_in
from clearinghouse.agent.granting.answers import Answer
from clearinghouse.agent.granting.requests import Requests
from clearinghouse.clearing import decision
from clearinghouse.errors import BrokerUnavailable, ClearinghouseError, PeerError
from clearinghouse.federation.published.members import Member
from clearinghouse.grid.texts import plain

log = structlog.get_logger(__name__)

ASKING_SECONDS: Final = 26.0
"""How long one question may take: a module holds a stanza for 30 s."""
MAX_REASON_CHARACTERS: Final = 150
"""Characters of another agent's reason that our user reads, before the decision's id."""
TOGETHER: Final = 16
"""Questions under way together."""


@dataclass(slots=True)
class Asker:
    """Carries out what `Asking` decides.

    ``composer`` writes requests with the credentials that there are now; ``member`` gives a member's record; ``ways`` how
    its agent is reached; ``desk`` answers for our own server, where our own image refused.  ``release`` and ``refuse``
    tell the module, by the name of what it holds.
    ``us`` is the domain whose record has our own address.
    """

    asking: Asking
    composer: Callable[[], Composer]
    member: Callable[[str], Member | None]
    ways: Callable[[Member], Sequence[Way]]
    desk: Requests | None
    release: Callable[[str, str], Awaitable[None]]
    refuse: Callable[[str, str, str], Awaitable[None]]
    now: Callable[[], datetime]
    us: str
    sent: int = 0
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take an event ``refused`` of the module; returns at once, and raises nothing for what it contains."""
        found = matter_in(event)
        if found is None:
            log.warning("event_not_understood", event_kind=str(event.get("event"))[:40])
            return
        matter, held = found
        self._follow(matter, self.asking.hear(matter, held, self.now()))

    async def close(self) -> None:
        """End what is under way; what is held then, the module gives back after its own time."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _follow(self, matter: Matter, steps: Iterable[Step]) -> None:
        for step in steps:
            task = asyncio.ensure_future(self._ask(step.matter) if isinstance(step, Ask) else self._tell(matter, step))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, matter: Matter) -> None:
        try:
            async with self._turns, asyncio.timeout(ASKING_SECONDS):
                outcome = outcome_of(await self._answered(matter), matter)
        except TimeoutError:
            outcome = Outcome(reason=matter.why(f"{matter.pair.remote} does not answer"), soon=True)
        except AgentUnreachable as error:
            log.warning("agent_unreachable", domain=matter.pair.remote, reason=error.message)
            outcome = Outcome(reason=matter.why(f"the agent of {matter.pair.remote} does not answer"), soon=True)
        except ClearinghouseError as error:
            log.warning("request_not_answered", domain=matter.pair.remote, reason=error.message, mend=error.mend)
            outcome = Outcome(reason=matter.why(f"{matter.pair.remote} cannot be asked"), soon=True)
        except Exception:
            log.exception("asking_failed", domain=matter.pair.remote)
            outcome = Outcome(reason=matter.why(f"{matter.pair.remote} cannot be asked"), soon=True)
        log.info("asked", domain=matter.pair.remote, user=matter.user, packet=matter.kind, granted=outcome.granted is not None)
        self._follow(matter, self.asking.answered(matter, outcome, self.now()))

    async def _answered(self, matter: Matter) -> Answer:
        remote = self.member(matter.pair.remote)
        if remote is None:  # removed since it was heard
            raise AgentUnreachable("it is no member any more", mend="nothing")
        self.sent += 1
        composer = await asyncio.to_thread(self.composer)
        if matter.by == "peer":
            return await self._of_peer(composer, matter, remote)
        ours = await self._of_ourselves(composer, matter, remote)
        if ours.granted:
            # What is let go is not held a second time, so the other side is asked before; its server has the last word.
            with suppress(AgentUnreachable):
                theirs = await self._of_peer(composer, matter, remote)
                log.info("asked_beforehand", domain=remote.domain, outcome=theirs.outcome)
        return ours

    async def _of_peer(self, composer: Composer, matter: Matter, remote: Member) -> Answer:
        letter = await asyncio.to_thread(composer.to_peer, matter, remote, self.member(self.us), self.now())
        return await asked(self.ways(remote), lambda: composer.sealed(letter, self.now()))

    async def _of_ourselves(self, composer: Composer, matter: Matter, remote: Member) -> Answer:
        if self.desk is None:
            return Answer("", "refused", "deny", "refused", reason="our own policy does not grant this")
        letter = composer.to_ourselves(matter, remote)
        try:
            return await self.desk.answer(composer.sealed(letter, self.now()), via=f"own:{self.us}")
        except PeerError as error:
            return Answer("", "refused", "deny", error.code, reason=error.message)

    async def _tell(self, matter: Matter, step: Release | Refuse) -> None:
        with suppress(BrokerUnavailable, PeerError):  # it was given back already, or the server is away and gives it back itself
            match step:
                case Release(held, after):
                    await asyncio.sleep(after)
                    await self.release(matter.pair.local, held)
                case Refuse(held, reason):
                    await self.refuse(matter.pair.local, held, reason)


def outcome_of(answer: Answer, matter: Matter) -> Outcome:
    """Return what an answer means for whoever waits: why it was refused at first, the answer, and its decision's id to ask people about."""
    identity = f" (decision {answer.id})" if answer.id else ""
    if answer.granted and answer.until is not None:
        return Outcome(granted=answer.until)
    soon = answer.outcome in {decision.Outcome.PENDING, decision.Outcome.UNANSWERED}
    said = plain(answer.reason, MAX_REASON_CHARACTERS) or "it was refused"
    return Outcome(reason=matter.why(f"{said}{identity}"), soon=soon)
