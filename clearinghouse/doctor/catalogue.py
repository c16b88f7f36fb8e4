"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from clearinghouse.doctor.facts import Facts


class Severity(StrEnum):
    """How bad it is, the worst first."""

    DANGER = "danger"
    """Somebody is believed, admitted or shut out against policy, or a secret is open."""
    WARNING = "warning"
    """It will fail, or hide a failure."""
    NOTE = "note"
    """Worth knowing; it does not change the exit status."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where something is the matter, and what; *severity* where it is another one than the check's own."""

    where: str
    what: str
    severity: Severity | None = None


Look = Callable[[Facts], Iterable[Seen]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its stable id and name, how bad what it finds is, what that is in general, and the mend."""

    id: str
    name: str
    severity: Severity
    about: str
    mend: str
    look: Look


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is unsafe, where it is, and how to mend it."""

    check: Check
    severity: Severity
    where: str
    what: str

    def as_json(self) -> dict[str, object]:
        """Return it in the documented schema."""
        return {
            "id": self.check.id,
            "name": self.check.name,
            "severity": self.severity.value,
            "where": self.where,
            "finding": self.what,
            "mend": self.check.mend,
        }


CHECKS: Final[dict[str, Check]] = {}
"""Every check by its id; modules of this package add theirs."""


def check(id_: str, name: str, severity: Severity, about: str, mend: str) -> Callable[[Look], Look]:
    """Make a check of a function that looks at facts."""

    def add(look: Look) -> Look:
        if id_ in CHECKS:
            raise ValueError(f"the id {id_} is taken")
        CHECKS[id_] = Check(id_, name, severity, about, mend, look)
        return look

    return add


def findings(facts: Facts, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what is unsafe, the worst first."""
    order = list(Severity)
    found = [Finding(each, seen.severity or each.severity, seen.where, seen.what) for each in checks for seen in each.look(facts)]
    yield from sorted(dict.fromkeys(found), key=lambda finding: (order.index(finding.severity), finding.check.id, finding.where))
