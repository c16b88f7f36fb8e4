"""``serve``: the service itself, and with ``--check`` what it would start with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json

EPILOG = """
\b
Examples:
  clearinghouse serve --config /etc/clearinghouse/clearinghouse.toml --check
  clearinghouse serve --config /etc/clearinghouse/clearinghouse.toml

\b
Signals: TERM and INT end it when what it has begun is finished; HUP loads
policies and credentials at once (a change is seen by itself within seconds),
and reads the certificates of the door for servers again.

\b
Exit status: 0 ended as asked, or all was loaded; 2 the settings cannot be
used, or --check found what is left out; 3 the store cannot be used now.
"""

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The settings.")]
DEFAULT_CONFIG = Path("clearinghouse.toml")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(serve)


def serve(
    config: Config = DEFAULT_CONFIG,
    only_check: Annotated[bool, typer.Option("--check", help="Load everything, say what was left out, and connect nowhere.")] = False,
    json: Json = False,
) -> None:
    """Decide the subscription requests of the brokers that the settings name, until told to end.

    Connects to each broker's server as a component (XEP-0114), makes the topics, and answers each request by
    the policies and credentials in their folders. A decision is in the store before it is answered.
    """
    from clearinghouse.cli import serving  # noqa: PLC0415 - what it needs takes half a second, of which other commands know nothing

    if only_check:
        serving.check(config, json=json)
    else:
        serving.run(config, json=json)
