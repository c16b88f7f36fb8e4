"""The tables of the database; ``migrations`` brings an older one to this state.

Rows with a key of their own are in the order of ``rowid``, which SQLite has by itself and other databases as a column.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    text,
)
from sqlalchemy.ext.compiler import compiles


class Instant(TypeDecorator[datetime]):
    """A point in time as UTC text of fixed width, which sorts as time does and reads well in any SQLite shell."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - one form for all
        """Return what is written."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401, ARG002 - one form for all
        """Return what was read."""
        return None if value is None else datetime.fromisoformat(value)


Number: Final = BigInteger().with_variant(Integer(), "sqlite")
"""What goes on for as long as a store lives: SQLite's integers have 64 bits, and are counted up only under that name."""


@compiles(String, "postgresql")
def _unbounded(*_: object, **__: object) -> str:
    """Return the name of every text column: its length says what to expect, and must keep no decision from being recorded."""
    return "TEXT"


metadata: Final = MetaData()

decisions: Final = Table(
    "decisions",
    metadata,
    Column("number", Number, Identity(), primary_key=True, autoincrement=True),  # in the order in which they became durable
    Column("id", String(64), nullable=False, unique=True),
    Column("at", Instant, nullable=False),
    Column("request", String(64), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("door", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("value", String(256), nullable=False),
    Column("reason_code", String(64), nullable=False),
    Column("reason_text", String, nullable=False),
    Column("requesters", JSON, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("scale", JSON, nullable=False),  # the compliance values of the query, weakest first
    Column("proof", JSON(none_as_null=True)),
    Column("snapshot", String(64), nullable=False),
    Column("engine", String(32), nullable=False),
    Column("ends", Instant),
    Column("broker", String),  # with the next three: where the answer goes
    Column("node", String),
    Column("subscriber", String),
    Column("subid", String),
    Column("effect", String(16), nullable=False),
    Column("effect_done_at", Instant),
    Column("latency_ms", Float),
    Column("until", Instant),
    Column("took_us", Number),
    Column("approvals", JSON(none_as_null=True)),  # what the desk had signed for the request, one character an octet
    Column("salt", LargeBinary),  # with which the log's record commits to the facts
    Column("erased", Instant),
    Index("decisions_by_place", "broker", "node", "subscriber", "subid"),
    Index("decisions_owed", "number", sqlite_where=text("effect = 'owed'"), postgresql_where=text("effect = 'owed'")),
    sqlite_autoincrement=True,
)

clock: Final = Table(
    "clock",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_clock"), primary_key=True),
    Column("highest", Instant, nullable=False),
)

snapshots: Final = Table(
    "snapshots",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("texts", LargeBinary, nullable=False),
)

events: Final = Table(
    "events",
    metadata,
    Column("number", Number, Identity(), primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)

cases: Final = Table(
    "cases",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("request", JSON, nullable=False),
    Column("opened", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("approvals", JSON, nullable=False),
    Column("credential", LargeBinary, nullable=False),
    Column("closed", Instant),
    Column("by", String, nullable=False),
    Column("why", String, nullable=False),
    Index(
        "cases_standing",
        "state",
        sqlite_where=text("state IN ('pending', 'approved')"),
        postgresql_where=text("state IN ('pending', 'approved')"),
    ),
)

grants: Final = Table(
    "grants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("request", JSON, nullable=False),
    Column("since", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("case", String(64), nullable=False),
    Column("ended", Instant),
    Column("why_code", String(64)),
    Column("why_text", String),
    Column("affiliation", String(32), nullable=False),
    Column("told", Instant),  # when the broker was told of the end
    Index("grants_standing", "told", sqlite_where=text("told IS NULL"), postgresql_where=text("told IS NULL")),
)

revocations: Final = Table(
    "revocations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("lifted", Instant),
)

credentials: Final = Table(
    "credentials",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Instant, nullable=False),
)

seen: Final = Table(
    "seen",
    metadata,
    Column("signer", String, primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("until", Instant, nullable=False),
    Index("seen_until", "until"),
)

entries: Final = Table(
    "entries",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),  # the leaf's index, from 0
    Column("at", Instant, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("ref", String(128), nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("salt", LargeBinary(32)),  # with the record: what opens the commitment, until it is erased
    Column("record", LargeBinary),
    Index("entries_by_ref", "ref"),
)

tiles: Final = Table(
    "tiles",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),  # of the perfect subtree over 256 leaves, from 0
    Column("root", LargeBinary(32), nullable=False),
    Column("leaves", LargeBinary, nullable=False),  # their 256 hashes
)

edge: Final = Table(
    "edge",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_edge"), primary_key=True),
    Column("size", Number, nullable=False),
    Column("hashes", LargeBinary, nullable=False),  # of the perfect subtrees that the tree is made of, leftmost first
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("number", Number, Identity(), primary_key=True, autoincrement=True),
    Column("size", Number, nullable=False),
    Column("at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

members: Final = Table(
    "members",
    metadata,
    Column("domain", String, primary_key=True),
    Column("serial", Number, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("removed", Integer, nullable=False),
)

drafts: Final = Table(
    "drafts",
    metadata,
    Column("domain", String, primary_key=True),  # one draft about a domain at a time
    Column("id", String(64), nullable=False, unique=True),
    Column("payload", LargeBinary, nullable=False),
    Column("source", String(16), nullable=False),
    Column("by", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("why", String, nullable=False),
)

documents: Final = Table(
    "documents",
    metadata,
    Column("name", String, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

agents: Final = Table(
    "agents",
    metadata,
    Column("domain", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("report", JSON, nullable=False),
)
