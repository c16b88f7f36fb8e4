"""``redirect``: a node with the door for servers, beside a main service that has the same PostgreSQL store."""

from __future__ import annotations

from typing import Annotated

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

EPILOG = """
\b
Examples:
  clearinghouse redirect --config /etc/clearinghouse/node.toml --check
  clearinghouse redirect --config /etc/clearinghouse/node.toml
  clearinghouse redirect status

\b
Signals: TERM and INT end it; HUP reads the door's certificates again.

\b
Exit status: 0 ended as asked, or all is well; 2 the settings or the door's
files cannot be used; 3 the store cannot be used now, or has no policy yet.
"""
STATUS = """
\b
Examples:
  clearinghouse redirect status --config clearinghouse.toml
  clearinghouse redirect status --json

\b
Exit status: 0 all is well; 1 it is not, and why is said; 2 the socket is not
for you; 3 the node does not run.
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    made = typer.Typer(rich_markup_mode=None, invoke_without_command=True, epilog=EPILOG)
    made.callback(epilog=EPILOG)(run)
    made.command("status", epilog=STATUS)(status)
    app.add_typer(made, name="redirect")


def run(
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    only_check: Annotated[bool, typer.Option("--check", help="Look at the door's files and at the store, and open nothing.")] = False,
    json: Json = False,
) -> None:
    """Be one of several doors for servers, beside the main service.

    Redirects servers by what `clearinghouse serve` has put into a PostgreSQL store, until told to end. Follows
    that store: policies, members and levels. Every answer is in its log before it is given. While the store
    is away it goes on for the `outage` of [redirect], and then refuses everybody.
    """
    if context.invoked_subcommand is not None:
        return
    from clearinghouse.cli import redirecting  # noqa: PLC0415 - what it needs takes half a second, of which other commands know nothing

    if only_check:
        redirecting.check(config, json=json)
    else:
        redirecting.run(config, json=json)


def status(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Say how the running node is: its store, its snapshot, what waits for the log, what it answered."""
    from clearinghouse.cli import redirecting  # noqa: PLC0415 - as above

    redirecting.status(config, json=json)
