"""One view of the tables: what was published for one audience, and what comes next (pure but for what is handed in)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from clearinghouse.clearing.dsse import TABLE, TIMESTAMP, opened
from clearinghouse.federation.published import tables, timestamps
from clearinghouse.federation.published.documents import (
    MAX_CONTENT_BYTES,
    MAX_HEAD_BYTES,
    digest,
    parted,
    table_name,
    timestamp_name,
    view_of,
)
from clearinghouse.federation.published.members import listed
from clearinghouse.federation.published.publishing import Publisher
from clearinghouse.federation.published.tables import Table
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.runtime.federation.roll import Enlisted

KEPT_DELTAS: Final = 64
"""Deltas of one view that are kept: an agent that was away for more changes fetches the whole table."""

KEPT_TABLES: Final = 2
"""Whole tables of one view, and lists of members: the newest, and the one that somebody may be fetching just now."""


@dataclass(frozen=True, slots=True)
class View:
    """What stands for one audience, a domain or `*`: the publisher with the newest table, and the newest timestamp.

    ``table`` is the newest one that is published.  ``stable_until`` is when the clock alone could change a level in
    it.  ``burnt`` says that the publisher's last version was signed and never published: its number is not given again.
    """

    publisher: Publisher
    timestamp: Timestamp | None = None
    table: Table | None = None
    stable_until: datetime | None = None
    burnt: bool = False

    @property
    def audience(self) -> str:
        """For whom the view is."""
        return self.publisher.audience

    @classmethod
    def restored(cls, publisher: Publisher, documents: Mapping[str, bytes]) -> View:
        """Return what *documents* say was published last; *publisher* has published nothing yet."""
        raw = documents.get(timestamp_name(publisher.audience))
        if raw is None:
            return cls(publisher)
        last = timestamp_in(raw)
        table = table_in(documents[table_name(publisher.audience, last.version)])
        return cls(replace(publisher, last=table), last, table)


def timestamp_in(document: bytes) -> Timestamp:
    """Return the timestamp that was published as *document*; raises what reading it does."""
    return timestamps.read_payload(opened(document, payload_type=TIMESTAMP).payload)


def table_in(document: bytes) -> Table:
    """Return the whole table that was published as *document*; raises what reading it does."""
    sealed, content = parted(document, MAX_CONTENT_BYTES)
    payload = opened(sealed, payload_type=TABLE, most=MAX_HEAD_BYTES).payload
    head = tables.read_payload(payload)
    return Table(head, digest(payload), tables.read_content(content, head.levels))


def visible(audience: str, rows: Mapping[str, str], roll: Mapping[str, Enlisted]) -> bytes:
    """Return the list of records that *audience* sees: all members in the community's view, else its own and those with a level."""
    every = audience == "*"
    found = (each.kept.sealed for name, each in roll.items() if not each.member.removed and (every or name in rows or name == audience))
    return listed(found)


def outdated(audience: str, names: Iterable[str], version: int, members: str) -> tuple[str, ...]:
    """Return which of the published *names* of a view go, once *version* and the list *members* are its newest."""
    view, gone = view_of(audience), []
    lists: list[str] = []
    for name in names:
        parts = name.split("/")
        if len(parts) != 3 or parts[0] != view:  # noqa: PLR2004 - view, kind, number
            continue
        kind, number = parts[1], parts[2]
        if kind == "members":
            lists.append(name)
        elif int(number) > version or int(number) <= version - (KEPT_TABLES if kind == "table" else KEPT_DELTAS):
            gone.append(name)
    old = [name for name in lists if not name.endswith(members)]
    return (*gone, *old[: max(0, len(old) + 1 - KEPT_TABLES)])
