"""Cases, grants, revocations, credentials, envelopes; the log; what replay and erasure need of decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clearinghouse.storage.migrations import NUMBER, counted, in_order

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of what lasts, and an empty log."""
    for column in (
        sa.Column("until", sa.String(32)),
        sa.Column("took_us", NUMBER),
        sa.Column("approvals", sa.JSON),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("erased", sa.String(32)),
    ):
        op.add_column("decisions", column)
    _make_cases()
    _make_grants()
    _make_revocations()
    _make_log()


def _make_cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("opened", sa.String(32), nullable=False),
        sa.Column("expires", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("approvals", sa.JSON, nullable=False),
        sa.Column("credential", sa.LargeBinary, nullable=False),
        sa.Column("closed", sa.String(32)),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        *in_order(),
    )
    op.create_index(
        "cases_standing",
        "cases",
        ["state"],
        sqlite_where=sa.text("state IN ('pending', 'approved')"),
        postgresql_where=sa.text("state IN ('pending', 'approved')"),
    )


def _make_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("ends", sa.String(32), nullable=False),
        sa.Column("until", sa.String(32), nullable=False),
        sa.Column("case", sa.String(64), nullable=False),
        sa.Column("ended", sa.String(32)),
        sa.Column("why_code", sa.String(64)),
        sa.Column("why_text", sa.String),
        sa.Column("affiliation", sa.String(32), nullable=False),
        sa.Column("told", sa.String(32)),
        *in_order(),
    )
    op.create_index("grants_standing", "grants", ["told"], sqlite_where=sa.text("told IS NULL"), postgresql_where=sa.text("told IS NULL"))


def _make_revocations() -> None:
    op.create_table(
        "revocations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("lifted", sa.String(32)),
        *in_order(),
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        *in_order(),
    )
    op.create_table(
        "seen",
        sa.Column("signer", sa.String, primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("until", sa.String(32), nullable=False),
    )
    op.create_index("seen_until", "seen", ["until"])


def _make_log() -> None:
    op.create_table(
        "entries",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("ref", sa.String(128), nullable=False),
        sa.Column("commitment", sa.LargeBinary(32), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("salt", sa.LargeBinary(32)),
        sa.Column("record", sa.LargeBinary),
    )
    op.create_index("entries_by_ref", "entries", ["ref"])
    op.create_table(
        "tiles",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
    )
    edge = op.create_table(
        "edge",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_edge"), primary_key=True),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(edge, [{"id": 1, "size": 0, "hashes": b""}])
    op.create_table(
        "checkpoints",
        counted(),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
