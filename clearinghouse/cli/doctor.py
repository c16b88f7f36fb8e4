"""``doctor``: what is unsafe about a server, an agent or a clearinghouse, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghouse.cli.options import Json, Now

EPILOG: Final = """
\b
Examples:
  clearinghouse doctor --prosody /etc/prosody/prosody.cfg.lua
  clearinghouse doctor --agent agent.toml --dns zone.txt
  clearinghouse doctor --agent agent.toml --door-certificate door.crt
  clearinghouse doctor --clearinghouse clearinghouse.toml
  clearinghouse agent status --json > status.json
  clearinghouse doctor --status status.json --json

\b
Exit status: 0 nothing to say but notes; 1 findings; 2 a file cannot be read.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(doctor)


def doctor(  # noqa: PLR0913, PLR0917 - each option is a parameter
    prosody: Annotated[Path | None, typer.Option("--prosody", metavar="FILE", help="A Prosody's configuration.")] = None,
    ejabberd: Annotated[Path | None, typer.Option("--ejabberd", metavar="FILE", help="An ejabberd's configuration.")] = None,
    agent: Annotated[Path | None, typer.Option("--agent", metavar="FILE", help="An agent's settings; its server is asked, too.")] = None,
    hub: Annotated[Path | None, typer.Option("--clearinghouse", metavar="FILE", help="A clearinghouse's settings.")] = None,
    status: Annotated[Path | None, typer.Option("--status", metavar="FILE", help="What `agent status --json` printed.")] = None,
    dns: Annotated[Path | None, typer.Option("--dns", metavar="FILE", help="Your DNS data: a zone, or what dig prints.")] = None,
    members: Annotated[Path | None, typer.Option("--members", metavar="FILE", help="Records of members, one a line.")] = None,
    door: Annotated[list[str] | None, typer.Option("--door", metavar="HOST", help="Where a clearinghouse takes streams.")] = None,
    address: Annotated[list[str] | None, typer.Option("--address", metavar="IP", help="An address of your own server.")] = None,
    door_certificate: Annotated[
        list[Path] | None, typer.Option("--door-certificate", metavar="FILE", help="A certificate of a door that sends peers on.")
    ] = None,
    resolver: Annotated[str, typer.Option("--resolver", metavar="ADDRESS[:PORT]", help="Whom to ask about the DNS.")] = "",
    now: Now = None,
    json: Json = False,
) -> None:
    """Say what is unsafe, and how to mend it.

    What is not named is not looked at; without any option, agent.toml of
    the current directory is. Nothing is changed anywhere. The DNS is asked only
    where peers are sent on: of a server that follows a door, of a clearinghouse
    that has one, and with --resolver.
    """
    from clearinghouse.cli import doctor_report  # noqa: PLC0415 - as in `serve`
    from clearinghouse.doctor.gathering import Asked  # noqa: PLC0415

    asked = Asked(
        prosody,
        ejabberd,
        agent,
        hub,
        status,
        dns,
        members,
        tuple(door or ()),
        tuple(address or ()),
        tuple(door_certificate or ()),
        resolver,
    )
    doctor_report.report(asked, now, json=json)
