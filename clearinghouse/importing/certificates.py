"""Certificates in files: PEM as servers have it, the server's own certificate first, or one in DER."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from clearinghouse.errors import BadSettings
from clearinghouse.federation.published.pins import pin_of
from clearinghouse.importing.files import read_bytes
from clearinghouse.keynote.principals import shown

_PEM = b"-----BEGIN"


def read_certificate(path: Path) -> x509.Certificate:
    """Return the first certificate in a file; raises `BadSettings` where there is none, and what reading the file raises."""
    data = read_bytes(path)
    try:
        return x509.load_pem_x509_certificates(data)[0] if _PEM in data else x509.load_der_x509_certificate(data)
    except (ValueError, UnsupportedAlgorithm):
        mend = "give a server's certificate in PEM, which begins with `-----BEGIN CERTIFICATE-----`"
        raise BadSettings(f"`{shown(str(path))}` has no certificate", mend=mend) from None


def read_pin(path: Path) -> str:
    """Return the pin of the first certificate in a file; raises as `read_certificate` does."""
    try:
        return pin_of(read_certificate(path))
    except UnsupportedAlgorithm:
        raise BadSettings(f"the key in `{shown(str(path))}` is of a kind that is not known", mend="use RSA, ECDSA or Ed25519") from None
