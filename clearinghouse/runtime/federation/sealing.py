"""What the keys of a federation sign, one after the other where several must (k-of-n)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from clearinghouse.clearing.dsse import REVOCATIONS, TABLE, TIMESTAMP, assembled
from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import Unavailable
from clearinghouse.federation.published.documents import MAX_HEAD_BYTES, MAX_REVOCATIONS_BYTES
from clearinghouse.signer.client import Sealer, Signers
from clearinghouse.signer.roles import SignerUnavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seals:
    """Has payloads signed; every method raises `SignerUnavailable` and `SignerRefused`."""

    signers: Signers

    async def table(self, payload: bytes) -> bytes:
        """Return a head signed by everybody who signs tables and is there."""
        return await _together(self.signers.tables, payload, TABLE, MAX_HEAD_BYTES)

    async def timestamp(self, payload: bytes) -> bytes:
        """Return a signed timestamp."""
        return await _together(_one(self.signers.timestamp), payload, TIMESTAMP, MAX_HEAD_BYTES)

    async def revocations(self, payload: bytes) -> bytes:
        """Return a signed revocation set."""
        return await _together(_one(self.signers.revoker), payload, REVOCATIONS, MAX_REVOCATIONS_BYTES)


def _one(sealer: Sealer | None) -> Sequence[Sealer]:
    return () if sealer is None else (sealer,)


async def _together(sealers: Sequence[Sealer], payload: bytes, payload_type: str, most: int) -> bytes:
    """Return *payload* with the signatures of all *sealers* that are there: whether they suffice is policy's to say (k-of-n)."""
    sealed: list[bytes] = []
    away: Unavailable | None = None
    for each in sealers:
        try:
            sealed.append(await each.sealed(payload))
        except SignerUnavailable as error:
            log.warning("signer_away", principal=each.principal[:32], reason=error.message)
            away = error
    if not sealed:
        raise away or SignerUnavailable("nobody signs this", mend="name the key in the settings")
    if len(sealed) == 1:
        return sealed[0]
    signatures = [(one["keyid"], one["sig"]) for each in sealed for one in read_object(each)["signatures"]]
    return assembled(payload, payload_type, signatures, most=most)
