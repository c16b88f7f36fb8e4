"""Tells the demonstration to people, as it happens; or not at all, for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from clearinghouse.cli.output import GOOD, STRONG, clean, console, say
from clearinghouse.cli.recorded import members, tell, tell_many
from clearinghouse.demo.league.story import Act
from clearinghouse.demo.story import Explained, Outcomes

WIDTH = 31
"""Characters of the column that says who."""


@dataclass(slots=True)
class Teller:
    """Prints each chapter with its number, and a line for everything that happens; only chapters *from_* on, if named."""

    from_: str = ""
    chapters: int = 0
    silent: bool = field(init=False)

    def __post_init__(self) -> None:
        self.silent = bool(self.from_)

    def act(self, title: str) -> None:
        """See `Narrator.act`."""
        self.chapters = 0
        say("")
        say((title, STRONG))

    def chapter(self, title: str) -> None:
        """See `Narrator.chapter`."""
        self.silent = self.silent and title != self.from_
        if self.silent:
            return
        self.chapters += 1
        say("")
        say((f"{self.chapters}. {title}", STRONG))

    def tell(self, who: str, what: str) -> None:
        """See `Narrator.tell`."""
        if self.silent:
            return
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=1)
        row.add_column(width=WIDTH)
        row.add_column(overflow="fold")
        row.add_row("", Text(clean(who), GOOD), Text(clean(what)))
        console().print(row)

    def decisions(self, outcomes: Outcomes) -> None:
        """Show what the operator sees: the list, then the reasons of each."""
        self.chapter("What the operator sees: clearinghouse decisions")
        tell_many([each.recorded for each in outcomes.decisions])
        for each in outcomes.decisions:
            decision = each.recorded.decision
            self.chapter(f"Why {decision.request.observed['jid']} was {decision.outcome}: clearinghouse decisions ID")
            tell(each.recorded, each.replayed)


def tell_end(seconds: float) -> None:
    """Say that all went as it should."""
    say("")
    say(("Everything went as told", GOOD), f", in {seconds:.1f} s.")


class Silent:
    """Tells nothing."""

    def act(self, title: str) -> None:
        """See `Narrator.act`."""

    def chapter(self, title: str) -> None:
        """See `Narrator.chapter`."""

    def tell(self, who: str, what: str) -> None:
        """See `Narrator.tell`."""


def as_members(outcomes: Outcomes, world: str) -> dict[str, Any]:
    """Return what came of the story as members of a JSON object."""
    return {
        "world": world,
        "seconds": round(outcomes.seconds, 3),
        "platforms": [
            {"jid": each.jid, "subscription": each.state, "milliseconds": round(each.milliseconds, 1), "received": list(each.received)}
            for each in outcomes.platforms
        ],
        "life": _rounded(asdict(outcomes.life)),
        "decisions": [_decision(each) for each in outcomes.decisions],
    }


def act_members(act: Act) -> dict[str, Any]:
    """Return what came of the last two acts as members of a JSON object."""
    return _rounded(asdict(act)) | {"seconds": round(act.seconds, 3)}


def _rounded(members: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in members.items()}


def _decision(explained: Explained) -> dict[str, Any]:
    return members(explained.recorded) | {"agrees": explained.replayed is not None and explained.replayed.agrees}
