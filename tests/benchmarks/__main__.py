"""``make bench``, or ``python -m tests.benchmarks [--quick] [--only NAME] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from tests.benchmarks.approvals import approvals
from tests.benchmarks.cold import cold
from tests.benchmarks.decisions import decisions, explained, matching
from tests.benchmarks.ending import ending
from tests.benchmarks.enforcing import enforcing
from tests.benchmarks.first import first_messages
from tests.benchmarks.fleet import fleet_
from tests.benchmarks.graphs import graphs
from tests.benchmarks.hostile import hostile
from tests.benchmarks.levels import changes, levels
from tests.benchmarks.machine import machine
from tests.benchmarks.measure import Effort
from tests.benchmarks.memory import memory
from tests.benchmarks.policies import policies
from tests.benchmarks.reading import loading, reading
from tests.benchmarks.redirecting import redirecting
from tests.benchmarks.report import Section, as_json, show, show_goals
from tests.benchmarks.storing import storing
from tests.benchmarks.streams import streams
from tests.benchmarks.tables import tables_

SECTIONS: Mapping[str, Callable[[Effort], Section]] = {
    "decisions": decisions,
    "explained": explained,
    "matching": matching,
    "graphs": graphs,
    "policies": policies,
    "cold": cold,
    "reading": reading,
    "loading": loading,
    "memory": memory,
    "hostile": hostile,
    "levels": levels,
    "level-changes": changes,
    "approvals": approvals,
    "ending": ending,
    "enforcing": enforcing,
    "storing": storing,
    "tables": tables_,
    "fleet": fleet_,
    "streams": streams,
    "redirecting": redirecting,
    "first-messages": first_messages,
}


def main() -> None:
    """Measure, print each table as it is ready, and the goals at the end."""
    chosen = _arguments()
    console = Console(width=None if Console().is_terminal else 150)
    here = machine()
    for name, value in here.items():
        console.print(f"{name:10} {value}", highlight=False)
    effort = Effort.quick() if chosen.quick else Effort()
    sections = []
    for name in chosen.only or SECTIONS:
        sections.append(SECTIONS[name](effort))
        show(sections[-1], console)
    show_goals([goal for section in sections for goal in section.goals], console)
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(here, sections), indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure the engine beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 10,000 credentials instead of 100,000")
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="NAME", help=f"one section, repeatable: {', '.join(SECTIONS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
