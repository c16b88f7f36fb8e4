"""Whose a verified certificate is: the domains that it covers, and its key as a KeyNote principal (pure).

A domain is covered by any of three names in the subject alternative names (RFC 6120, section 13.7.1.2; RFC 9525): the
domain itself (DNS-ID), ``_xmpp-server.`` before it (SRV-ID), or an XMPP address that is the domain (xmppAddr).  The
common name is never looked at.  A wildcard stands for one whole left-most label of a DNS-ID and never for an A-label,
as RFC 9525 has it and as Prosody and ejabberd count it.

An authority that may sign for some domains only (name constraints, RFC 5280, section 4.2.1.10) may do so by none of the
three names for any other: the standard bounds DNS-IDs alone, and OpenSSL looks at those alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.asn1 import IA5String, decode_der
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, SRV_ID, DNSPattern, ServiceID, SRVPattern, verify_service_identity

from clearinghouse.federation.names import BadName, below, normal
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

_is_written_name = re.compile(rb"[A-Za-z0-9_*.-]+").fullmatch
"""What a DNS-ID may be; service-identity would take one with white space around it for the one without."""

_SRV_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")
_XMPP_ADDRESS: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Bounds:
    """For which domains an authority may sign: those below one of ``permitted``, where there are any, and below none of ``excluded``."""

    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def allow(self, domain: str) -> bool:
        """Say whether the authority may sign for *domain*, which is in normal form."""
        permitted = not self.permitted or any(_is_in(domain, each) for each in self.permitted)
        return permitted and not any(_is_in(domain, each) for each in self.excluded)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has shown a certificate that verifies.

    ``key`` is its key as a principal in normal form, ``issuer`` the name of its issuer (RFC 4514), ``ends`` when the
    first certificate on its path ends.  ``names`` are what its names of DNS and of services match, ``addresses`` the
    domains that it has as XMPP addresses, ``bounds`` those of the authorities above it.
    """

    key: str
    issuer: str
    ends: datetime
    names: tuple[DNSPattern | SRVPattern, ...]
    addresses: frozenset[str]
    bounds: tuple[Bounds, ...] = ()
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
        if not all(each.allow(domain) for each in self.bounds):
            return False
        if domain in self.addresses:
            return True
        return bool(domain) and (self._matches(DNS_ID(domain)) or self._matches(SRV_ID(f"{SERVICE}.{domain}")))

    def _matches(self, wanted: ServiceID) -> bool:
        try:
            verify_service_identity(self.names, obligatory_ids=[wanted], optional_ids=[])
        except (VerificationError, CertificateError):
            return False
        return True


def identity_of(leaf: x509.Certificate, ends: datetime, above: Sequence[x509.Certificate] = ()) -> Identity:
    """Return whose *leaf* is, on a path through *above* that holds until *ends*; raises `ValueError` where it cannot be read."""
    names = _alternatives(leaf)
    issuer = leaf.issuer.rfc4514_string()
    if len(issuer) > MAX_ISSUER_CHARACTERS or not issuer.isprintable():
        raise ValueError("the issuer's name is no text")
    key, bounds = of_key(read_library_key(leaf.public_key())), tuple(bound for each in above if (bound := _bounds(each)))
    return Identity(key, issuer, ends, tuple(_patterns(names)), frozenset(_addresses(names)), bounds)


def _bounds(authority: x509.Certificate) -> Bounds | None:
    try:
        found = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    return Bounds(_domains(found.permitted_subtrees), _domains(found.excluded_subtrees))


def _domains(subtrees: Sequence[x509.GeneralName] | None) -> tuple[str, ...]:
    return tuple(each.value.lower() for each in subtrees or () if isinstance(each, x509.DNSName))


def _is_in(domain: str, subtree: str) -> bool:
    """Say whether *domain* is in *subtree*; one that begins with a dot holds what is below it, as OpenSSL reads it."""
    return not subtree or (domain.endswith(subtree) if subtree.startswith(".") else below(domain, subtree))


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
                yield from _read(_host, each.value.encode())
            case x509.OtherName() if each.type_id == _SRV_NAME:
                yield from _read(_service, each.value)


def _host(name: bytes) -> DNSPattern:
    if _is_written_name(name) is None:
        raise ValueError("no name of DNS")
    return DNSPattern.from_bytes(name)


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
