"""``table``: published tables, shown and checked offline as an agent checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json

SHOW = """
\b
Examples:
  clearinghouse table show 12
  clearinghouse table show tables/community/table/12 --domain chat.example.org

\b
Exit status: 0 shown; 2 it cannot be read.
"""
VERIFY = """
\b
Examples:
  clearinghouse table verify tables/ --root 1.json --pin 5f1c...
  clearinghouse table verify 12 --root 1.json --root 2.json --pin 5f1c...

\b
Exit status: 0 it would be believed; 1 it would not, and why is said; 2 a file
is not what it should be, or the first root is not the one with this digest.
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    table = typer.Typer(help="Show and verify published level tables.", rich_markup_mode=None)
    table.command("show", epilog=SHOW)(show)
    table.command("verify", epilog=VERIFY)(verify)
    app.add_typer(table, name="table")


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table as it is published: head and content.")],
    domain: Annotated[str, typer.Option("--domain", metavar="NAME", help="Show the level of one domain only.")] = "",
    json: Json = False,
) -> None:
    """Show a table: for whom it is, until when, who signed it, and how many domains have each level.

    Whether those may sign it is not asked here: `table verify` does.
    """
    from clearinghouse.cli import table_pictures  # noqa: PLC0415 - as in `serve`

    table_pictures.show(file, domain, json=json)


def verify(
    where: Annotated[Path, typer.Argument(metavar="FILE|DIRECTORY", help="A table, or a directory of published documents.")],
    root: Annotated[list[Path], typer.Option("--root", metavar="FILE", help="Root metadata from the pinned generation on; repeatable.")],
    pin: Annotated[str, typer.Option("--pin", metavar="SHA256", help="The digest of the first root metadata.")],
    audience: Annotated[str, typer.Option("--audience", metavar="DOMAIN", help="Whose view a directory is looked at for.")] = "*",
    json: Json = False,
) -> None:
    """Check a table as an agent does.

    Of a directory, as `federation export` writes it, everything is checked: timestamp, revocations, members
    and table. Of one file, only what it says itself: nobody can tell of it whether it is the newest.
    """
    from clearinghouse.cli import table_pictures  # noqa: PLC0415 - as in `serve`

    table_pictures.verify(where, root, pin, audience, json=json)
