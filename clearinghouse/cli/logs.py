"""``log``: the decision log, shown, exported, checked offline, proven entry by entry, and replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

SHOW = """
\b
Examples:
  clearinghouse log show --config clearinghouse.toml
  clearinghouse log show --last 5 --json

\b
Exit status: 0 shown; 2 there is no store; 3 it cannot be used now.
"""
EXPORT = """
\b
Examples:
  clearinghouse log export today.log --config clearinghouse.toml
  clearinghouse log export - | gzip > today.log.gz

\b
Exit status: 0 written; 2 the file exists, or nothing is signed yet;
3 the store cannot be used now.
"""
VERIFY = """
\b
Examples:
  clearinghouse log verify today.log --log-key log.pub
  clearinghouse log verify today.log --log-key log.pub --earlier may.log

\b
Exit status: 0 all of it holds; 1 something does not, and is named;
2 a file cannot be read, or the key is none.
"""
PROVE = """
\b
Examples:
  clearinghouse log prove 3f2a91c4 -o receipt.json
  clearinghouse log check-receipt receipt.json --log-key log.pub

\b
Exit status: 0 written; 2 there is no such entry; 3 no checkpoint covers it
yet, or the store cannot be used now.
"""
RECEIPT = """
\b
Examples:
  clearinghouse log check-receipt receipt.json --log-key log.pub

\b
Exit status: 0 it holds; 2 it does not, or cannot be read.
"""
REPLAY = """
\b
Examples:
  clearinghouse log replay --config clearinghouse.toml
  clearinghouse log replay --last 100 --json

\b
Exit status: 0 every answer is the same today; 1 some are not, and are named;
2 there is no store; 3 it cannot be used now.
"""

File = Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for standard input or output.")]
LogKey = Annotated[str, typer.Option("--log-key", metavar="PRINCIPAL", help="The log's public key, or a file that holds it.")]
Earlier = Annotated[list[str] | None, typer.Option(metavar="FILE", help="An older export, receipt or checkpoint to extend; repeatable.")]
Last = Annotated[int, typer.Option(min=1, max=100_000, help="How many of the latest.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    log = typer.Typer(help="Show, export, check, prove and replay the decision log.", rich_markup_mode=None)
    for page, name, command in (
        (SHOW, "show", show),
        (EXPORT, "export", export),
        (VERIFY, "verify", verify),
        (PROVE, "prove", prove),
        (RECEIPT, "check-receipt", check_receipt),
        (REPLAY, "replay", replay),
    ):
        log.command(name, epilog=page)(command)
    app.add_typer(log, name="log")


def show(config: Config = DEFAULT_CONFIG, last: Last = 20, json: Json = False) -> None:
    """List the latest entries of the log.

    Each has its number, its time, its kind and the id of what it is about. The record of an entry says more,
    with names masked as the settings say, until it is erased.
    """
    from clearinghouse.cli import logbook  # noqa: PLC0415 - as in `serve`

    logbook.show(config, last, json=json)


def export(file: File, config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Write the log to a file that anybody can check.

    All that checking takes is the log's public key. The export ends with the last checkpoint. A file that
    exists is never overwritten: it may be the only witness of what the log was.
    """
    from clearinghouse.cli import logbook  # noqa: PLC0415 - as in `serve`

    logbook.export(config, file, json=json)


def verify(file: File, log_key: LogKey, earlier: Earlier = None, json: Json = False) -> None:
    """Check an exported log offline, with the log's public key.

    Nothing else is needed, no settings and no store. Whatever changed is named by entry. A history that was
    signed anew is found with --earlier, from any older export, receipt or checkpoint, whoever kept it.
    """
    from clearinghouse.cli import auditing  # noqa: PLC0415 - as in `serve`

    auditing.verify_file(file, log_key, earlier or [], json=json)


def prove(
    identity: Annotated[str, typer.Argument(metavar="ID", help="A decision's id or the beginning of it, or any entry's id.")],
    config: Config = DEFAULT_CONFIG,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there; never overwrites.")] = None,
    json: Json = False,
) -> None:
    """Write a receipt: proof that an entry is in the log.

    It holds for ever, and is checked with the log's public key alone.
    """
    from clearinghouse.cli import logbook  # noqa: PLC0415 - as in `serve`

    logbook.prove(config, identity, output, json=json)


def check_receipt(file: File, log_key: LogKey, json: Json = False) -> None:
    """Check a receipt offline, and show the entry that it proves."""
    from clearinghouse.cli import auditing  # noqa: PLC0415 - as in `serve`

    auditing.check_receipt(file, log_key, json=json)


def replay(config: Config = DEFAULT_CONFIG, last: Last = 10_000, json: Json = False) -> None:
    """Decide recorded requests again; report every difference.

    Each is proven from the policies and credentials of its own time. Where its facts have been erased, only
    that is said.
    """
    from clearinghouse.cli import logbook  # noqa: PLC0415 - as in `serve`

    logbook.replay(config, last, json=json)
