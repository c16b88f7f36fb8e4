"""Principals as the commands are given them: written out, or in a file that holds one."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

from clearinghouse.cli.output import clean
from clearinghouse.cli.reading import read
from clearinghouse.errors import BadPrincipal, BadSettings
from clearinghouse.keynote.keys import read_key_file
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.principals import normalise, of_certificate, of_key
from clearinghouse.keynote.public_keys import PublicKey, read_library_key

_FILES = frozenset({".pub", ".pem", ".crt", ".cer", ".key"})
_NAME_AT_MOST = 8192
"""Bytes of a name in a file; the longest key that is accepted needs about half of it in hex."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_QUOTED = re.compile(r'\A"([^"\\]*)"\Z')


def principal(argument: str) -> str:
    """Return the principal that an argument names, as octet text.

    An argument with a `/`, or that ends like a key or certificate file, is a file with one principal,
    certificate, public or private key; any other is the principal itself.  So a name never changes its
    meaning because a file of that name appears.
    """
    if not is_file(argument):
        return to_octets(argument)
    data = read(argument)
    found = read_key_file(Path(argument), allow_demo=True).principal if is_private(data) else in_file(data)
    if found is None:
        raise BadSettings(f"`{clean(argument)}` holds no principal", mend="give a file that `keygen` printed, a certificate or a key")
    return found


def is_file(argument: str) -> bool:
    """Tell whether an argument names a file and no principal."""
    return ":" not in argument and ("/" in argument or PurePath(argument).suffix in _FILES)


def in_file(data: bytes) -> str | None:
    """Return the one principal in a file's bytes as octet text, or ``None``."""
    block = _BLOCK.search(data)
    if block is not None:
        return _in_pem(data, block.group(1).decode("ascii"))
    lines = [line.strip() for line in data.decode("latin-1").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        return None
    quoted = _QUOTED.match(lines[0])
    written = quoted.group(1) if quoted else lines[0]
    return None if len(written) > _NAME_AT_MOST or any(c in written for c in ' \t"') else written


def is_private(data: bytes) -> bool:
    """Tell whether a file's bytes are a private key; such a file is opened with care, or not at all."""
    block = _BLOCK.search(data)
    return block is not None and block.group(1).endswith(b"PRIVATE KEY")


def _in_pem(data: bytes, label: str) -> str | None:
    try:
        return of_certificate(certificate(data).public_bytes(Encoding.DER)) if label == "CERTIFICATE" else of_key(public_key(data))
    except (ValueError, UnsupportedAlgorithm, BadPrincipal):
        return None


def public_key(data: bytes) -> PublicKey:
    """Return the key of a PEM public key; raises ``ValueError``."""
    return read_library_key(load_pem_public_key(data))


def certificate(data: bytes) -> Certificate:
    """Return the first certificate of a PEM file; raises ``ValueError``."""
    return load_pem_x509_certificate(data)


def about_certificate(data: bytes) -> dict[str, str]:
    """Return names and dates of a certificate: for people, KeyNote does not look at them."""
    found = certificate(data)
    return {
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "valid_from": found.not_valid_before_utc.isoformat(),
        "valid_until": found.not_valid_after_utc.isoformat(),
    }


def normal(argument: str) -> str:
    """Return the normal form of the principal that an argument names."""
    return normalise(principal(argument))
