"""``credentials``: what counts, added and withdrawn while the service runs."""

from __future__ import annotations

from typing import Annotated

import typer

from clearinghouse.cli.options import Demo, Json, Passphrase
from clearinghouse.cli.people import LOOKED, STATUS, DryRun, Keys, Output, Yes
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

LIST = f"""
\b
Examples:
  clearinghouse credentials list
{LOOKED}"""
ADD = f"""
\b
Examples:
  clearinghouse credentials add partner.kn --dry-run
  clearinghouse credentials add partner.kn --key admin.key
{STATUS}"""
WITHDRAW = f"""
\b
Examples:
  clearinghouse credentials withdraw 9c41d0aa --dry-run
{STATUS}"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    credentials = typer.Typer(help="List, add and withdraw credentials while the service runs.", rich_markup_mode=None)
    for page, name, command in ((LIST, "list", list_all), (ADD, "add", add), (WITHDRAW, "withdraw", withdraw)):
        credentials.command(name, epilog=page)(command)
    app.add_typer(credentials, name="credentials")


def list_all(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """List every credential that counts: those of the folder, and those that were added."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.credentials(config, json=json)


def add(  # noqa: PLR0917 - each option is a parameter
    file: Annotated[str, typer.Argument(metavar="FILE", help="One credential: a file, - or its text.")],
    dry_run: DryRun = False,
    yes: Yes = False,
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Let a credential count from now on, once you have seen who wins what."""
    from clearinghouse.cli import deciding, reading  # noqa: PLC0415 - as in `serve`

    carrier = deciding.Carrier(config, key or (), output, passphrase_file, allow_demo)
    deciding.change("credentials", carrier, deciding.AddCredential(reading.one(file).raw), dry_run=dry_run, yes=yes, json=json)


def withdraw(  # noqa: PLR0917 - each option is a parameter
    identity: Annotated[str, typer.Argument(metavar="ID", help="A credential that was added; one of the folder is removed there.")],
    dry_run: DryRun = False,
    yes: Yes = False,
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Let a credential that was added not count any more, once you have seen who loses what."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    carrier = deciding.Carrier(config, key or (), output, passphrase_file, allow_demo)
    deciding.change("credentials", carrier, deciding.WithdrawCredential(identity), dry_run=dry_run, yes=yes, json=json)
