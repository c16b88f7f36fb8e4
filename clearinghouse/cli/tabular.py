"""Lists as people read them: columns that are never broken, then columns that fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from clearinghouse.cli.output import clean, console


def tell_table(short: Sequence[str], long: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print *rows*: those of *short* titles in one line each, those of *long* ones folded where there is no room."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in short:
        table.add_column(title, no_wrap=True)
    for title in long:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else Text(clean(each)) for each in row))
    console().print(table)
