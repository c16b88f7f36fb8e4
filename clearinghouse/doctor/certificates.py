"""Certificates of servers: whom they name, and until when (RFC 6120, section 13.7; RFC 6125)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published.pins import pin_of
from clearinghouse.importing.files import read_bytes

_XMPP_ADDRESS: Final = ObjectIdentifier("1.3.6.1.5.5.7.8.5")
_SERVICE_NAME: Final = ObjectIdentifier("1.3.6.1.5.5.7.8.7")
_SERVICE: Final = "_xmpp-server."
_SHORT_FORM: Final = 0x80
"""Lengths below are one byte in DER; names of 128 bytes and more are rare, and then not read."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The names of a certificate, the last instant at which it holds, and where it is; ``pin`` is empty where only that was told."""

    names: tuple[str, ...]
    until: datetime
    where: str
    pin: str = ""

    def covers(self, host: str) -> bool:
        """Whether it names *host*, itself or by a `*` for one label."""
        parent = host.partition(".")[2]
        return host in self.names or (bool(parent) and f"*.{parent}" in self.names)


def read_certificates(path: Path) -> Iterator[Certificate]:
    """Yield the certificate of a PEM file, which is the first in it; nothing where there is none."""
    with suppress(ClearinghouseError, ValueError):
        found = x509.load_pem_x509_certificates(read_bytes(path))[0]
        yield Certificate(tuple(names_of(found)), found.not_valid_after_utc.astimezone(UTC), str(path), pin_of(found))


def names_of(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the domains that a certificate is for, in lower case."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from (name.lower() for name in names.get_values_for_type(x509.DNSName))
    for other in names.get_values_for_type(x509.OtherName):
        text = _text(other.value)
        if other.type_id == _XMPP_ADDRESS:
            yield text
        elif other.type_id == _SERVICE_NAME and text.startswith(_SERVICE):
            yield text.removeprefix(_SERVICE)


def _text(der: bytes) -> str:
    """Return the text of a DER string with a short length."""
    return der[2 : 2 + der[1]].decode("utf-8", "replace").lower() if len(der) > 1 and der[1] < _SHORT_FORM else ""
