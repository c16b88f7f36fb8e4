"""When another server's agent is asked, and when it is not (pure): the paper's future work, with its brakes.

A stanza of one of our users was refused, and our server's module holds it.  Whether that becomes a request is decided
here: only members are asked, one request for each pair of domains at a time, nobody who has just said no, within
budgets, and never about what the asking itself sends.  What comes out are steps; who carries them out is `Asker`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from clearinghouse.clearing.senders import Account, Accounts, Rate
from clearinghouse.clearing.vocabulary import EVERYTHING, Kind, domain_of, is_canonical
from clearinghouse.federation.enforced.packet_rules import KINDS
from clearinghouse.grid.texts import plain

GRANTED_PAUSE: Final = timedelta(seconds=10)
"""After a grant, until the same is asked again because it is refused nonetheless: it was withdrawn.  Doubled each time."""
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
"""After a refusal, until the same is asked again: doubled from the first to the longest."""
PENDING_PAUSE: Final = timedelta(minutes=5)
"""After an answer that a person decides, or none: people need minutes."""
SETTLING: Final = (0.5, 2.0, 5.0)
"""Seconds after which a stanza is sent again that was refused although it is granted: the other server learns of it by then."""
MAX_REMEMBERED: Final = 10_000
"""Answers that are remembered, some 500 bytes each; the oldest is forgotten first."""
MAX_WAITING: Final = 64
"""Questions that wait for one pair's turn; the module holds 32 stanzas for a pair."""
MAX_PAIRS: Final = 1_000
"""Pairs of domains with a question in hand; the module holds 1,000 stanzas in all."""
MAX_SAID_CHARACTERS: Final = 300
"""Characters of the first refusal that our user reads where it is not asked about: another server may have written it."""


EACH_USER: Final = Rate(burst=20, per_second=1 / 60)
"""A person meets twenty new domains in a day at most, a script any number."""
IN_ALL: Final = Rate(burst=200, per_second=1)
"""A site of 10,000 people, each of whom writes to somebody new twice a day."""


class Pair(NamedTuple):
    """A domain of ours, and another one."""

    local: str
    remote: str


@dataclass(frozen=True, slots=True)
class Matter:
    """What was refused: stanzas of *kind* by our *user* to the bare JID *to*, *by* our own image or by the peer.

    ``text`` is why, in the words that the user would have read if nothing were held.
    """

    pair: Pair
    user: str
    to: str
    kind: str
    by: Literal["self", "peer"]
    text: str = field(default="", compare=False)

    def why(self, besides: str) -> str:
        """Return what the user reads where nobody's answer replaces the reason: that reason, and what kept us from more."""
        return f"{self.text}; {besides}" if self.text else besides

    @property
    def same(self) -> tuple[Pair, str, str, str, str]:
        """Return what an answer is remembered by: for our own image whom it is to, for the peer who it is from."""
        return self.pair, self.user, self.to if self.by == "self" else "", self.kind, self.by


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the one who refused it."""

    matter: Matter


@dataclass(frozen=True, slots=True)
class Release:
    """Let the module send what it holds, after so many seconds."""

    held: str
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Let the module tell the user."""

    held: str
    reason: str


Step: TypeAlias = Ask | Release | Refuse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking: *granted* until then, or why not; *soon* says that it may be asked again in minutes."""

    granted: datetime | None = None
    reason: str = ""
    soon: bool = False


@dataclass(slots=True)
class _Known:
    """The last outcome of one matter; ``again`` is when it may be asked anew, ``tries`` how often it was sent again until then."""

    outcome: Outcome
    again: datetime
    pause: timedelta = FIRST_PAUSE
    tries: int = 0


@dataclass(slots=True)
class Budgets:
    """Questions that each user, and all of them, may still cause."""

    each: Rate = EACH_USER
    together: Rate = IN_ALL
    _users: Accounts = field(default_factory=Accounts)
    _all: Account | None = None

    def take(self, user: str, now: datetime) -> bool:
        """Take one question of *user*; whether there was one."""
        self._all = self._all or Account(self.together, now)
        if self._users.left(user, self.each, now) < 1 or self._all.left(now) < 1:
            return False
        self._users.charge(user, self.each, 1, now)
        self._all.charge(1, now)
        return True


def matter_in(event: Mapping[str, Any]) -> tuple[Matter, str] | None:
    """Return what an event of the module is about, and the name of what it holds; ``None`` for one that is not right."""
    names = ("held", "local", "remote", "user", "to", "kind", "by")
    if not all(isinstance(event.get(name), str) for name in names):
        return None
    held, local, remote, user, to, kind, by = (event[name] for name in names)
    right = domain_of(user) == local and "@" in user and domain_of(to) == remote and kind in KINDS and kind != EVERYTHING
    if not right or not is_canonical(Kind.DOMAIN, remote) or by not in {"self", "peer"}:
        return None
    text = event.get("text")
    said = plain(text, MAX_SAID_CHARACTERS) if isinstance(text, str) else ""
    return Matter(Pair(local, remote), user, to, kind, by, said), held


@dataclass(slots=True)
class Asking:
    """Decides what is asked.

    ``own`` are our agent's addresses, of whose stanzas nothing is asked.  ``askable`` says whether a domain is a member
    whose agent has an address on record, and is none of the addresses at which agents are asked.
    """

    own: frozenset[str]
    askable: Callable[[str], bool]
    budgets: Budgets = field(default_factory=Budgets)
    _in_hand: dict[Pair, Matter] = field(default_factory=dict)
    _waiting: dict[Pair, deque[tuple[Matter, str]]] = field(default_factory=dict)
    _known: OrderedDict[object, _Known] = field(default_factory=OrderedDict)

    @property
    def in_hand(self) -> int:
        """How many questions are under way."""
        return len(self._in_hand)

    def hear(self, matter: Matter, held: str, now: datetime) -> tuple[Step, ...]:
        """Return what follows from a stanza that is *held*."""
        pair = matter.pair
        if matter.user in self.own or domain_of(matter.user) in self.own or pair.local in self.own or matter.to in self.own:
            return (Refuse(held, matter.text or f"{pair.remote} does not take this"),)
        if not self.askable(pair.remote):
            return (Refuse(held, matter.text or f"{pair.remote} is no member that can be asked"),)
        if (step := self._remembered(matter, held, now)) is not None:
            return (step,)
        if pair in self._in_hand:
            return self._queued(matter, held)
        return tuple(self._begun(matter, [held], now))

    def answered(self, matter: Matter, outcome: Outcome, now: datetime) -> tuple[Step, ...]:
        """Return what follows from the *outcome* of a question that was put, and the next one for the same pair."""
        self._remember(matter, outcome, now)
        self._in_hand.pop(matter.pair, None)
        steps: list[Step] = []
        waiting = self._waiting.pop(matter.pair, deque())
        for other, held in waiting:
            if other.same == matter.same:
                steps.append(_step_of(outcome, held))
            else:
                steps += self.hear(other, held, now)
        return tuple(steps)

    # -- inside

    def _begun(self, matter: Matter, held: Iterable[str], now: datetime) -> Iterator[Step]:
        if len(self._in_hand) >= MAX_PAIRS or not self.budgets.take(matter.user, now):
            yield from (Refuse(each, matter.why("too much was asked from here, try again later")) for each in held)
            return
        self._in_hand[matter.pair] = matter
        self._waiting[matter.pair] = deque((matter, each) for each in held)
        yield Ask(matter)

    def _queued(self, matter: Matter, held: str) -> tuple[Step, ...]:
        waiting = self._waiting[matter.pair]
        if len(waiting) >= MAX_WAITING:
            return (Refuse(held, f"{matter.pair.remote} is being asked already"),)
        waiting.append((matter, held))
        return ()

    def _remembered(self, matter: Matter, held: str, now: datetime) -> Step | None:
        """Return what an earlier answer says: granted, so it is sent again; or refused lately, so nobody is asked."""
        known = self._known.get(matter.same)
        if known is None or now >= known.again:
            return None
        if known.outcome.granted is None:
            return Refuse(held, known.outcome.reason)
        if now >= known.outcome.granted:
            return None
        if known.tries >= len(SETTLING):
            return Refuse(held, f"{matter.pair.remote} has granted this and refuses it nonetheless")
        known.tries += 1
        return Release(held, SETTLING[known.tries - 1])

    def _remember(self, matter: Matter, outcome: Outcome, now: datetime) -> None:
        pause = _pause(self._known.pop(matter.same, None), outcome, now)
        self._known[matter.same] = _Known(outcome, now + (PENDING_PAUSE if outcome.soon else pause), pause)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)


def _pause(before: _Known | None, outcome: Outcome, now: datetime) -> timedelta:
    """Return how long the same is not asked: longer each time that the answer did not help."""
    first = FIRST_PAUSE if outcome.granted is None else GRANTED_PAUSE
    if before is None or (before.outcome.granted is None) != (outcome.granted is None):
        return first
    ended = before.outcome.granted is not None and now >= before.outcome.granted
    return first if ended else min(2 * before.pause, LONGEST_PAUSE)


def _step_of(outcome: Outcome, held: str) -> Step:
    return Release(held) if outcome.granted is not None else Refuse(held, outcome.reason)
