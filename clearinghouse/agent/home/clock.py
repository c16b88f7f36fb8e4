"""Which time it is, and whether that can be true: the highest time that was ever seen is kept (rule R17)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from clearinghouse.agent.home.keeping import StateDirectory, StateUnavailable
from clearinghouse.clearing.clear import ClockBehind
from clearinghouse.clearing.wire import read_stamp, stamp
from clearinghouse.federation.trust.trusted import CLOCK_STEP

log = structlog.get_logger(__name__)

KEEP_EVERY: Final = timedelta(seconds=10)
"""How often the highest time is written down: so much a clock may be put back unnoticed, if we were killed."""

WORTH_TELLING: Final = timedelta(seconds=5)
"""Between our clock and a source's; with time synchronisation they differ by less than a second."""

MAX_AHEAD: Final = timedelta(minutes=5)
"""What our clock may be ahead of a source's and still be kept as seen: more is a mistake, which is not to outlast its mend."""

FILE: Final = "clock.json"

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Clock:
    """The clock *now*, with its past.

    ``ahead`` is how far it was ahead of the source's at the last answer, ``None`` where no source tells.
    """

    now: Callable[[], datetime]
    state: StateDirectory
    highest: datetime = _NEVER
    ahead: timedelta | None = None
    _written: datetime = _NEVER
    _told: bool = False

    @classmethod
    def restored(cls, now: Callable[[], datetime], state: StateDirectory) -> Clock:
        """Return the clock with what *state* has of its past."""
        clock = cls(now, state)
        found = state.read_json(FILE) or {}
        with suppress(ValueError):
            clock.highest = clock._written = read_stamp(str(found.get("highest", "")))
        return clock

    def behind(self) -> ClockBehind | None:
        """Return why the clock cannot be right, or ``None``; while it is behind everything is closed."""
        now = self.now()
        if now + CLOCK_STEP >= self.highest:
            return None
        mend = "set the clock right; where it was ahead before, remove `clock.json` from the state directory while the agent does not run"
        return ClockBehind(f"the clock shows {stamp(now)}, and it was {stamp(self.highest)} already", mend=mend)

    def see(self, at: datetime | None = None) -> None:
        """Take note of a time that was: *at*, of a signed document, or that of the clock itself."""
        found = at or self.now()
        if at is None and self.ahead is not None and self.ahead > MAX_AHEAD:
            return
        self.highest = max(self.highest, found)
        if self.highest - self._written >= KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Write the highest time down, if that can be done now."""
        if self.highest <= self._written:
            return
        try:
            self.state.write_json(FILE, {"highest": stamp(self.highest)})
        except StateUnavailable as error:
            log.error("clock_not_kept", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
        else:
            self._written = self.highest

    def compare(self, ahead: timedelta | None) -> None:
        """Take note of how far the clock is *ahead* of a source's, and say so once while it is more than a little."""
        if ahead is None:
            return
        self.ahead = ahead
        wrong = abs(ahead) > WORTH_TELLING
        if wrong and not self._told:
            log.warning("clock_skewed", seconds=round(ahead.total_seconds(), 1), mend="set the clock right: tables end by it")
        self._told = wrong
