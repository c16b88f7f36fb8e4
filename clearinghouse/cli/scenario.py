"""``clearinghouse scenario``: run scenario files, as a test of a community's policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json

EPILOG = """
\b
Examples:
  clearinghouse scenario policies/demo/scenarios.toml
  clearinghouse scenario --json policies/*/scenarios.toml

\b
Exit status: 0 every decision is the wanted one; 1 one is not; 2 a file, or a policy that it names, cannot be used.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(scenario)


def scenario(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario files (TOML).")],
    json: Json = False,
) -> None:
    """Rule on the requests in scenario files, and compare each decision with the wanted one.

    A test of a community's policies: nothing is recorded and nothing takes effect. What is not as
    wanted is shown with the assertions that carried the value, those that were left out, and the
    nearest step that is missing.
    """
    from clearinghouse.cli import scenario_report  # noqa: PLC0415 - what it needs takes a tenth of a second, of which other commands know nothing

    scenario_report.run(files, json=json)
