"""How often each sender may ask: token buckets by bare JID and by domain (issue of floods; rule R21).

What a flood asks is not decided and not recorded: it goes on waiting at its broker, where recovery finds it,
and is counted.  Whoever asks at an honest pace never meets these limits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from clearinghouse.clearing.senders import RateLimited

log = structlog.get_logger(__name__)

MAX_REMEMBERED: Final = 10_000
"""Senders, and as many domains, that are remembered, about 300 bytes each; the longest silent is forgotten first.
Who is forgotten starts anew with a full bucket, so a flood gains by that only from so many addresses at once."""

WARNING_SECONDS: Final = 60.0
"""A sender that is held back is named once in this time, with the count since."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens that come back each second, and how many a full bucket holds; a question takes one."""

    per_second: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    """``full_at`` is when the bucket would be full again, in seconds that never go back."""

    full_at: float = 0.0
    told_at: float = -WARNING_SECONDS
    untold: int = 0


@dataclass(slots=True)
class Buckets:
    """A bucket for each name; ``limited`` counts every question that was held back."""

    pace: Pace
    elapsed: Callable[[], float]
    limited: int = 0
    _known: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        """Return how many names are remembered."""
        return len(self._known)

    def take(self, name: str) -> None:
        """Take one token of *name*; raises `RateLimited` where it has none."""
        now = self.elapsed()
        self.check(name, now)
        self.charge(name, now)

    def check(self, name: str, now: float) -> None:
        """Raise `RateLimited` where *name* has no token *now*; nothing is taken."""
        bucket = self._of(name)
        if _missing(bucket, self.pace, now) > 0:
            self._hold_back(bucket, name, now)
            raise RateLimited(
                f"`{name}` asks more than {self.pace.per_second:g} times a second",
                mend="nothing: it is asked again; `[rates]` in the settings has the limits",
            )

    def charge(self, name: str, now: float) -> None:
        """Take one token of *name*, which was checked."""
        bucket = self._known[name]
        bucket.full_at = max(bucket.full_at, now) + 1 / self.pace.per_second

    def _hold_back(self, bucket: _Bucket, name: str, now: float) -> None:
        self.limited += 1
        bucket.untold += 1
        if now - bucket.told_at >= WARNING_SECONDS:
            log.warning("rate_limited", sender=name, count=bucket.untold)
            bucket.told_at, bucket.untold = now, 0

    def _of(self, name: str) -> _Bucket:
        bucket = self._known.get(name)
        if bucket is None:
            bucket = self._known[name] = _Bucket()
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(name)
        return bucket


class Rates:
    """Buckets for bare JIDs and for domains."""

    __slots__ = ("_domains", "_jids", "elapsed")

    def __init__(self, each: Pace, domain: Pace, elapsed: Callable[[], float]) -> None:
        """Start with full buckets."""
        self._jids, self._domains, self.elapsed = Buckets(each, elapsed), Buckets(domain, elapsed), elapsed

    @property
    def limited(self) -> int:
        """How many questions were held back."""
        return self._jids.limited + self._domains.limited

    def take(self, jid: str, domain: str) -> None:
        """Take one token of the bare *jid* and one of its *domain*; raises `RateLimited` where either has none.

        Nothing is taken then, so that a domain's flood does not use up what its users may ask later.
        """
        now = self.elapsed()
        self._jids.check(jid, now)
        self._domains.check(domain, now)
        self._jids.charge(jid, now)
        self._domains.charge(domain, now)


def _missing(bucket: _Bucket, pace: Pace, now: float) -> float:
    """Return how many seconds must pass until the bucket has a token; zero or less where it has one."""
    return max(bucket.full_at, now) + 1 / pace.per_second - now - pace.burst / pace.per_second - _ROUNDING


_ROUNDING: Final = 1e-9
"""Seconds: sums of fractions must not take the last token of a full bucket."""
