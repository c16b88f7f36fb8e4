"""The only place where the clock is read and dice are thrown (authority rules R17 and R22)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time that decisions are made at."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a random id of 64 bits: it tells a stranger nothing, and people can still read it out."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Chance:
    """Where time and ids come from; tests give their own.

    ``now`` is the time of day, ``elapsed`` seconds that never go back.
    """

    now: Callable[[], datetime] = utc_now
    elapsed: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = new_id
