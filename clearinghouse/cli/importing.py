"""``import``: today's white-lists become drafts of members, with where each came from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghouse.cli.options import Demo, Json, Passphrase

EPILOG: Final = """
\b
Examples:
  clearinghouse import /etc/prosody/prosody.cfg.lua --dry-run
  clearinghouse import ejabberd.yml partners.txt \\
    --community csirt-net --output import/

\b
Exit status: 0 everything was taken; 1 something is left for you, each row is
named; 2 a file cannot be read.
"""

_SETTINGS: Final = Path("clearinghouse.toml")


class Written(StrEnum):
    """How a list may be written; `clearinghouse.importing.gather.Format`, which is loaded when it is needed."""

    AUTO = "auto"
    PROSODY = "prosody"
    EJABBERD = "ejabberd"
    TEXT = "text"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import", epilog=EPILOG)(import_)


def import_(  # noqa: PLR0913, PLR0917 - each option is a parameter
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Configurations of servers, lists of domains, CSV tables.")],
    kind: Annotated[Written, typer.Option("--format", help="How they are written.")] = Written.AUTO,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="A new folder; or a new file that ends in .jsonl.")] = Path(
        "imported"
    ),
    community: Annotated[str, typer.Option(metavar="NAME", help="The community; without it, that of the settings.")] = "",
    local: Annotated[str, typer.Option(metavar="DOMAIN", help="Your domain for which a plain list holds; without it, all of yours.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The registrar's key: write signed records.")] = None,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The settings, for the community's name.")] = _SETTINGS,
    json: Json = False,
) -> None:
    """Read whom today's servers admit, and make drafts of members.

    Nothing in a configuration is run, and nothing is lost silently: what
    no list of domains can hold is named with its file and line. Sign the
    drafts with `member add --from`, or give the registrar's --key.
    """
    from clearinghouse.cli import import_lists  # noqa: PLC0415 - as in `serve`

    there = config if config != _SETTINGS or config.exists() else None
    wanted = import_lists.Wanted(files, kind.value, local, community, there, None if dry_run else output)
    import_lists.import_lists(wanted, import_lists.Signer(key, passphrase_file, allow_demo), json=json)
