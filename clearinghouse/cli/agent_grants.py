"""``agent grants`` and its like: what a running agent has granted, and what waits for the site's people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json

GRANTS = """
\b
Examples:
  clearinghouse agent grants
  clearinghouse agent grants --ended --json
  clearinghouse agent end-grant 3f2a91c4 --reason "the project is over"

\b
Exit status: 0 done or shown; 2 refused, with its reason; 3 the agent does
not run, or cannot now.
"""
PENDING = """
\b
Examples:
  clearinghouse agent pending
  clearinghouse agent approve 3f2a91c4 --for "2 days"
  clearinghouse agent deny 3f2a91c4 --reason "nobody knows them"

\b
Exit status: 0 done or shown; 1 you said no; 2 refused, with its reason;
3 the agent does not run, or cannot now.
"""

DEFAULT_CONFIG = Path("agent.toml")
Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The agent's settings.")]
Case = Annotated[str, typer.Argument(metavar="CASE", help="The request's id, or as much of its beginning as no other has.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the log is told.")]


def add(group: typer.Typer) -> None:
    """Add the commands to those of agents."""
    group.command("grants", epilog=GRANTS)(grants)
    group.command("end-grant", epilog=GRANTS)(end_grant)
    for name, command in (("pending", pending), ("approve", approve), ("deny", deny)):
        group.command(name, epilog=PENDING)(command)


def grants(
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over as well.")] = False,
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """List what is granted on request, to whom, and until when."""
    from clearinghouse.cli import agent_deciding  # noqa: PLC0415 - what it needs takes time, of which other commands know nothing

    agent_deciding.grants(config, ended=ended, json=json)


def end_grant(
    grant: Annotated[str, typer.Argument(metavar="ID", help="The grant's id, or as much of its beginning as no other has.")],
    reason: Why = "",
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """End a grant now; the server cuts what it had opened."""
    from clearinghouse.cli import agent_deciding  # noqa: PLC0415 - as above

    agent_deciding.end_grant(config, grant, reason, json=json)


def pending(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """List the requests that wait for a person of this site."""
    from clearinghouse.cli import agent_deciding  # noqa: PLC0415 - as above

    agent_deciding.pending(config, json=json)


def approve(
    case: Case,
    held: Annotated[str | None, typer.Option("--for", metavar="PERIOD", help="How long it holds at most, as in `2 days`.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Approve a request that waits, once you have seen it; where policy wants more people, it goes on waiting for them."""
    from clearinghouse.cli import agent_deciding  # noqa: PLC0415 - as above

    agent_deciding.approve(config, case, held, yes=yes, json=json)


def deny(case: Case, reason: Why = "", config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """End a request that waits with a no."""
    from clearinghouse.cli import agent_deciding  # noqa: PLC0415 - as above

    agent_deciding.deny(config, case, reason, json=json)
