"""What a door saw of one question: who wants to reach whom, and what was proven about that (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NONE = "none"
"""What is written where there is nothing: no TLS, no cipher, no certificate. No attribute is ever empty (rule R7)."""


class Proof(StrEnum):
    """How a peer proved its name; the value is what a policy reads as `auth_method`."""

    CERTIFICATE = "external"
    """A certificate that verifies and whose names cover the domain."""
    DIALBACK = "dialback"
    """A key that the member's recorded server knew again (XEP-0220)."""
    NOTHING = "none"


class Require(StrEnum):
    """What a peer must have proven before it hears more than a bare `policy-violation`."""

    CERTIFICATE = "certificate"
    DIALBACK = "dialback"
    """Dialback at least; a certificate is more."""
    NOTHING = "none"

    def met_by(self, proof: Proof) -> bool:
        """Say whether *proof* is at least what is demanded."""
        match self:
            case Require.CERTIFICATE:
                return proof is Proof.CERTIFICATE
            case Require.DIALBACK:
                return proof is not Proof.NOTHING
            case Require.NOTHING:
                return True


@dataclass(frozen=True, slots=True)
class Seen:
    """What a door saw of one question.

    ``claimed`` and ``wanted`` are names in normal form (`clearinghouse.federation.names.normal`), empty where the
    peer named none, or none that is a name.  ``proof`` says whether the peer *is* ``claimed``.  ``key`` is the key of
    its certificate as a principal in normal form, empty for none; with dialback there is none, for nothing ties it.
    ``issuer`` is the certificate's issuer as text (RFC 4514), ``address`` the peer's IP address without the port.  ``doubt`` says
    in one word why a certificate proved nothing: for the log, and for nobody else.
    """

    claimed: str
    wanted: str
    proof: Proof
    key: str = ""
    issuer: str = NONE
    tls_version: str = NONE
    cipher: str = NONE
    address: str = NONE
    doubt: str = ""
