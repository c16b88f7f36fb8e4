"""``shadow report``: what would change, pair by pair, if policy were enforced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghouse.cli.options import Json, Now

REPORT: Final = """
\b
Examples:
  clearinghouse shadow report --config agent.toml --today imported/today
  clearinghouse shadow report --members imported/members.jsonl \\
    --local a.example --today imported/today
  clearinghouse shadow report --table table.txt --minimum level-2 \\
    --local a.example --today imported/today

\b
Exit status: 0 nothing that works today would stop; 1 something would;
2 a file cannot be read.
"""

DEFAULT_CONFIG: Final = Path("agent.toml")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    shadow = typer.Typer(help="See what policy would change, before it is enforced.", rich_markup_mode=None)
    shadow.command("report", epilog=REPORT)(report)
    app.add_typer(shadow, name="shadow")


def report(  # noqa: PLR0913, PLR0917 - each option is a parameter
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The agent's settings; its state has image and counts.")
    ] = DEFAULT_CONFIG,
    today: Annotated[
        list[Path] | None, typer.Option("--today", metavar="FILE", help="Whom the servers admit: files or folders of `import`.")
    ] = None,
    status: Annotated[
        Path | None, typer.Option("--status", metavar="FILE", help="A module's status, instead of the one in the state.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="A table as it is published, instead of the agent's image.")
    ] = None,
    members: Annotated[
        Path | None, typer.Option("--members", metavar="FILE", help="As if every member of this file were admitted: drafts of `import`.")
    ] = None,
    minimum: Annotated[str, typer.Option("--minimum", metavar="LEVEL", help="With --table: from which level on is admitted.")] = "",
    local: Annotated[
        list[str] | None, typer.Option("--local", metavar="DOMAIN", help="With --table or --members: your domain; repeatable.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List also the pairs for which nothing changes.")] = False,
    now: Now = None,
    json: Json = False,
) -> None:
    """Compare what policy would do with what the servers do today, pair by pair.

    What policy would do is the image that the agent has made; before there
    is one, a table, or a list of members, stands for it. What the servers do is what `import` read of their lists, and, of a domain for
    which there is no list, what the module counted in shadow mode.
    """
    from clearinghouse.cli import shadow_report  # noqa: PLC0415 - as in `serve`

    wanted = shadow_report.Wanted(config, tuple(today or ()), status, table, members, minimum, tuple(local or ()))
    shadow_report.report(wanted, now, everything=everything, json=json)
