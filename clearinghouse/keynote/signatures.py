"""Signatures of credentials (RFC 2704, section 4.6.7; RFC 2792; RFC 5708; decision 0002).

A signature value is ``KIND:BITS``.  What is signed is the assertion's text up to the line of
the Signature field, followed by ``KIND:`` just as it is written; so a signature cannot be
moved to another kind or another letter case::

    kind                 key                 bits
    sig-rsa-DIGEST       RSA                 PKCS#1 v1.5 block over an OCTET STRING of the digest
    sig-dsa-sha1         DSA                 DER (r, s) over the digest
    sig-x509-DIGEST      RSA                 PKCS#1 v1.5 block over a DigestInfo (RFC 8017, 9.2)
                         ECDSA, DSA          DER (r, s) over the digest
    sig-ed25519          Ed25519             64 bytes over the text itself (RFC 8032), ours

each followed by ``-hex`` or ``-base64``.  The kind must fit the key, not the spelling of the
key: an RSA certificate and the bare RSA key are one principal.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from clearinghouse.errors import BadSignature, WeakKey
from clearinghouse.keynote import encoding
from clearinghouse.keynote.der import octet_string
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.octets import octets_to_bytes
from clearinghouse.keynote.principals import LEGACY_MEND, BinaryIdentifier, check_key, decode, shown
from clearinghouse.keynote.public_keys import DsaKey, EcdsaKey, Ed25519Key, PublicKey, RsaKey

if TYPE_CHECKING:
    from clearinghouse.keynote.keys import PrivateKey

_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of signature: its identifier without the colon, and what it means."""

    name: str
    family: str
    digest: str
    """hashlib's name of the digest; empty where the text itself is signed."""
    encoding: Encoding
    legacy: bool


_DIGESTS = {
    "rsa": ("md5", "sha1", "sha256", "sha512", "ripemd160"),
    "dsa": ("sha1",),
    "x509": ("sha1", "sha256", "sha512", "ripemd160"),
}
_KEYS_OF_FAMILY = {"rsa": ("rsa",), "dsa": ("dsa",), "x509": ("rsa", "ecdsa", "dsa"), "ed25519": ("ed25519",)}
_BROKEN = frozenset({"md5", "sha1"})

KINDS: Final = MappingProxyType(
    {
        kind.name: kind
        for form in Encoding
        for kind in (
            *(
                Kind(f"sig-{family}-{digest}-{form}", family, digest, form, legacy=digest in _BROKEN)
                for family, digests in _DIGESTS.items()
                for digest in digests
            ),
            Kind(f"sig-ed25519-{form}", "ed25519", "", form, legacy=False),
        )
    }
)
"""Every kind that we know: IANA's KeyNote Signature Algorithm Identifiers, and Ed25519."""

DEFAULT_KINDS: Final = MappingProxyType({"ed25519": "sig-ed25519-hex", "rsa": "sig-rsa-sha256-hex", "ecdsa": "sig-x509-sha512-hex"})
"""What `sign` uses for a family of keys; DSA has no kind that is not legacy, so none is chosen."""

_DIGEST_INFO = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
    "ripemd160": bytes.fromhex("3021300906052b2403020105000414"),
}
"""DigestInfo without the digest (RFC 8017, section 9.2, note 1; RIPEMD-160 by ISO 10118-3)."""

# The library asks for an algorithm but looks at its length alone; it has no name for RIPEMD-160.
_PREHASHED = {20: Prehashed(hashes.SHA1()), 32: Prehashed(hashes.SHA256()), 64: Prehashed(hashes.SHA512())}  # noqa: S303


def verify(signed_bytes: bytes, signature: str, authorizer: str, *, allow_legacy: bool = False, limits: Limits = _LIMITS) -> None:
    """Return if *signature* is *authorizer*'s over *signed_bytes* and the kind's name; else raise.

    *signed_bytes* is the assertion up to and with the newline before the Signature label;
    *signature* and *authorizer* are the values of those two fields.  `BadSignature` says that
    it does not hold, `WeakKey` that the settings do not trust its kind or key, `BadPrincipal`
    and `TooLarge` that the key cannot be used.
    """
    name, bits = _split(signature)
    kind = _kind_of(name)
    _check_legacy(kind, allow_legacy=allow_legacy)
    key = _key_of(authorizer)
    _check_family(kind, key)
    if not isinstance(key, Ed25519Key):  # libsodium makes these checks itself, for half the time
        check_key(key, allow_legacy=allow_legacy, limits=limits)
    _verify(kind, key, signed_bytes + octets_to_bytes(name) + b":", _octets(kind, bits))


def sign(unsigned: bytes, key: PrivateKey, kind: str | None = None, *, allow_legacy: bool = False) -> str:
    """Return the signature value for *unsigned*, the text that `verify` takes.

    *kind* is an identifier such as ``sig-rsa-sha512-base64``, with or without its colon.
    Nothing is returned that `verify` would refuse: a slip in the arithmetic of RSA would give
    the private key away (Boneh, DeMillo, Lipton 1997).
    """
    chosen = _kind_of((kind or _default_kind(key)).removesuffix(":"))
    _check_legacy(chosen, allow_legacy=allow_legacy)
    _check_family(chosen, key.public)
    check_key(key.public, allow_legacy=allow_legacy)
    octets = _sign(chosen, key, unsigned + chosen.name.encode("ascii") + b":")
    signature = f"{chosen.name}:{encoding.encode(octets, chosen.encoding)}"
    verify(unsigned, signature, key.principal, allow_legacy=allow_legacy)
    return signature


def _split(signature: str) -> tuple[str, str]:
    if not signature:
        raise BadSignature("the credential is not signed", mend="have its authorizer sign it")
    name, _, bits = signature.partition(":")
    return name, bits


def _kind_of(name: str) -> Kind:
    kind = KINDS.get(name.lower())
    if kind is None:
        raise BadSignature(f"`{shown(name)}` is no kind of signature", mend="sign again, for instance with `sig-ed25519-hex`")
    return kind


def _check_legacy(kind: Kind, *, allow_legacy: bool) -> None:
    if kind.legacy and not allow_legacy:
        raise WeakKey(f"the signature kind `{kind.name}` uses {kind.digest.upper()}, which is broken", mend=LEGACY_MEND)


def _key_of(authorizer: str) -> PublicKey:
    match decode(authorizer):
        case None:
            raise BadSignature(f"the authorizer `{shown(authorizer)}` is a name, and names cannot sign", mend="name the key in Authorizer")
        case BinaryIdentifier():
            raise BadSignature("the authorizer is a binary identifier, and those cannot sign", mend="name the key in Authorizer")
        case key:
            return key


def _check_family(kind: Kind, key: PublicKey) -> None:
    if key.family not in _KEYS_OF_FAMILY[kind.family]:
        fitting = DEFAULT_KINDS.get(key.family, "sig-dsa-sha1-hex")
        raise BadSignature(f"`{kind.name}` does not fit the authorizer's {key.title}", mend=f"sign again, for instance with `{fitting}`")


def _default_kind(key: PrivateKey) -> str:
    try:
        return DEFAULT_KINDS[key.public.family]
    except KeyError:
        raise WeakKey(f"a {key.public.title} has no kind of signature that is not legacy", mend=LEGACY_MEND) from None


def _octets(kind: Kind, bits: str) -> bytes:
    try:
        return encoding.decode(bits, kind.encoding)
    except ValueError:
        raise BadSignature(f"the signature's bits are not {kind.encoding}", mend="give them whole, without white space") from None


def _verify(kind: Kind, key: PublicKey, message: bytes, octets: bytes) -> None:
    match key:
        case Ed25519Key():
            _verify_ed25519(key, message, octets)
        case RsaKey():
            _verify_rsa(kind, key, _digest(kind, message), octets)
        case EcdsaKey():
            _verify_ecdsa(key, _digest(kind, message), octets)
        case DsaKey():
            _verify_dsa(key, _digest(kind, message), octets)


def _verify_ed25519(key: Ed25519Key, message: bytes, octets: bytes) -> None:
    """One verifier for all: libsodium and OpenSSL disagree about odd points and odd scalars."""
    _check_length(octets, 64)
    try:
        crypto_sign_open(octets + message, key.bits)
    except BadSignatureError:
        raise _not_holding() from None


def _verify_rsa(kind: Kind, key: RsaKey, digest: bytes, octets: bytes) -> None:
    """Undo the RSA operation and compare all of what was padded, not only the digest (R19).

    The library has checked that the block is 00 01 ff..ff 00 and then the payload; with the
    payload equal in length and content, nothing is left in which to hide a forged cube root.
    """
    _check_length(octets, (key.modulus.bit_length() + 7) // 8)
    try:
        public = rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()
        payload = public.recover_data_from_signature(octets, padding.PKCS1v15(), NoDigestInfo())
    except (InvalidSignature, ValueError):
        raise _not_holding() from None
    if hmac.compare_digest(payload, _payload(kind, digest)):
        return
    if hmac.compare_digest(payload[-len(digest) :], digest):
        raise BadSignature(f"the digest is right, but not packed as `{kind.name}` wants it", mend="see decision 0002, and sign again")
    raise _not_holding()


def _verify_ecdsa(key: EcdsaKey, digest: bytes, octets: bytes) -> None:
    public = cast("ec.EllipticCurvePublicKey", load_der_public_key(key.bits))  # it was one when `key` was read
    try:
        public.verify(octets, digest, ec.ECDSA(_PREHASHED[len(digest)]))
    except InvalidSignature:
        raise _not_holding() from None


def _verify_dsa(key: DsaKey, digest: bytes, octets: bytes) -> None:
    parameters = dsa.DSAParameterNumbers(key.p, key.q, key.g)
    try:
        public = dsa.DSAPublicNumbers(key.y, parameters).public_key()
    except ValueError:
        raise BadSignature(f"a {key.title} cannot be checked by this system's library", mend="sign with an Ed25519 key") from None
    try:
        public.verify(octets, digest, _PREHASHED[len(digest)])
    except InvalidSignature:
        raise _not_holding() from None


def _sign(kind: Kind, key: PrivateKey, message: bytes) -> bytes:
    match key.secret:
        case ed25519.Ed25519PrivateKey() as secret:
            return secret.sign(message)
        case rsa.RSAPrivateKey() as secret:
            # NoDigestInfo pads our payload as it is: OpenSSL's blinded operation, no arithmetic of ours.
            return secret.sign(_payload(kind, _digest(kind, message)), padding.PKCS1v15(), NoDigestInfo())
        case ec.EllipticCurvePrivateKey() as secret:
            digest = _digest(kind, message)
            return secret.sign(digest, ec.ECDSA(_PREHASHED[len(digest)]))
        case dsa.DSAPrivateKey() as secret:
            digest = _digest(kind, message)
            return secret.sign(digest, _PREHASHED[len(digest)])


def _payload(kind: Kind, digest: bytes) -> bytes:
    """Return what the PKCS#1 block of an RSA signature holds after its padding."""
    return _DIGEST_INFO[kind.digest] + digest if kind.family == "x509" else octet_string(digest)


def _digest(kind: Kind, message: bytes) -> bytes:
    try:
        return hashlib.new(kind.digest, message).digest()
    except ValueError:
        raise BadSignature(f"this system has no {kind.digest.upper()}", mend="sign with SHA-256 or an Ed25519 key") from None


def _check_length(octets: bytes, length: int) -> None:
    if len(octets) != length:
        raise BadSignature(f"the signature has {len(octets)} bytes instead of {length}", mend="give it whole")


def _not_holding() -> BadSignature:
    return BadSignature("the signature does not verify", mend="the text was changed after signing, or another key signed it")
