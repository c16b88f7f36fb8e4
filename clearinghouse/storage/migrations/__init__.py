"""One module for each change; this one has what they need to make the same tables in every kind of database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""What goes on for as long as a store lives: SQLite's integers have 64 bits, and are counted up only under that name."""


def counted() -> sa.Column[int]:
    """Return the column that numbers rows in the order in which they came to be."""
    return sa.Column("number", NUMBER, sa.Identity(), primary_key=True, autoincrement=True)


def in_order() -> list[sa.Column[int]]:
    """Return the column that SQLite has by itself: it tells the order of rows that have a key of their own."""
    if op.get_context().dialect.name == "sqlite":
        return []
    return [sa.Column("rowid", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True)]
