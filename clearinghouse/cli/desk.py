"""``desk``: the process that signs, as a service of its own, run by another user than the clearinghouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Demo
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

EPILOG = """
\b
Example:
  clearinghouse desk --config /etc/clearinghouse/clearinghouse.toml \\
    --key-file /etc/clearinghouse-desk/desk.key --user clearinghouse

\b
Exit status: 0 ended as asked; 2 the key, the socket or the settings cannot be
used.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(desk)


def desk(
    key_file: Annotated[Path, typer.Option("--key-file", metavar="FILE", help="The key, mode 0600.")],
    user: Annotated[str, typer.Option(metavar="NAME", help="The user that the service runs as; without it, our own.")] = "",
    for_log: Annotated[bool, typer.Option("--log", help="Sign the log's checkpoints, at the socket in [ledger].")] = False,
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="Sign as `registrar`, `revoker`, `timestamp` or `table`, at that section's socket.")
    ] = "",
    config: Config = DEFAULT_CONFIG,
    allow_demo: Demo = False,
) -> None:
    """Be the desk: sign what people approved.

    It listens at the socket that the settings name in [desk], and its key is read by this process alone.
    It refuses whatever is not an approval of one request. With --role it signs one kind of document of a
    federation instead, and nothing else.
    """
    from clearinghouse.cli import signers  # noqa: PLC0415 - as in `serve`

    signers.listen_as(config, key_file, user, role or ("log" if for_log else "desk"), allow_demo=allow_demo)
