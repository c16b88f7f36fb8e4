"""Decisions and the effects that they owe, the highest time seen, archived snapshots, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clearinghouse.storage.migrations import counted

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    _make_decisions()
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_clock"), primary_key=True),
        sa.Column("highest", sa.String(32), nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("texts", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "events",
        counted(),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        counted(),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("door", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.Column("reason_code", sa.String(64), nullable=False),
        sa.Column("reason_text", sa.String, nullable=False),
        sa.Column("requesters", sa.JSON, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("scale", sa.JSON, nullable=False),
        sa.Column("proof", sa.JSON),
        sa.Column("snapshot", sa.String(64), nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("ends", sa.String(32)),
        *(sa.Column(name, sa.String) for name in ("broker", "node", "subscriber", "subid")),
        sa.Column("effect", sa.String(16), nullable=False),
        sa.Column("effect_done_at", sa.String(32)),
        sa.Column("latency_ms", sa.Float),
        sqlite_autoincrement=True,
    )
    op.create_index("decisions_by_place", "decisions", ["broker", "node", "subscriber", "subid"])
    op.create_index(
        "decisions_owed", "decisions", ["number"], sqlite_where=sa.text("effect = 'owed'"), postgresql_where=sa.text("effect = 'owed'")
    )
