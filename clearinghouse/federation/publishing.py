"""What is published next: heads, contents, deltas and timestamps, to be signed (pure).

A publisher keeps the head and the rows of the newest version of one audience, and makes the next one of other
rows.  Versions only go up; rows that did not change make no version.  Who signs, and where the keys are, is
the caller's: `sealed` takes keys, `clearinghouse.clearing.dsse.assembled` signatures that were made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from clearinghouse.federation.tables import Table
from clearinghouse.federation.timestamps import Timestamp
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
        raise NotImplementedError

    def sealed(self, keys: Sequence[PrivateKey]) -> dict[str, bytes]:
        """Return `documents` with a head that *keys* sign."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Publisher:
    """What has been published for one audience; ``last`` is the newest version, ``None`` before the first."""

    community: str
    audience: str
    epoch: int
    levels: tuple[str, ...]
    last: Table | None = None

    def edition(self, rows: Mapping[str, str], *, now: datetime, expires: datetime) -> Edition | None:
        """Return the next version with *rows*; ``None`` where neither they, the levels nor the epoch have changed.

        A version that only lives longer is made with `renewed`.
        """
        raise NotImplementedError

    def renewed(self, *, now: datetime, expires: datetime) -> Edition:
        """Return the next version with the same rows and a later end."""
        raise NotImplementedError

    def after(self, edition: Edition) -> Publisher:
        """Return the publisher that has published *edition*."""
        raise NotImplementedError

    def timestamp(self, *, now: datetime, expires: datetime, root: int, revocations: tuple[int, str], members: bytes) -> Timestamp:
        """Return what says that ``last`` is the newest.

        *root* is the generation of root metadata, *revocations* version and payload digest of the revocation set,
        *members* the document with the member records (`members.listed`).
        """
        raise NotImplementedError
