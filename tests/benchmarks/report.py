"""What was measured, as tables for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

Cell = str | float | int


@dataclass(frozen=True, slots=True)
class Goal:
    """One wanted ratio or size, and what came out."""

    what: str
    bound: Literal["at least", "at most"]
    wanted: float
    measured: float

    @property
    def reached(self) -> bool:
        """Whether the measured figure is on the right side."""
        return self.measured >= self.wanted if self.bound == "at least" else self.measured <= self.wanted

    @property
    def verdict(self) -> str:
        """Return ``reached``, or by how much it was missed."""
        return "reached" if self.reached else f"missed by {abs(self.measured / self.wanted - 1):.0%}"


@dataclass(frozen=True, slots=True)
class Section:
    """One table; ``columns`` carry the units."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = field(default=())


def show(section: Section, console: Console) -> None:
    """Print one section as soon as it is measured."""
    table = Table(title=section.title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for index, column in enumerate(section.columns):
        table.add_column(column, justify="right" if index else "left")
    for row in section.rows:
        table.add_row(*map(_written, row))
    console.print(table)
    for note in section.notes:
        console.print(f"  {note}", highlight=False)


def show_goals(goals: Sequence[Goal], console: Console) -> None:
    """Print what was wanted and what was reached."""
    table = Table(title="Goals", title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in ("goal", "wanted", "measured", "verdict"):
        table.add_column(column, justify="left" if column in {"goal", "verdict"} else "right")
    for goal in goals:
        table.add_row(goal.what, f"{goal.bound} {_written(goal.wanted)}", _written(goal.measured), goal.verdict)
    console.print(table)


def as_json(machine: dict[str, str], sections: Sequence[Section]) -> dict[str, object]:
    """Return everything, for tools: each row as a mapping from column to figure."""
    return {
        "machine": machine,
        "sections": [
            {
                "title": section.title,
                "rows": [dict(zip(section.columns, row, strict=True)) for row in section.rows],
                "goals": [asdict(goal) | {"reached": goal.reached} for goal in section.goals],
                "notes": list(section.notes),
            }
            for section in sections
        ],
    }


def _written(cell: Cell) -> str:
    """Return three significant digits: more would be noise."""
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else cell
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
