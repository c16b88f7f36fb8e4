"""What keys are for, and how a signer says no."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from clearinghouse.errors import PeerError, Unavailable


class SignerRefused(PeerError):
    """The signer does not sign this; its reason is the message."""

    code: ClassVar[str] = "signer-refused"


class SignerUnavailable(Unavailable):
    """The process with the key is not there now; it is started again by itself."""

    code: ClassVar[str] = "signer-unavailable"


class Role(StrEnum):
    """What a key is for; no key has two."""

    DESK = "desk"
    LOG = "log"
    REGISTRAR = "registrar"
    TABLE = "table"
    TIMESTAMP = "timestamp"
    REVOKER = "revoker"
