"""What the server has to enforce now, of all that the agent believes: one pure function (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.agent.applying.admission import Admission
from clearinghouse.agent.applying.overrides import Override
from clearinghouse.federation.enforced.image import NOTHING, Change, Grant, Image, LevelClass
from clearinghouse.federation.published.tables import Head
from clearinghouse.settings.agent import AgentSettings

DENIED: Final = "denied by override"
"""The class of domains that the site itself shuts out; no level's name has a space."""

UNKNOWN: Final = "one of the two domains has no level in the community's table"
"""Read by users of both sides: the same image refuses what comes in and what goes out."""
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

    @property
    def denied(self) -> frozenset[str]:
        """The domains that the site itself shuts out."""
        return frozenset(each.domain for each in self.denials)


def expires_at(head: Head | None, grace: timedelta) -> int:
    """Return when rows of the table end, in whole seconds; where there is no table nothing would end."""
    return LONG_AGO if head is None else int((head.expires + grace).timestamp())


def image_of(settings: AgentSettings, basis: Basis, serial: int) -> Image:
    """Return the image that follows from *basis*; while the clock is behind nothing passes at all (rule R17)."""
    if basis.closed:
        return _frame(settings, serial, reason=CLOSED)
    denied = basis.denied
    rows, classes = basis.admission.rows, {**basis.admission.classes, DENIED: LevelClass(NOTHING, DENIED_REASON)}
    if denied:
        rows = {**rows, **dict.fromkeys(denied, DENIED)}
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


def change_among(before: Image, after: Image, touched: Collection[str]) -> Change | None:
    """Return the way from *before* to *after*, which agree about the rows of all but the *touched* domains.

    ``None`` where only a whole new image leads there.  It costs what it changes, where `change_between` looks at every row.
    """
    if _frame_of(before) != _frame_of(after):
        return None
    rows: dict[str, list[str]] = {}
    for domain in sorted(touched):
        name = after.rows.get(domain)
        if name is not None and name != before.rows.get(domain):
            rows.setdefault(name, []).append(domain)
    unset = tuple(each for each in sorted(touched) if each in before.rows and each not in after.rows)
    old, new = ({grant.id: grant for grant in image.grants} for image in (before, after))
    grants = tuple(grant for name, grant in new.items() if old.get(name) != grant)
    ended = tuple(sorted(old.keys() - new.keys()))
    return Change(after.name, after.serial, before.serial, rows, unset, grants, ended, after.expires, after.decision)


def _frame_of(image: Image) -> tuple[object, ...]:
    """Return what only a whole new image changes."""
    return image.name, image.hosts, image.classes, image.mode, image.default, image.default_reason, image.ask


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
