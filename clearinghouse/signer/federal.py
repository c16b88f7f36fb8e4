"""What the keys of a federation sign: each one shape and nothing else, and never two things of one number (pure but for the key)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from clearinghouse.clearing.dsse import MEMBER, REVOCATIONS, TABLE, TIMESTAMP, seal
from clearinghouse.federation.published import members, revocations, tables, timestamps
from clearinghouse.federation.published.documents import MAX_HEAD_BYTES, MAX_MEMBER_BYTES, MAX_REVOCATIONS_BYTES
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.signer.roles import Role, SignerRefused

MAX_SERIES: Final = 200_000
"""Members or views whose last number is remembered, 200 bytes each; a community has at most 100,000 members."""


class Claim(NamedTuple):
    """What a payload says about itself: of which community and epoch, which number of which series, and from when to when it counts."""

    community: str
    epoch: int
    series: str
    number: int
    issued: datetime
    expires: datetime | None


class Shape(NamedTuple):
    """One kind of payload: its type, how it is read (whatever it is not raises), and how large its envelope may be."""

    payload_type: str
    read: Callable[[bytes], Claim]
    most: int


@dataclass(slots=True)
class ShapeRule:
    """Signs payloads of one *shape* for one community, that count for *longest* at most.

    Of each series, numbers only go up, and one number is one payload: what was signed is known as long as the
    process lives.  A timestamp is signed again and again for one table; of it, only the time goes up.
    """

    key: PrivateKey
    shape: Shape
    longest: timedelta
    _community: str = ""
    _epoch: int = 0
    _last: dict[str, tuple[int, str, datetime]] = field(default_factory=dict)

    def signed(self, payload: bytes) -> bytes:
        """Return the sealed *payload*; raises `MalformedDocument`, and `SignerRefused` for what would contradict the past."""
        claim = self.shape.read(payload)
        digest = hashlib.sha256(payload).hexdigest()
        self._check_place(claim)
        self._check_past(claim, digest)
        sealed = seal(payload, self.shape.payload_type, [self.key], most=self.shape.most)
        self._community, self._epoch = claim.community, claim.epoch
        self._last[claim.series] = (claim.number, digest, claim.issued)
        return sealed

    def _check_place(self, claim: Claim) -> None:
        if self._community and claim.community != self._community:
            raise SignerRefused("this is for another community", mend="give each community keys of its own")
        if claim.epoch < self._epoch:
            raise SignerRefused(
                f"this is of epoch {claim.epoch}, and epoch {self._epoch} has begun", mend="set `epoch` as the newest root says"
            )
        if claim.epoch > self._epoch:
            self._last.clear()
        if claim.expires is not None and claim.expires - claim.issued > self.longest:
            raise SignerRefused(f"this would count for longer than {self.longest}", mend="start the signer for longer lifetimes")
        if claim.series not in self._last and len(self._last) >= MAX_SERIES:
            raise SignerRefused("this is of one member or view too many", mend=f"at most {MAX_SERIES} are signed for")

    def _check_past(self, claim: Claim, digest: str) -> None:
        number, before, issued = self._last.get(claim.series, (0, "", claim.issued))
        if claim.number < number or claim.issued < issued:
            raise SignerRefused(f"number {number} was signed already, and this is {claim.number}", mend="find out who set the store back")
        if claim.number == number and digest != before and self.shape.payload_type != TIMESTAMP:
            raise SignerRefused(f"another number {number} was signed already", mend="find out who set the store back")


def _member(payload: bytes) -> Claim:
    found = members.read_payload(payload)
    return Claim(found.community, 0, found.domain, found.serial, found.issued, None)


def _table(payload: bytes) -> Claim:
    found = tables.read_payload(payload)
    return Claim(found.community, found.epoch, found.audience, found.version, found.issued, found.expires)


def _timestamp(payload: bytes) -> Claim:
    found = timestamps.read_payload(payload)
    return Claim(found.community, found.epoch, found.audience, found.version, found.issued, found.expires)


def _revocations(payload: bytes) -> Claim:
    found = revocations.read_payload(payload)
    return Claim(found.community, found.epoch, "", found.version, found.issued, found.expires)


SHAPES: Final[Mapping[Role, Shape]] = MappingProxyType(
    {
        Role.REGISTRAR: Shape(MEMBER, _member, MAX_MEMBER_BYTES),
        Role.TABLE: Shape(TABLE, _table, MAX_HEAD_BYTES),
        Role.TIMESTAMP: Shape(TIMESTAMP, _timestamp, MAX_HEAD_BYTES),
        Role.REVOKER: Shape(REVOCATIONS, _revocations, MAX_REVOCATIONS_BYTES),
    }
)
"""What each of these roles signs."""
