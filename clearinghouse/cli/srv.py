"""``srv``: the service records by which members' peers find the clearinghouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

EPILOG: Final = """
\b
Examples:
  clearinghouse srv --config clearinghouse.toml
  clearinghouse srv b.example --ttl 300 > b.example.zone
  clearinghouse srv --check
  clearinghouse srv --check --resolver 127.0.0.1:53 --json

\b
Exit status: 0 printed, or the DNS says the same; 1 it says something else;
2 refused, with its reason; 3 the DNS cannot be asked now.
"""

DEFAULT_TTL: Final = 3_600
"""Seconds that others keep a record: an hour is the longest that a change then takes."""

LONGEST_TTL: Final = 2_147_483_647
"""The most that a record may say (RFC 2181, section 8)."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(srv)


def srv(
    domain: Annotated[list[str] | None, typer.Argument(metavar="[DOMAIN]...", help="Members; without any, all of them.")] = None,
    ttl: Annotated[int, typer.Option(min=0, max=LONGEST_TTL, metavar="SECONDS", help="How long others keep a record.")] = DEFAULT_TTL,
    check: Annotated[bool, typer.Option("--check", help="Ask the DNS, and say what differs.")] = False,
    resolver: Annotated[
        str, typer.Option(metavar="ADDRESS[:PORT]", help="With --check: whom to ask; without it, this machine's resolver.")
    ] = "",
    members: Annotated[Path | None, typer.Option("--members", metavar="FILE", help="Records of members, instead of the store's.")] = None,
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Print the DNS records of members whose peers come to the clearinghouse, as a zone snippet.

    They name the nodes of [redirect] by priority and weight, and nothing else: a member's real address
    beside them fails open. Each member copies its part into its own zone. The records are read from the
    store, so that no service has to run.
    """
    from clearinghouse.cli import zones  # noqa: PLC0415 - as in `serve`

    ground = zones.ground(config, members, domain or ())
    if check:
        zones.check(ground, resolver, json=json)
    else:
        zones.tell(ground, ttl, json=json)
