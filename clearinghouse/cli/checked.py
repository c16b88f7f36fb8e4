"""What `serve --check` and `agent --check` both say: what was left out, what is wrong, and what may not be meant."""

from __future__ import annotations

from typing import Any, Protocol

from clearinghouse.cli.output import BAD, CAUTION, STRONG, clean, mark, say
from clearinghouse.errors import ClearinghouseError
from clearinghouse.storage.holdings import Holdings


class Checked(Protocol):
    """What was found before a start."""

    @property
    def holdings(self) -> Holdings:
        """Return what was loaded, and what was not."""

    @property
    def errors(self) -> tuple[ClearinghouseError, ...]:
        """Return what is wrong besides."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Return what is allowed but hardly meant."""

    @property
    def good(self) -> bool:
        """Whether nothing was left out."""


def tell_problems(found: Checked) -> None:
    """Print what was left out, and how much that is."""
    for problem in (*found.holdings.problems, *found.errors):
        say(mark(good=False), " ", clean(str(problem)))
    for caution in found.cautions:
        say(("caution: ", CAUTION), clean(caution))
    count = len(found.holdings.problems) + len(found.errors)
    say(("nothing was left out", STRONG) if found.good else (f"{count} left out", BAD))


def members(found: Checked) -> dict[str, Any]:
    """Return the same as members of a JSON answer."""
    problems = found.holdings.problems
    return {
        "policies": {group: [each.source for each in loaded] for group, loaded in found.holdings.policies.items()},
        "left_out": [{"file": each.file, "line": each.line, "column": each.column, **each.error.as_json()} for each in problems],
        "errors": [each.as_json() for each in found.errors],
        "cautions": list(found.cautions),
    }
