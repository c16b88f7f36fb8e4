"""``request whitelist``: ask another server's agent, with a signed request, to let somebody in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Demo, Json, Passphrase

WHITELIST = """
\b
Examples:
  clearinghouse request whitelist --to target.example \\
    --domain partner.example --address 192.168.40.55 --user bob \\
    --packet message --for "1 hour" --key bob.key --credential show \\
    --via https://agent.target.example:8443
  clearinghouse request whitelist --to target.example --domain b.example \\
    --key b.key --relay https://hub.example:8443 --community csirt-net

\b
Exit status: 0 granted, or shown; 1 refused, or a person decides; 2 what was
given cannot be asked; 3 nobody answered.
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Ask another server's agent with a signed request.", rich_markup_mode=None)
    group.callback()(_several)
    group.command("whitelist", epilog=WHITELIST)(whitelist)
    app.add_typer(group, name="request")


def _several() -> None:
    """Ask another server's agent with a signed request."""


def whitelist(  # noqa: PLR0913, PLR0917 - each option is a parameter
    target: Annotated[str, typer.Option("--to", metavar="DOMAIN", help="The server that is to let somebody in.")],
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="Who is to be let in.")],
    key: Annotated[list[Path], typer.Option("--key", metavar="FILE", help="A key that signs the request; may be repeated.")],
    address: Annotated[str | None, typer.Option(metavar="IP", help="The address of that server; any, if it is left out.")] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="One user there; all of them, if it is left out.")] = None,
    packet: Annotated[str | None, typer.Option(metavar="KIND", help="message, presence, iq or groupchat; all, if left out.")] = None,
    direction: Annotated[str | None, typer.Option(metavar="WAY", help="in or out, seen from the target; both, if left out.")] = None,
    claim: Annotated[list[str] | None, typer.Option("--claim", metavar="NAME=VALUE", help="A further claim; may be repeated.")] = None,
    held: Annotated[str | None, typer.Option("--for", metavar="PERIOD", help='How long, as in "1 hour"; as long as may be.')] = None,
    credential: Annotated[list[str] | None, typer.Option("--credential", metavar="FILE", help="What it rests on; may be repeated.")] = None,
    root: Annotated[list[str] | None, typer.Option("--root", metavar="KEY", help="A key that the target trusts; may be repeated.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show the target every credential, not only what is needed.")] = False,
    via: Annotated[str | None, typer.Option("--via", metavar="URL", help="The target's agent.")] = None,
    relay: Annotated[str | None, typer.Option("--relay", metavar="URL", help="A clearinghouse that passes it on for a member.")] = None,
    community: Annotated[str, typer.Option("--community", metavar="NAME", help="The community of that clearinghouse.")] = "",
    ca: Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="Certificates that vouch for the URL's host.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Ask a server's agent to let a domain in, or one of its users, for a time.

    Of the credentials only those are sent that lead to your key; they are shown first. What is not named is
    asked for in full, and granted only where policy says so.
    """
    from clearinghouse.cli import requesting  # noqa: PLC0415 - what it needs takes half a second, of which other commands know nothing

    asked = {"App_domain": "XMPP", "domain": domain, "Server_IP_Address": address, "Username": user}
    asked |= {"PacketType": packet, "direction": direction}
    claims = requesting.claims({name: value for name, value in asked.items() if value is not None}, claim or ())
    signing = requesting.Signing(tuple(key), passphrase_file, allow_demo)
    draft = requesting.drafted(target, claims, held, signing, credential or (), root or (), everything=everything)
    if dry_run:
        requesting.show(draft, json=json)
    else:
        requesting.send(draft, signing, requesting.Address(via, relay, community, ca), json=json)
