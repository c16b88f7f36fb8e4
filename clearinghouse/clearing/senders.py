"""How much work each sender may cause, so that a hundred hostile ones leave time for the honest (rule R21)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from clearinghouse.errors import BudgetExhausted, Unavailable

MAX_REMEMBERED = 10_000
"""Accounts remembered, about 200 bytes each; the longest silent is forgotten first."""


class RateLimited(Unavailable):
    """A sender, or all of its domain, asks more often than the settings allow: its request waits, and is no denial."""

    code: ClassVar[str] = "rate-limited"
    stanza_condition: ClassVar[str] = "policy-violation"


@dataclass(frozen=True, slots=True)
class Rate:
    """Steps (a step is about 2 us of work) or questions: *burst* at once, and *per_second* more each second."""

    burst: int
    per_second: float


EACH = Rate(50_000, 2_000)
"""One sender: 100 ms at once, as long as there is time for everybody; then 0.4 % of a processor."""
TOGETHER = Rate(100_000, 100_000)
"""All senders together, before each is held to its share: 200 ms at once, then a fifth of a processor."""
SHARE = 3_000
"""What each sender has when there is not time for everybody: 6 ms, a chain of ten credentials never seen before."""
EXPLAINED = Rate(40_000, 10_000)
"""Saying what refused requests lack, for all senders: 80 ms at once, then 2 % of a processor."""


class Account:
    """Steps that are used up by work, or questions by asking, and come back with time."""

    __slots__ = ("_left", "_rate", "_since")

    def __init__(self, rate: Rate, now: datetime) -> None:
        """Start full."""
        self._rate = rate
        self._left = float(rate.burst)
        self._since = now

    def left(self, now: datetime) -> int:
        """Return the steps that are left, below zero where more was used."""
        return int(self._exactly(now) + _ROUNDING)

    def charge(self, steps: int, now: datetime) -> None:
        """Take away what work has cost."""
        self._left = self._exactly(now) - steps
        self._since = max(self._since, now)

    def _exactly(self, now: datetime) -> float:
        passed = max(0.0, (now - self._since).total_seconds())
        return min(float(self._rate.burst), self._left + passed * self._rate.per_second)


_ROUNDING = 1e-9
"""Steps: sums of fractions must not take the last one of a full account."""


class Accounts:
    """An account for each name; who is not remembered, or not yet known, has a full one."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        """Know nobody."""
        self._known: OrderedDict[str, Account] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        """Name those who are remembered, the longest silent first."""
        return iter(self._known)

    def left(self, name: str, rate: Rate, now: datetime) -> int:
        """Return what *name* has left, to whom *rate* applies."""
        account = self._known.get(name)
        return rate.burst if account is None else account.left(now)

    def charge(self, name: str, rate: Rate, steps: int, now: datetime) -> None:
        """Take away what *name* has cost, to whom *rate* applies."""
        account = self._known.get(name)
        if account is None:
            account = self._known[name] = Account(rate, now)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(name)
        account.charge(steps, now)


class SenderBudgets:
    """An account for each sender, one for all of them, and one for explanations.

    While the common account has steps, a sender may use all of its own.  Then only those may go on
    that have not used their share lately: a hundred hostile senders cost an honest one at most
    ``TOGETHER.burst + 100 * SHARE + EXPLAINED.burst`` steps of waiting, which are 0.9 s.
    """

    def __init__(self, *, each: Rate = EACH, together: Rate = TOGETHER, share: int = SHARE) -> None:
        """Start with everybody's account full."""
        self._each = each
        self._rate = together
        self._share = share
        self._together: Account | None = None
        self._explained: Account | None = None
        self._accounts = Accounts()

    def allowance(self, sender: str, now: datetime) -> int:
        """Return the steps that *sender* may still cause; raises BudgetExhausted for none."""
        left = self._accounts.left(sender, self._each, now)
        if self._together is not None and self._together.left(now) <= 0:
            left -= self._each.burst - self._share
        if left <= 0:
            raise BudgetExhausted("this sender has caused too much work", mend="it may try again in some seconds")
        return left

    def charge(self, sender: str, steps: int, now: datetime) -> None:
        """Take what a request has cost from its sender's account, and from everybody's."""
        self._together = self._together or Account(self._rate, now)
        self._together.charge(steps, now)
        self._accounts.charge(sender, self._each, steps, now)

    def explains(self, steps: int, now: datetime) -> bool:
        """Say whether there is time for *steps* of explanation, and take them if so."""
        self._explained = self._explained or Account(EXPLAINED, now)
        if self._explained.left(now) <= 0:
            return False
        self._explained.charge(steps, now)
        return True
