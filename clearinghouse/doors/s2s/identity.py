"""Whose a verified certificate is: the domains that it covers, and its key as a KeyNote principal (pure).

A domain is covered by any of three names in the subject alternative names (RFC 6120, section 13.7.1.2; RFC 9525): the
domain itself (DNS-ID), ``_xmpp-server.`` before it (SRV-ID), or an XMPP address that is the domain (xmppAddr).  The
common name is never looked at.  A wildcard stands for one whole left-most label of a DNS-ID and never for an A-label,
as RFC 9525 has it and as Prosody and ejabberd count it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.asn1 import IA5String, decode_der
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, SRV_ID, DNSPattern, ServiceID, SRVPattern, verify_service_identity

from clearinghouse.federation.names import BadName, normal
from clearinghouse.keynote.principals import of_key
from clearinghouse.keynote.public_keys import read_library_key

MAX_NAMES: Final = 256
"""Names of a certificate that are looked at; a hosting service has a hundred in one."""

MAX_ISSUER_CHARACTERS: Final = 1_024
"""Characters of an issuer's name as text; the standard's own bounds (RFC 5280, appendix A) allow some five hundred."""

MAX_KNOWN: Final = 64
"""Domains of which a certificate remembers whether it covers them; a server speaks for one or a few."""

SERVICE: Final = "_xmpp-server"
"""The service of an SRV-ID that speaks for a server among servers (RFC 6120, section 13.7.1.2.1)."""

_SRV_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")
_XMPP_ADDRESS: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has shown a certificate that verifies.

    ``key`` is its key as a principal in normal form, ``issuer`` the name of its issuer (RFC 4514), ``ends`` when the
    first certificate on its path ends.  ``names`` are what its names of DNS and of services match, ``addresses`` the
    domains that it has as XMPP addresses.
    """

    key: str
    issuer: str
    ends: datetime
    names: tuple[DNSPattern | SRVPattern, ...]
    addresses: frozenset[str]
    _known: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    def covers(self, domain: str) -> bool:
        """Say whether the certificate speaks for *domain*, which is in normal form."""
        known = self._known.get(domain)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[domain] = self._covers(domain)
        return known

    def _covers(self, domain: str) -> bool:
        if domain in self.addresses:
            return True
        return bool(domain) and (self._matches(DNS_ID(domain)) or self._matches(SRV_ID(f"{SERVICE}.{domain}")))

    def _matches(self, wanted: ServiceID) -> bool:
        try:
            verify_service_identity(self.names, obligatory_ids=[wanted], optional_ids=[])
        except (VerificationError, CertificateError):
            return False
        return True


def identity_of(leaf: x509.Certificate, ends: datetime) -> Identity:
    """Return whose *leaf* is, on a path that holds until *ends*; raises `ValueError` where it cannot be read."""
    names = _alternatives(leaf)
    issuer = leaf.issuer.rfc4514_string()
    if len(issuer) > MAX_ISSUER_CHARACTERS or not issuer.isprintable():
        raise ValueError("the issuer's name is no text")
    return Identity(of_key(read_library_key(leaf.public_key())), issuer, ends, tuple(_patterns(names)), frozenset(_addresses(names)))


def _alternatives(leaf: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []
    if len(found) > MAX_NAMES:
        raise ValueError(f"more than {MAX_NAMES} names")
    return found


def _patterns(names: list[x509.GeneralName]) -> Iterator[DNSPattern | SRVPattern]:
    """Give what the *names* match; one that is none, such as ``*.org``, speaks for nobody and spoils no other."""
    for each in names:
        match each:
            case x509.DNSName():
                yield from _read(DNSPattern.from_bytes, each.value.encode())
            case x509.OtherName() if each.type_id == _SRV_NAME:
                yield from _read(_service, each.value)


def _service(der: bytes) -> SRVPattern:
    return SRVPattern.from_bytes(decode_der(IA5String, der).as_str().encode("ascii"))


def _addresses(names: list[x509.GeneralName]) -> Iterator[str]:
    for each in names:
        if isinstance(each, x509.OtherName) and each.type_id == _XMPP_ADDRESS:
            yield from _read(_address, each.value)


def _address(der: bytes) -> str:
    """Return the domain that an XMPP address is; a user's address speaks for the user alone, and is no name here."""
    return normal(decode_der(str, der))


def _read(read: Callable[[bytes], _Read], written: bytes) -> list[_Read]:
    try:
        return [read(written)]
    except (CertificateError, BadName, ValueError, IndexError):  # service-identity looks at the first byte of a name
        return []
