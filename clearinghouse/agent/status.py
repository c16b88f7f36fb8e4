"""How the agent is, for people, programs and the clearinghouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from clearinghouse import __version__
from clearinghouse.agent.applying.applier import Applier
from clearinghouse.agent.applying.picture import expires_at
from clearinghouse.agent.following import Follower
from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.trust.trusted import Standing

MAX_DOORS_CHARACTERS: Final = 1_000
"""Of the doors in a report, which is as much as a clearinghouse takes: one with eight keys has 550."""

STATUS: Final = "status"
"""The kind of a signed request that reports how the agent is."""


class Health(StrEnum):
    """One word for all of it, the worst that is true."""

    GOOD = "good"
    STALE = "stale"
    """The table holds, but nobody has said lately that it is the newest: nothing new is granted."""
    APART = "apart"
    """The server does not have what it should, or nobody can tell."""
    KEPT = "kept"
    """The table has expired, and counts on, as the settings say."""
    CLOSED = "closed"
    """There is no table that counts, or the clock is behind: only grants let anything pass, or nothing does."""


@dataclass(frozen=True, slots=True)
class Status:
    """What there is to say; made by `Status.of`."""

    follower: Follower
    applier: Applier

    def health(self) -> Health:
        """Return the worst that is true."""
        now, follower, applier = self.follower.clock.now(), self.follower, self.applier
        standing = follower.standing()
        if follower.clock.behind() is not None:
            return Health.CLOSED
        if standing is Standing.EXPIRED:
            head = follower.trusted.head if follower.trusted is not None else None
            return Health.KEPT if now.timestamp() < expires_at(head, applier.settings.grace) else Health.CLOSED
        if applier.image is None or self._unsaid() is not None or not applier.linked.is_set():
            return Health.APART
        return Health.STALE if standing is Standing.STALE else Health.GOOD

    def as_json(self) -> dict[str, Any]:
        """Return everything, as ``docs/reference/json.md`` describes it."""
        follower, applier, settings = self.follower, self.applier, self.applier.settings
        now, image, ahead = follower.clock.now(), applier.image, follower.clock.ahead
        return {
            "version": __version__,
            "community": settings.community,
            "domain": settings.domain,
            "at": stamp(now),
            "health": self.health().value,
            "standing": follower.standing().value,
            "table": self._table(now),
            "mode": settings.mode.value,
            "when_expired": settings.when_expired.value,
            "source": follower.sources.place,
            "skew_seconds": None if ahead is None else round(ahead.total_seconds(), 1),
            "clock_behind": follower.clock.behind() is not None,
            "kept": not follower.unkept,
            "last_error": _error(follower.error or self._unsaid()),
            "linked": applier.linked.is_set(),
            "serial": 0 if image is None else image.serial,
            "applied": applier.version,
            "rows": 0 if image is None else len(image.rows),
            "grants": 0 if image is None else len(image.grants),
            "peers": applier.peers.count,
            "expires": 0 if image is None else image.expires,
            "overrides": [each.as_json() for each in applier.overrides.every() if each.holds(now)],
            "module": dict(applier.module),
        }

    def _unsaid(self) -> ClearinghouseError | None:
        """Return what keeps the server from having what it should."""
        return self.applier.error or self.applier.peers.error

    def _table(self, now: datetime) -> dict[str, Any] | None:
        trusted = self.follower.trusted
        if trusted is None or trusted.head is None:
            return None
        head, timestamp = trusted.head, trusted.timestamp
        return {
            "epoch": head.epoch,
            "version": head.version,
            "issued": stamp(head.issued),
            "expires": stamp(head.expires),
            "age_seconds": int((now - head.issued).total_seconds()),
            "timestamp_age_seconds": None if timestamp is None else int((now - timestamp.issued).total_seconds()),
            "timestamp_expires": None if timestamp is None else stamp(timestamp.expires),
            "rows": len(trusted.rows),
            "members": len(trusted.members),
        }

    def report(self) -> dict[str, str]:
        """Return what is reported to the clearinghouse: the same in short, all of it text (an envelope's body)."""
        told = self.as_json()
        table, error, module = told["table"] or {}, told["last_error"] or {}, told["module"]
        return {
            "version": told["version"],
            "view": self.applier.settings.view,
            "table": str(table.get("version", 0)),
            "epoch": str(table.get("epoch", 0)),
            "standing": told["standing"],
            "health": told["health"],
            "age": str(table.get("timestamp_age_seconds", "")),
            "skew": "" if told["skew_seconds"] is None else str(told["skew_seconds"]),
            "error": str(error.get("code", "")),
            "server": str(module.get("server", "")),
            "module": str(module.get("module", "")),
            "mode": told["mode"],
            **_of_server(module.get("facts")),
        }


def _of_server(facts: object) -> dict[str, str]:
    """Return what a report says of how the server meets a redirection, as far as its module tells."""
    if not isinstance(facts, Mapping):
        return {}
    found = {"retry": str(facts["retry_delay"])} if isinstance(facts.get("retry_delay"), int) else {}
    if isinstance(facts.get("dialback"), bool):
        found["dialback"] = "yes" if facts["dialback"] else "no"
    if isinstance(facts.get("doors"), Sequence):
        found["doors"] = written_doors(facts["doors"], facts.get("door_pins"))
    return found


def written_doors(names: Iterable[object], pins: object) -> str:
    """Return doors as a report has them: `name=pin,pin`, separated by blanks; as many as there is room for."""
    by_name = pins if isinstance(pins, Mapping) else {}
    text = ""
    for name in sorted(map(str, names)):
        known = by_name.get(name)
        entry = f"{name}={','.join(sorted(map(str, known)))}" if isinstance(known, Sequence) else name
        if len(text) + len(entry) >= MAX_DOORS_CHARACTERS:
            break
        text = f"{text} {entry}".lstrip()
    return text


def _error(error: ClearinghouseError | None) -> dict[str, object] | None:
    return None if error is None else error.as_json()
