"""``init``: a clearinghouse of one's own, ready to be started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json

DEFAULT_BROKER = "pubsub.hub.example"

EPILOG = """
\b
Example:
  clearinghouse init ./my-hub --community csirt-net \\
    --broker pubsub.hub.example

\b
Exit status: 0 made; 2 the directory is not empty, or a name cannot be used.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where everything is put: a new or an empty directory.")],
    community: Annotated[str, typer.Option(help="The community's name: lower-case letters, digits, `.`, `_`, `-`.")],
    broker: Annotated[
        list[str] | None, typer.Option(metavar="JID", help=f"A publish-subscribe service; may be repeated. [default: {DEFAULT_BROKER}]")
    ] = None,
    json: Json = False,
) -> None:
    """Write settings, keys, first policies and a first credential; overwrite nothing.

    The policies let the users of the first broker's domain ask for the topic `incidents`, and you decide.
    The keys are made here: the hub's, which licenses, the desk's, which signs what you approve, and the log's.
    """
    from clearinghouse.cli import founding  # noqa: PLC0415 - as in `serve`

    founding.found(directory, community, broker or [DEFAULT_BROKER], json=json)
