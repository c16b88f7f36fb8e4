"""What the server has to enforce now, of all that the agent believes: one pure function (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.agent.admission import Admission
from clearinghouse.agent.overrides import Override
from clearinghouse.federation.image import NOTHING, Grant, Image, LevelClass
from clearinghouse.federation.tables import Head
from clearinghouse.settings.agent import AgentSettings

DENIED: Final = "denied by override"
"""The class of domains that the site itself shuts out; no level's name has a space."""

UNKNOWN: Final = "your domain has no level in the community's table"
CLOSED: Final = "the clock of this server is behind, and nothing passes until it is right"
DENIED_REASON: Final = "shut out by this site for the time being"

LONG_AGO: Final = 1
"""Seconds since 1970 of an image whose rows count for nothing."""


@dataclass(frozen=True, slots=True)
class Basis:
    """All that an image follows from, but for its serial: the table's head and rows, as the site admits them, and what stands beside."""

    head: Head | None
    admission: Admission
    grants: Sequence[Grant]
    denials: Sequence[Override]
    closed: bool = False


def expires_at(head: Head | None, grace: timedelta) -> int:
    """Return when rows of the table end, in whole seconds; where there is no table nothing would end."""
    return LONG_AGO if head is None else int((head.expires + grace).timestamp())


def image_of(settings: AgentSettings, basis: Basis, serial: int) -> Image:
    """Return the image that follows from *basis*; while the clock is behind nothing passes at all (rule R17)."""
    if basis.closed:
        return _frame(settings, serial, reason=CLOSED)
    denied = {each.domain for each in basis.denials}
    rows, classes = dict(basis.admission.rows), dict(basis.admission.classes)
    if denied:
        classes[DENIED] = LevelClass(NOTHING, DENIED_REASON)
        rows |= dict.fromkeys(denied, DENIED)
    return Image(
        name=settings.domain,
        serial=serial,
        hosts=settings.governed,
        classes=classes,
        rows=rows,
        grants=tuple(each for each in basis.grants if each.remote not in denied),
        mode=settings.mode.value,
        default="deny",
        default_reason=UNKNOWN,
        expires=expires_at(basis.head, settings.grace),
        ask=settings.ask,
        decision=decision_of(basis.head),
    )


def decision_of(head: Head | None) -> str:
    """Return what a refusal by the rows names as its decision."""
    return "" if head is None else f"table {head.epoch}.{head.version}"


def changes_next(basis: Basis, denials: Sequence[Override], now: datetime) -> datetime | None:
    """Return when the image follows no longer from what stands still: a condition's date, or the end of a denial."""
    times = [basis.admission.stable_until, *(each.until for each in denials)]
    return min((each for each in times if each is not None and each > now), default=None)


def _frame(settings: AgentSettings, serial: int, *, reason: str) -> Image:
    return Image(
        name=settings.domain,
        serial=serial,
        hosts=settings.governed,
        classes={},
        rows={},
        mode=settings.mode.value,
        default_reason=reason,
        expires=LONG_AGO,
    )
