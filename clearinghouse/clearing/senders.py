"""How much work each sender may cause, so that a hundred hostile ones leave time for the honest (rule R21)."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from clearinghouse.errors import BudgetExhausted

_SENDERS = 10_000
"""Senders remembered, about 200 bytes each; the longest silent is forgotten first."""


class SenderBudgets:
    """A refilling account of steps for each sender; a step is about 2 us of work.

    With the defaults a sender may cause 100 ms of work at once and 20 ms a second after that, so
    a hundred hostile senders that stay within their accounts still leave every answer under a second.
    """

    def __init__(self, *, burst: int = 50_000, per_second: int = 10_000) -> None:
        """Allow *burst* steps at once, and *per_second* steps a second."""
        self._burst = burst
        self._per_second = per_second
        self._accounts: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def allowance(self, sender: str, now: datetime) -> int:
        """Return the steps that *sender* may still cause; raises BudgetExhausted for none."""
        left = int(self._left(sender, now))
        if left <= 0:
            raise BudgetExhausted("this sender has caused too much work", mend="it may try again in some seconds")
        return left

    def charge(self, sender: str, steps: int, now: datetime) -> None:
        """Take what a request has cost from its sender's account."""
        self._accounts[sender] = (self._left(sender, now) - steps, now)
        self._accounts.move_to_end(sender)
        if len(self._accounts) > _SENDERS:
            self._accounts.popitem(last=False)

    def _left(self, sender: str, now: datetime) -> float:
        left, since = self._accounts.get(sender, (float(self._burst), now))
        return min(float(self._burst), left + max(0.0, (now - since).total_seconds()) * self._per_second)
