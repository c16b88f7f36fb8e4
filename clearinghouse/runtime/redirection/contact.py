"""How long ago it was certain that nothing newer than what we believe stands in the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import Unavailable
from clearinghouse.runtime.chance import Chance


class StoreCutOff(Unavailable):
    """A node has not seen its store for longer than it may: what it believes may have been revoked, so it answers nothing."""

    code: ClassVar[str] = "store-cut-off"


@dataclass(slots=True)
class Contact:
    """When a look at the store last told everything; nobody goes on for more than ``outage`` after it.

    A write that succeeds is no contact: it tells nothing of what has changed.
    """

    outage: timedelta
    chance: Chance
    at: datetime = field(init=False)
    _elapsed: float = field(init=False)

    def __post_init__(self) -> None:
        self.at, self._elapsed = self.moment()

    def moment(self) -> tuple[datetime, float]:
        """Return the time of now, in both ways that it is told."""
        return self.chance.now(), self.chance.elapsed()

    def made(self, began: tuple[datetime, float]) -> None:
        """Note a look that *began* then and told everything."""
        self.at, self._elapsed = began

    @property
    def age(self) -> timedelta:
        """How long ago the last one began, by the clock that says more: one stands still while the machine sleeps, one can be put back."""
        now, elapsed = self.moment()
        return max(now - self.at, timedelta(seconds=elapsed - self._elapsed))

    @property
    def until(self) -> datetime:
        """When we stop answering without another."""
        return self.at + self.outage

    @property
    def over(self) -> bool:
        """Whether it was too long ago."""
        return self.age > self.outage

    def check(self) -> None:
        """Raise `StoreCutOff` where it was too long ago."""
        if self.over:
            mend = "ask at another door of the community; here, bring the store back"
            raise StoreCutOff(f"this door has not seen its store since {stamp(self.at)}", mend=mend)
