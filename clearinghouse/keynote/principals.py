"""Principals: who an assertion names (RFC 2704, section 4.4; RFC 2792; RFC 5708).

A principal is text.  ``ALGORITHM:BITS`` with a registered algorithm is a key or a binary
identifier, anything else is an opaque name, compared byte for byte.  Two texts name the same
principal exactly when their *normal forms* are equal::

    hub                        hub                      opaque, as written
    RSA-BASE64:MIGJAoGBALp...  rsa-hex:30818902...      the one DER encoding, lower case
    x509-base64:MIICGDCC...    rsa-hex:30818902...      the key inside the certificate
    ed25519-base64:11qYAYK...  ed25519-hex:d75a9801...  our extension: RFC 8032, 32 bytes
    x509-hex:308201...         ecdsa-hex:305930...      our extension: RFC 5480

A normal form is itself a principal's text and its own normal form.  That closes a hole: were
``ecdsa-hex:`` opaque, whoever may write a name could write the name of a key that they do not
have.  Known algorithm, undecodable bits: no principal at all, never an opaque name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from nacl.bindings import crypto_core_ed25519_is_valid_point

from clearinghouse.errors import BadPrincipal, TooLarge, WeakKey
from clearinghouse.keynote import encoding, public_keys
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.public_keys import DsaKey, EcdsaKey, Ed25519Key, PublicKey, RsaKey

if TYPE_CHECKING:
    from collections.abc import Callable

LEGACY_MEND = "have the holder make an Ed25519 key, or set `allow_legacy_signatures = true`"
"""What every refusal of an old key or signature kind proposes."""

NEW_KEY_MEND = "have its holder make a new key"

MIN_RSA_BITS = 2_048
"""R19; NIST SP 800-131A has refused shorter keys since 2014."""

MIN_RSA_EXPONENT = 65_537
"""R19; below it a careless verifier can be given a forged block."""

MAX_RSA_EXPONENT_BITS = 64
"""OpenSSL's own limit for moduli over 3,072 bits; verifying takes time in proportion."""

SHOWN_CHARACTERS = 64
"""Characters of somebody else's text that are shown at most."""

_CACHE_SIZE = 1_024
_CACHED_LENGTH = 4_096  # an RSA-8192 key in hex has 2,100 characters; so the cache stays below 8 MB
_LONGEST_ALGORITHM = len("ed25519-base64")
_LIMITS = Limits()
_is_normal_ed25519 = re.compile(r"ed25519-hex:[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class BinaryIdentifier:
    """Bytes without meaning, that can sign nothing (RFC 2792, section 2.3)."""

    family: ClassVar[str] = "binary"
    bits: bytes

    @property
    def title(self) -> str:
        """Return ``binary identifier``."""
        return "binary identifier"


def _read_binary(bits: bytes) -> BinaryIdentifier:
    if not bits:
        raise ValueError("a binary identifier has at least one byte")
    return BinaryIdentifier(bits)


_READERS: dict[str, Callable[[bytes], PublicKey | BinaryIdentifier]] = {
    "rsa": public_keys.read_rsa,
    "dsa": public_keys.read_dsa,
    "x509": public_keys.read_certificate,
    "binary": _read_binary,
    "ed25519": public_keys.read_ed25519,
    "ecdsa": public_keys.read_ecdsa,
}
_ALGORITHMS = {f"{family}-{form}": (reader, form) for family, reader in _READERS.items() for form in Encoding}


def normalise(text: str) -> str:
    """Return the normal form of the principal *text*; raise ``BadPrincipal`` for undecodable bits."""
    if _is_normal_ed25519(text) or _algorithm(text) is None:
        return text
    return _cached_normal_form(text) if len(text) <= _CACHED_LENGTH else _normal_form(text)


def decode(text: str) -> PublicKey | BinaryIdentifier | None:
    """Return what the principal *text* stands for, None for an opaque name.

    Raise ``BadPrincipal`` if the algorithm is known and the bits are not its.
    """
    algorithm = _algorithm(text)
    if algorithm is None:
        return None
    reader, form = _ALGORITHMS[algorithm]
    try:
        return reader(encoding.decode(text[len(algorithm) + 1 :], form))
    except ValueError as error:
        raise BadPrincipal(
            f"the principal `{shown(text)}` cannot be decoded ({error})",
            mend=f"after `{algorithm}:` give the key's bits in {form}, without white space and whole",
        ) from None


def of_certificate(der: bytes) -> str:
    """Return the normal form of the key in a DER X.509 certificate."""
    return normalise("x509-hex:" + der.hex())


def of_key(key: PublicKey | BinaryIdentifier) -> str:
    """Return the normal form of *key*."""
    return f"{key.family}-hex:{key.bits.hex()}"


def is_key(principal: str) -> bool:
    """Tell whether *principal* is written as a key, that can sign, and not as a name."""
    algorithm = _algorithm(principal)
    return algorithm is not None and not algorithm.startswith("binary-")


def describe(principal: str) -> str:
    """Return *principal* in words, for people: ``Ed25519 key 3f2a9c1d…``; never raises."""
    match _decode_or_none(principal):
        case None if _algorithm(principal):
            return f"undecodable principal `{shown(principal)}`"
        case None:
            return f"opaque name `{shown(principal)}`"
        case known:
            return f"{known.title} {_fingerprint(known)}…"


def short(principal: str) -> str:
    """Return a short name to read and talk about, such as ``ed25519-3f2a9c1d``; never raises.

    Eight digits can be imitated with some patience: show them, never compare them.
    """
    known = _decode_or_none(principal)
    return shown(principal) if known is None else f"{known.family}-{_fingerprint(known)}"


def shown(octets: str, at_most: int = SHOWN_CHARACTERS) -> str:
    """Return an octet string as text that is safe to print between backticks.

    Control, bidirectional and other invisible characters, backslash and backtick are escaped,
    and what comes after *at_most* characters is an ellipsis.
    """
    text = from_octets(octets[: 4 * at_most + 4])  # UTF-8 needs 4 bytes per character
    escaped = "".join(c if c.isprintable() and c not in "\\`" else _escape(c) for c in text[:at_most])
    return escaped + "…" if len(text) > at_most else escaped


def check_strength(principal: str, *, allow_legacy: bool, limits: Limits = _LIMITS) -> None:
    """Raise ``WeakKey`` or ``TooLarge`` if *principal* is a key that the settings refuse (R19).

    With *allow_legacy* short RSA keys, small exponents, DSA and unusual curves pass.  A key
    that anybody can sign for never passes.
    """
    check_key(decode(principal), allow_legacy=allow_legacy, limits=limits)


def check_key(key: PublicKey | BinaryIdentifier | None, *, allow_legacy: bool, limits: Limits = _LIMITS) -> None:
    """Do as `check_strength` does, for what `decode` returned."""
    match key:
        case RsaKey():
            _check_rsa(key, allow_legacy=allow_legacy, limits=limits)
        case DsaKey() if not allow_legacy:
            raise WeakKey(f"the principal is a {key.title}, and DSA is no longer trusted", mend=LEGACY_MEND)
        case EcdsaKey() if not allow_legacy and key.curve not in public_keys.CURVES:
            raise WeakKey(f"the principal is an {key.title}, not on P-256, P-384 or P-521", mend=LEGACY_MEND)
        case Ed25519Key(bits) if not crypto_core_ed25519_is_valid_point(bits):
            # Small order: one signature holds for many texts.  Not canonical: two names, one key.
            raise WeakKey(f"`{short(of_key(key))}` is no honest Ed25519 key", mend=NEW_KEY_MEND)
        case _:
            pass


def _check_rsa(key: RsaKey, *, allow_legacy: bool, limits: Limits) -> None:
    bits = key.modulus.bit_length()
    if bits > limits.rsa_bits:
        raise TooLarge(f"the RSA modulus has {bits} bits", mend=f"use a key of at most {limits.rsa_bits} bits")
    if key.exponent.bit_length() > MAX_RSA_EXPONENT_BITS:
        raise TooLarge("the RSA public exponent is too large", mend=f"use a key with the exponent {MIN_RSA_EXPONENT}")
    if key.exponent <= 1 or not key.exponent & key.modulus & 1:
        raise WeakKey("anybody can sign for this RSA key, its exponent is 1 or a number in it is even", mend=NEW_KEY_MEND)
    if not allow_legacy and bits < MIN_RSA_BITS:
        raise WeakKey(f"the RSA key has {bits} bits, fewer than {MIN_RSA_BITS}", mend=LEGACY_MEND)
    if not allow_legacy and key.exponent < MIN_RSA_EXPONENT:
        raise WeakKey(f"the RSA public exponent is {key.exponent}, below {MIN_RSA_EXPONENT}", mend=LEGACY_MEND)


def _algorithm(text: str) -> str | None:
    """Return the known algorithm that *text* begins with, in lower case."""
    colon = text.find(":", 0, _LONGEST_ALGORITHM + 1)
    algorithm = text[:colon].lower() if colon > 0 else ""
    return algorithm if algorithm in _ALGORITHMS else None


def _normal_form(text: str) -> str:
    known = decode(text)
    return text if known is None else of_key(known)


_cached_normal_form = lru_cache(_CACHE_SIZE)(_normal_form)


def _decode_or_none(text: str) -> PublicKey | BinaryIdentifier | None:
    try:
        return decode(text)
    except BadPrincipal:
        return None


def _fingerprint(known: PublicKey | BinaryIdentifier) -> str:
    """Return 8 hex digits: of an Ed25519 key the first, so that they can be looked up by eye."""
    digits = known.bits.hex() if isinstance(known, Ed25519Key) else hashlib.sha256(known.bits).hexdigest()
    return digits[:8]


def _escape(character: str) -> str:
    return "\\" + character if character in "\\`" else character.encode("unicode_escape").decode("ascii")
