"""Pins: which keys the certificates of a server may have, as digests of them (pure).

A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4) in lower-case hexadecimal.  It stays
when a certificate is renewed for the same key, and says nothing about who signed it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate

from clearinghouse.clearing.vocabulary import shown
from clearinghouse.federation.published.payloads import is_digest

MAX_PINS: Final = 8
"""Pins of one member, or of one door: a key of each of two algorithms, on two machines, and the next one of each."""


def pin_of(certificate: Certificate) -> str:
    """Return the pin of the key in *certificate*."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def canonical_pins(found: Iterable[str]) -> tuple[str, ...]:
    """Return pins in their one form, sorted and each once; raises ``ValueError`` for what is none, and for too many."""
    pins = tuple(sorted({each.lower().replace(":", "") for each in found}))
    check_pins(pins)
    return pins


def check_pins(pins: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless *pins* are in their one form."""
    for each in pins:
        if not is_digest(each):
            raise ValueError(f"has the pin `{shown(each)}`, which is no SHA-256 in hexadecimal")
    if len(pins) > MAX_PINS:
        raise ValueError(f"has more than {MAX_PINS} pins")
    if list(pins) != sorted(set(pins)):
        raise ValueError("has pins that are not sorted, or one twice")
