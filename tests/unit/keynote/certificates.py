"""Keys and certificates for the tests: made once, by the library or by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from clearinghouse.keynote.keys import PrivateKey, generate, read_key_file

Secret = rsa.RSAPrivateKey | dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")


@cache
def ed25519_key() -> PrivateKey:
    return generate()


@cache
def rsa_key() -> PrivateKey:
    return generate("rsa", rsa_bits=2048)


@cache
def dsa_secret() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(1024)  # noqa: S505 - what old credentials are signed with


@cache
def ecdsa_secret() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def loaded(secret: Secret) -> PrivateKey:
    """Return a key of a kind that `generate` does not make, by the way of a key file."""
    with TemporaryDirectory() as directory:
        file = Path(directory, "key.pem")
        file.touch(0o600)
        file.write_bytes(pem(secret))
        return read_key_file(file)


def certificate(secret: Secret, name: str = "hub.example") -> bytes:
    """Return a self-signed DER certificate that ended yesterday: dates do not matter here."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime(2026, 11, 20, tzinfo=UTC)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
    )
    edwards = isinstance(secret, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return unsigned.sign(secret, None if edwards else SHA256()).public_bytes(Encoding.DER)


@cache
def short_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 1024)  # noqa: S505 - what old credentials are signed with


def pem(secret: Secret) -> bytes:
    return secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    """Run the openssl program and return what it printed."""
    return subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, check=True).stdout
