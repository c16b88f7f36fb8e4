"""Public keys as numbers: what a principal's bits decode to.

Each key knows its *family* (the first part of its identifier), its *bits* (the bytes of its
normal form) and a *title* for people.  Nothing here judges whether a key is strong enough;
a key of 512 bits is still somebody (``principals.check_strength``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import load_der_x509_certificate

from clearinghouse.keynote.der import read_integers, write_integers

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
"""The curves of FIPS 186-5 under the names that people use."""

ED25519_BYTES = 32
"""RFC 8032, section 5.1.5."""


@dataclass(frozen=True, slots=True)
class RsaKey:
    """PKCS#1 order, as every implementation has it; RFC 2792, section 3.2, prints the reverse."""

    family: ClassVar[str] = "rsa"
    modulus: int
    exponent: int

    @property
    def bits(self) -> bytes:
        """Return the DER RSAPublicKey (RFC 8017, appendix A.1.1)."""
        return write_integers(self.modulus, self.exponent)

    @property
    def title(self) -> str:
        """Return for instance ``RSA 2048-bit key``."""
        return f"RSA {self.modulus.bit_length()}-bit key"


@dataclass(frozen=True, slots=True)
class DsaKey:
    """Public value and parameters (RFC 2792, section 3.1)."""

    family: ClassVar[str] = "dsa"
    y: int
    p: int
    q: int
    g: int

    @property
    def bits(self) -> bytes:
        """Return the DER SEQUENCE of y, p, q, g."""
        return write_integers(self.y, self.p, self.q, self.g)

    @property
    def title(self) -> str:
        """Return for instance ``DSA 1024-bit key``."""
        return f"DSA {self.p.bit_length()}-bit key"


@dataclass(frozen=True, slots=True)
class EcdsaKey:
    """A point on a named curve.

    ``bits`` is the SubjectPublicKeyInfo (RFC 5480) with the curve's name and the uncompressed
    point, however compressed or explicit the certificate had them.
    """

    family: ClassVar[str] = "ecdsa"
    curve: str
    bits: bytes

    @property
    def title(self) -> str:
        """Return for instance ``ECDSA P-256 key``."""
        return f"ECDSA {CURVES.get(self.curve, self.curve)} key"


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """The 32 bytes of RFC 8032, section 5.1.5."""

    family: ClassVar[str] = "ed25519"
    bits: bytes

    @property
    def title(self) -> str:
        """Return ``Ed25519 key``."""
        return "Ed25519 key"


PublicKey = RsaKey | DsaKey | EcdsaKey | Ed25519Key


def read_rsa(bits: bytes) -> RsaKey:
    """Return the key of a PKCS#1 RSAPublicKey; raise ``ValueError`` if it is none."""
    modulus, exponent = read_integers(bits, 2)
    if modulus <= exponent:
        raise ValueError("the modulus comes first and is larger than the exponent")
    return RsaKey(modulus, exponent)


def read_dsa(bits: bytes) -> DsaKey:
    """Return the key of a SEQUENCE of y, p, q, g; raise ``ValueError`` if it is none."""
    key = DsaKey(*read_integers(bits, 4))
    if not 0 < key.y < key.p or not 0 < key.q < key.p or not 0 < key.g < key.p:
        raise ValueError("y, p, q, g are in that order, and p is the largest")
    return key


def read_ed25519(bits: bytes) -> Ed25519Key:
    """Return the key of 32 bytes; raise ``ValueError`` for another length."""
    if len(bits) != ED25519_BYTES:
        raise ValueError(f"an Ed25519 key has {ED25519_BYTES} bytes, not {len(bits)}")
    return Ed25519Key(bits)


def read_ecdsa(bits: bytes) -> EcdsaKey:
    """Return the key of a SubjectPublicKeyInfo; raise ``ValueError`` if it has no elliptic curve."""
    try:
        key = load_der_public_key(bits)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no DER SubjectPublicKeyInfo with a point on a known curve") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _read_point(key)
    raise ValueError("the key in it is of another type")


def read_certificate(bits: bytes) -> PublicKey:
    """Return the key inside a DER X.509 certificate; raise ``ValueError`` if there is none.

    Names, dates, extensions and the issuer's signature are not looked at: in KeyNote the
    assertion, not the certificate, says what the key may do (RFC 5708, and decision 0002).
    """
    try:
        key = load_der_x509_certificate(bits).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no DER certificate with a key of a known type") from None
    return read_library_key(key)


def read_library_key(key: PublicKeyTypes) -> PublicKey:
    """Return our form of a key that the ``cryptography`` package has loaded."""
    match key:
        case rsa.RSAPublicKey():
            rsa_numbers = key.public_numbers()
            return RsaKey(rsa_numbers.n, rsa_numbers.e)
        case dsa.DSAPublicKey():
            dsa_numbers = key.public_numbers()
            parameters = dsa_numbers.parameter_numbers
            return DsaKey(dsa_numbers.y, parameters.p, parameters.q, parameters.g)
        case ec.EllipticCurvePublicKey():
            return _read_point(key)
        case ed25519.Ed25519PublicKey():
            return Ed25519Key(key.public_bytes_raw())
        case _:
            raise ValueError(f"a key of type {type(key).__name__.removesuffix('PublicKey')} cannot sign assertions")


def _read_point(key: ec.EllipticCurvePublicKey) -> EcdsaKey:
    return EcdsaKey(key.curve.name, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
