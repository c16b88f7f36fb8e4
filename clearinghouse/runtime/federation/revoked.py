"""The revocation set that is published: as the revoker's key signs it now, or as the revoker signed it by hand (rule R15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.dsse import REVOCATIONS, opened
from clearinghouse.errors import OperatorError
from clearinghouse.federation.published import revocations
from clearinghouse.federation.published.documents import MAX_REVOCATIONS_BYTES, digest, revocations_name
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.runtime.federation.ceremony import Found
from clearinghouse.runtime.federation.sealing import Seals
from clearinghouse.runtime.federation.shelf import Shelf
from clearinghouse.runtime.standing.books import Books
from clearinghouse.storage.changes import Published

log = structlog.get_logger(__name__)


class NoRevocations(OperatorError):
    """There is no revocation set that a timestamp could name."""

    code: ClassVar[str] = "no-revocations"


@dataclass(slots=True)
class RevokedSets:
    """Keeps the published set what the books say; ``signs`` is false where the revoker signs by hand."""

    community: str
    epoch: int
    lifetime: timedelta
    books: Books
    shelf: Shelf
    seals: Seals
    signs: bool
    _last: RevocationSet | None = None
    _digest: str = ""
    _given: int = 0
    _refused: int = 0

    def restore(self) -> None:
        """Begin with the newest set on the shelf."""
        found = [each for name, each in self.shelf.documents.items() if name.startswith("revocations/")]
        for each in found:
            payload = opened(each.body, payload_type=REVOCATIONS, most=MAX_REVOCATIONS_BYTES).payload
            last = revocations.read_payload(payload)
            if self._last is None or (last.epoch, last.version) > (self._last.epoch, self._last.version):
                self._last, self._digest, self._given = last, digest(payload), last.version

    @property
    def named(self) -> tuple[int, str]:
        """Version and payload digest of the published set, as a timestamp names it; raises `NoRevocations`."""
        if self._last is None:
            raise NoRevocations("there is no revocation set", mend="name the key in [revoker], or have it sign `revocations-1.json`")
        return self._last.version, self._digest

    async def current(self, found: Found, now: datetime) -> bool:
        """Publish a set where the books say other things than the last one, or it grows old; return whether it is new."""
        if self.signs:
            return await self._signed(now)
        by_hand = found.revocations
        if by_hand is None or (self._last is not None and self._is_old(by_hand[0], self._last)):
            return False
        await self._put(*by_hand, now)
        return True

    def _is_old(self, found: RevocationSet, last: RevocationSet) -> bool:
        """Say whether *found* must not follow *last*: it is older, or takes back what was revoked, which agents refuse (rule R15)."""
        if found.epoch == last.epoch and not all(set(old) <= set(new) for old, new in zip(_what(last)[1:], _what(found)[1:], strict=True)):
            if self._refused != found.version:
                mend = "have the revoker sign a set with all that was revoked before"
                log.error("revocations_left_out", version=found.version, reason="it takes back what was revoked", mend=mend)
            self._refused = found.version
            return True
        return found.version <= last.version and found.epoch <= last.epoch

    async def _signed(self, now: datetime) -> bool:
        last = self._last
        wanted = self._wanted(self._given + 1, now)
        if last is not None and now < last.issued + self.lifetime / 2 and _what(last) == _what(wanted):
            return False
        sealed = await self.seals.revocations(revocations.written(wanted))
        self._given = wanted.version  # a number that was signed is not given again, whatever becomes of it
        await self._put(wanted, sealed, now)
        return True

    def _wanted(self, version: int, now: datetime) -> RevocationSet:
        standing = [each for each in self.books.revocations.values() if each.lifted is None]

        last = self._last if self._last is not None and self._last.epoch == self.epoch else None
        before = ((), (), ()) if last is None else (last.credentials, last.principals, last.below)

        def named(kind: RevocationKind, published: tuple[str, ...]) -> tuple[str, ...]:  # what was published stays, whoever signed it
            return tuple(sorted({*published, *(each.name for each in standing if each.kind is kind)}))

        return RevocationSet(
            self.community,
            self.epoch,
            version,
            now,
            now + self.lifetime,
            named(RevocationKind.CREDENTIAL, before[0]),
            named(RevocationKind.PRINCIPAL, before[1]),
            named(RevocationKind.BELOW, before[2]),
        )

    async def _put(self, found: RevocationSet, sealed: bytes, now: datetime) -> None:
        payload = opened(sealed, payload_type=REVOCATIONS, most=MAX_REVOCATIONS_BYTES).payload
        name = revocations_name(found.version)
        old = tuple(each for each in self.shelf.documents if each.startswith("revocations/") and each != name and each != self._name())
        await self.books.write(Published(now, {name: sealed}, old))
        self.shelf.put({name: sealed}, old, "")
        self._last, self._digest, self._given = found, digest(payload), found.version

    def _name(self) -> str:
        return "" if self._last is None else revocations_name(self._last.version)


def _what(found: RevocationSet) -> tuple[tuple[object, ...], ...]:
    return (found.epoch,), found.credentials, found.principals, found.below
