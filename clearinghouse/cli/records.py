"""``decisions``: what was decided, and why, from the store."""

from __future__ import annotations

from typing import Annotated

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

EPILOG = """
\b
Examples:
  clearinghouse decisions --config clearinghouse.toml
  clearinghouse decisions --last 5 --json
  clearinghouse decisions 3f2a91c4

\b
Only the user that the service runs as can read the store, and so use this.

\b
Exit status: 0 shown; 2 there is no such decision, or no store; 3 the store
cannot be used now.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(decisions)


def decisions(
    identity: Annotated[
        str, typer.Argument(metavar="[ID]", help="The id of one decision, or as much of its beginning as no other has.")
    ] = "",
    config: Config = DEFAULT_CONFIG,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the latest decisions.")] = 20,
    json: Json = False,
) -> None:
    """List the latest decisions, or show one of them with its whole explanation.

    A decision is proven again from the policies and credentials of its own time, and whether the answer is
    still the same is said.
    """
    from clearinghouse.cli import recorded  # noqa: PLC0415 - as in `serve`

    if identity:
        recorded.show(config, identity, json=json)
    else:
        recorded.show_latest(config, last, json=json)
