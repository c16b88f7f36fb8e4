"""What is published next: heads, contents, deltas and timestamps, to be signed (pure).

A publisher keeps the newest version of one audience, and makes the next one of other rows.  Versions only go
up; rows that did not change make no version.  Who signs, and where the keys are, is the caller's:
`Edition.sealed` takes keys, `clearinghouse.clearing.dsse.assembled` signatures that were made elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from clearinghouse.federation.published import deltas, tables
from clearinghouse.federation.published.documents import MAX_DELTA_BYTES, delta_name, digest, joined, table_name
from clearinghouse.federation.published.payloads import reading
from clearinghouse.federation.published.rows import Rows
from clearinghouse.federation.published.tables import Head, Table
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.keynote.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class Edition:
    """A version to be published: the ``payload`` to be signed as `TABLE`, the ``content``, and the ``delta``, empty for none."""

    table: Table
    payload: bytes = field(repr=False)
    content: bytes = field(repr=False)
    delta: bytes = field(default=b"", repr=False)

    def documents(self, sealed_head: bytes) -> dict[str, bytes]:
        """Return the documents of this version by name, once its head is sealed: the table, and the delta where there is one."""
        head = self.table.head
        found = {table_name(head.audience, head.version): joined(sealed_head, self.content)}
        if self.delta:
            found[delta_name(head.audience, head.version)] = joined(sealed_head, self.delta)
        return found

    def sealed(self, keys: Sequence[PrivateKey]) -> dict[str, bytes]:
        """Return `documents` with a head that *keys* sign."""
        return self.documents(tables.seal_head(self.payload, keys))


@dataclass(frozen=True, slots=True)
class Publisher:
    """What has been published for one audience; ``last`` is the newest version, ``None`` before the first."""

    community: str
    audience: str
    epoch: int
    levels: tuple[str, ...]
    last: Table | None = None

    def edition(
        self, rows: Mapping[str, str], *, now: datetime, expires: datetime, touched: Collection[str] | None = None
    ) -> Edition | None:
        """Return the next version with *rows*; ``None`` where neither they, the levels nor the epoch have changed.

        *touched* are the only domains whose level may differ from the last version's, where that is known: the
        delta is then found in no time.  A version that only lives longer is `renewed`.
        """
        found = Rows.of(rows).above(self.levels[0])
        with reading("the table", mend="publish names in normal form, with levels of the community"):
            content = tables.content_of(found, self.levels)
        if self.last is not None and self._follows() and digest(content) == self.last.head.content:
            return None
        return self._made(found, content, self._delta(found, len(content), touched), now, expires)

    def renewed(self, *, now: datetime, expires: datetime) -> Edition:
        """Return the next version with the same rows and a later end."""
        rows = self.last.rows if self.last is not None else Rows()
        content = tables.content_of(rows, self.levels)
        return self._made(rows, content, deltas.written(deltas.Delta()) if self._follows() else b"", now, expires)

    def after(self, edition: Edition) -> Publisher:
        """Return the publisher that has published *edition*."""
        return replace(self, last=edition.table)

    def timestamp(self, *, now: datetime, expires: datetime, root: int, revocations: tuple[int, str], members: bytes) -> Timestamp:
        """Return what says that ``last``, which there must be, is the newest.

        *root* is the generation of root metadata, *revocations* version and payload digest of the revocation set,
        *members* the document with the member records (`members.listed`).
        """
        if self.last is None:
            raise ValueError("nothing is published that a timestamp could name")
        head = self.last.head
        return Timestamp(
            community=self.community,
            audience=self.audience,
            epoch=self.epoch,
            version=head.version,
            head=self.last.digest,
            size=head.size,
            issued=now,
            expires=expires,
            root=root,
            revocations=revocations[0],
            revocations_digest=revocations[1],
            members_digest=digest(members),
            members_size=len(members),
        )

    def _follows(self) -> bool:
        """Say whether the next version goes on where the last one ended: in a new epoch, everything begins anew."""
        return self.last is not None and self.last.head.epoch == self.epoch and self.last.head.levels == self.levels

    def _delta(self, rows: Rows, size: int, touched: Collection[str] | None) -> bytes:
        """Return what leads here from the last version; nothing where that cannot be told, or would be longer than the whole."""
        if self.last is None or not self._follows():
            return b""
        delta = deltas.delta_among(touched, self.last.rows, rows) if touched is not None else deltas.delta_between(self.last.rows, rows)
        written = deltas.written(delta)
        return written if len(written) <= min(MAX_DELTA_BYTES, size) else b""

    def _made(self, rows: Rows, content: bytes, delta: bytes, now: datetime, expires: datetime) -> Edition:
        last = self.last if self.last is not None and self.last.head.epoch == self.epoch else None
        head = Head(
            community=self.community,
            audience=self.audience,
            epoch=self.epoch,
            version=last.head.version + 1 if last is not None else 1,
            issued=now,
            expires=expires,
            previous=last.digest if last is not None else "",
            levels=self.levels,
            count=len(rows),
            size=len(content),
            content=digest(content),
            delta=digest(delta) if delta else "",
        )
        payload = tables.written(head)
        return Edition(Table(head, digest(payload), rows), payload, content, delta)
