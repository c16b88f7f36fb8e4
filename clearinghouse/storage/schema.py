"""The tables of the database; ``migrations`` brings an older one to this state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    text,
)


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


metadata: Final = MetaData()

decisions: Final = Table(
    "decisions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # in the order in which they became durable
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
    Index("decisions_by_place", "broker", "node", "subscriber", "subid"),
    Index("decisions_owed", "number", sqlite_where=text("effect = 'owed'")),
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
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)
