"""What the command line can ask a running agent at its socket: a table of questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from clearinghouse.agent.applying.overrides import Overrides
from clearinghouse.agent.following import Follower
from clearinghouse.agent.granting.petitions import Petitions
from clearinghouse.agent.status import Status
from clearinghouse.clearing.people import Speaker
from clearinghouse.doors.control.asking import Answer, Words, read_question, refused
from clearinghouse.errors import ClearinghouseError, InternalError, MalformedRequest
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding

log = structlog.get_logger(__name__)

JOINED: Final = ("endpoints", "agent", "component", "contacts", "pins", "note")
"""What a member may say of its own record; the domain is that of the agent."""

Join = Callable[[Words], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Counter:
    """Who stands behind the agent's socket."""

    status: Status
    overrides: Overrides
    follower: Follower
    petitions: Petitions
    join: Join

    async def answered(self, who: Speaker, line: bytes) -> Answer:
        """Return the answer to one line, whatever it is; a mistake of ours is *no answer*, and in our log."""
        try:
            question, words = _question(line)
            return {"ok": True, **await question(self, who, words)}
        except ClearinghouseError as error:
            return refused(error)
        except Exception as error:
            log.exception("control_failed")
            return refused(InternalError(f"the agent failed ({type(error).__name__})", mend="its log has the trace; report it"))

    async def ask_status(self, _: Speaker, __: Words) -> Answer:
        """Return how the agent is."""
        return {"status": self.status.as_json()}

    async def ask_follow(self, _: Speaker, __: Words) -> Answer:
        """Begin a round at once."""
        self.follower.wake.set()
        return {}

    async def ask_join(self, _: Speaker, words: Words) -> Answer:
        """Ask for a change of our own record, signed as the member."""
        return {"state": await self.join(words)}

    async def ask_overrides(self, _: Speaker, __: Words) -> Answer:
        """List overrides, those that have ended too."""
        return {"overrides": self.overrides.listed()}

    async def ask_deny(self, who: Speaker, words: Words) -> Answer:
        """Shut a domain out."""
        made = self.overrides.deny(words.get("domain", ""), _period(words), words.get("reason", ""), who.person)
        return {"override": made.as_json()}

    async def ask_allow(self, _: Speaker, words: Words) -> Answer:
        """Let in what was signed."""
        try:
            envelope = encoding.decode(words.get("envelope", ""), Encoding.BASE64)
        except ValueError:
            raise MalformedRequest("the envelope is not base64 in its one spelling", mend="use `clearinghouse agent override`") from None
        return {"override": self.overrides.allow(envelope).as_json()}

    async def ask_withdraw(self, who: Speaker, words: Words) -> Answer:
        """End an override before its time."""
        return {"override": self.overrides.withdraw(words.get("id", ""), who.person).as_json()}

    async def ask_grants(self, _: Speaker, words: Words) -> Answer:
        """Return the grants that hold."""
        return {"grants": await self.petitions.grants(ended=words.get("ended") == "yes")}

    async def ask_end_grant(self, who: Speaker, words: Words) -> Answer:
        """End a grant."""
        return {"grant": await self.petitions.end(who, words.get("id", ""), words.get("reason", ""))}

    async def ask_pending(self, _: Speaker, __: Words) -> Answer:
        """Return the requests that wait for a person."""
        return {"cases": self.petitions.pending()}

    async def ask_approve(self, who: Speaker, words: Words) -> Answer:
        """Count an approval."""
        period = _period(words) if words.get("seconds") else None
        return {"case": await self.petitions.approve(who, words.get("case", ""), words.get("shown", ""), period)}

    async def ask_deny_case(self, who: Speaker, words: Words) -> Answer:
        """End a request that waits."""
        return {"case": await self.petitions.deny(who, words.get("case", ""), words.get("reason", ""))}


Question = Callable[[Counter, Speaker, Words], Awaitable[Answer]]

QUESTIONS: Final[Mapping[str, tuple[tuple[str, ...], Question]]] = {
    "status": ((), Counter.ask_status),
    "follow": ((), Counter.ask_follow),
    "join": (JOINED, Counter.ask_join),
    "overrides": ((), Counter.ask_overrides),
    "deny": (("domain", "seconds", "reason"), Counter.ask_deny),
    "allow": (("envelope",), Counter.ask_allow),
    "withdraw": (("id",), Counter.ask_withdraw),
    "grants": (("ended",), Counter.ask_grants),
    "end-grant": (("id", "reason"), Counter.ask_end_grant),
    "pending": ((), Counter.ask_pending),
    "approve": (("case", "shown", "seconds"), Counter.ask_approve),
    "deny-case": (("case", "reason"), Counter.ask_deny_case),
}
"""Every question that there is, and which words go with it."""


def _question(line: bytes) -> tuple[Question, Words]:
    do, words = read_question(line)
    if do not in QUESTIONS:
        raise MalformedRequest("an agent is not asked this", mend=f"ask one of {', '.join(QUESTIONS)}")
    members, question = QUESTIONS[do]
    if unknown := [name for name in words if name not in members]:
        raise MalformedRequest(f"`{unknown[0][:64]}` says nothing to {do}", mend=f"say {', '.join(members) or 'nothing'}")
    return question, words


def _period(words: Words) -> timedelta:
    text = words.get("seconds", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 - no period has so many digits
        raise MalformedRequest("it does not say for how many seconds", mend="use `clearinghouse agent override`")
    return timedelta(seconds=int(text))
