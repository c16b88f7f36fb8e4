"""Records of members, drafts of them, what is published, and how agents are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clearinghouse.storage.migrations import NUMBER, in_order

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables of a federation."""
    op.create_table(
        "members",
        sa.Column("domain", sa.String, primary_key=True),
        sa.Column("serial", NUMBER, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("removed", sa.Integer, nullable=False),
        *in_order(),
    )
    op.create_table(
        "drafts",
        sa.Column("domain", sa.String, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("expires", sa.String(32), nullable=False),
        sa.Column("why", sa.String, nullable=False),
        *in_order(),
    )
    op.create_table(
        "documents",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        *in_order(),
    )
    op.create_table(
        "agents",
        sa.Column("domain", sa.String, primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        *in_order(),
    )
