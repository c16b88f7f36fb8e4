"""Authorities in memory that sign whatever a test wants, sound or not, and lists of what they revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL.crypto import X509

NOW = datetime.now(UTC).replace(microsecond=0)
"""OpenSSL looks at the clock of the machine."""
DAY = timedelta(days=1)
SERVER, CLIENT, MAIL = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION
SRV_NAME, XMPP_ADDRESS = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7"), x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
NOTHING = {
    **dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
    **dict.fromkeys(("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False),
}


def curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Wish:
    """What a certificate is to be; the default is one that every rule accepts."""

    names: tuple[x509.GeneralName, ...] = ()
    common_name: str = "somebody"
    starts: datetime = NOW - DAY
    ends: datetime = NOW + 30 * DAY
    uses: tuple[x509.ObjectIdentifier, ...] = (SERVER,)
    usage: dict[str, bool] | None = None
    ca: bool | None = None
    depth: int | None = None
    bounds: x509.NameConstraints | None = None
    hashed: hashes.HashAlgorithm | None = None


@dataclass(frozen=True)
class Paper:
    """A certificate with its key, and those that lead to an authority's own."""

    certificate: x509.Certificate
    key: Private
    above: tuple[x509.Certificate, ...] = ()

    @property
    def leaf(self) -> X509:
        return X509.from_cryptography(self.certificate)

    @property
    def others(self) -> list[X509]:
        return [X509.from_cryptography(each) for each in self.above]

    @property
    def pem(self) -> bytes:
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.above))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def save(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write both files as a server has them, and return where."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return certificate, key


class Authority:
    """Signs; at the root it signs for itself."""

    def __init__(
        self, name: str = "authority", key: Private | None = None, wish: Wish | None = None, *, above: Authority | None = None
    ) -> None:
        self.key, self.above = key or curve_key(), above
        usage = NOTHING | {"key_cert_sign": True, "crl_sign": True}
        wanted = replace(wish or Wish(ca=True, uses=(), usage=usage), common_name=name)
        self.certificate = (above or self)._signed(wanted, self.key, self.key if above is None else above.key)

    def paper(self, *domains: str, key: Private | None = None, wish: Wish | None = None) -> Paper:
        own, wanted = key or curve_key(), wish or Wish()
        wanted = replace(wanted, names=(*map(x509.DNSName, domains), *wanted.names))
        return Paper(self._signed(wanted, own, self.key), own, self.chain)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates from here to below the root."""
        return () if self.above is None else (self.certificate, *self.above.chain)

    def _signed(self, wish: Wish, key: Private, by: Private) -> x509.Certificate:
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (wish.common_name, self._name(wish))]
        builder = x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number(), wish.starts, wish.ends)
        if wish.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(wish.names), critical=False)
        if wish.uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(wish.uses), critical=False)
        if wish.usage is not None:
            builder = builder.add_extension(x509.KeyUsage(**wish.usage), critical=True)
        if wish.ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=wish.ca, path_length=wish.depth), critical=True)
        if wish.bounds is not None:
            builder = builder.add_extension(wish.bounds, critical=True)
        hashed = None if isinstance(by, ed25519.Ed25519PrivateKey) else wish.hashed or hashes.SHA256()
        return builder.sign(by, hashed)  # type: ignore[arg-type]  # tests sign with hashes that are refused

    def _name(self, wish: Wish) -> str:
        if not hasattr(self, "certificate"):
            return wish.common_name
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def revoked(self, papers: Sequence[x509.Certificate] = (), *, until: datetime = NOW + DAY) -> bytes:
        """A list of what this authority takes back."""
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, min(NOW, until) - DAY, until)
        for each in papers:
            taken = x509.RevokedCertificateBuilder(each.serial_number, NOW - DAY).build()
            builder = builder.add_revoked_certificate(taken)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def service_name(name: str) -> x509.OtherName:
    return x509.OtherName(SRV_NAME, _der(0x16, name))


def xmpp_address(name: str) -> x509.OtherName:
    return x509.OtherName(XMPP_ADDRESS, _der(0x0C, name))


def _der(tag: int, text: str) -> bytes:
    return bytes((tag, len(text.encode()))) + text.encode()
