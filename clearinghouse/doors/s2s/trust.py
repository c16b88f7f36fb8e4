"""Whether a client's certificate holds: a path to the community's authorities, in its time, for this use, not revoked.

OpenSSL builds and checks the path (signatures, validity, basic constraints, key usage of authorities, names that they
may sign for, revocation lists); what it leaves open is checked here: the use of each certificate, and weak keys.
The common web profiles are not taken: a community has authorities of its own, and its servers' certificates often
name the use *server* alone, with which Prosody and ejabberd let a server be a client as well.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL.crypto import (
    FILETYPE_ASN1,
    X509,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    X509StoreFlags,
    dump_certificate,
)
from OpenSSL.SSL import X509VerificationCodes as Codes

from clearinghouse.doors.s2s.identity import Identity, identity_of
from clearinghouse.doors.s2s.tls import read_certificates
from clearinghouse.errors import BadSettings, OperatorError, TooLarge, WeakKey
from clearinghouse.keynote.principals import check_key
from clearinghouse.keynote.public_keys import read_library_key

log = structlog.get_logger(__name__)

MAX_CHAIN: Final = 8
"""Certificates that a peer may show; a path of four is long."""

MAX_LIST_BYTES: Final = 16_777_216
"""Bytes of the file of revocation lists: 400,000 revoked certificates."""

MAX_REMEMBERED: Final = 4_096
"""Chains that were judged good, about 3 kB each; a community's servers come again and again."""

MAX_DOUBTED: Final = 512
"""Chains that were judged bad, remembered apart so that nobody who has no good one can push out those who have."""

REMEMBERED: Final = timedelta(hours=1)
"""How long a good chain is believed without being looked at; less where a certificate or a revocation list ends."""

DOUBTED: Final = timedelta(seconds=60)
"""How long a bad chain is taken for bad: a certificate that is not valid yet may become so."""

BEGIN_LIST: Final = b"-----BEGIN X509 CRL-----"


class Doubt(StrEnum):
    """Why a certificate proves nothing."""

    NONE_SHOWN = "no-certificate"
    UNKNOWN_ISSUER = "unknown-issuer"
    NOT_YET = "certificate-not-yet"
    EXPIRED = "certificate-expired"
    REVOKED = "certificate-revoked"
    LISTS_EXPIRED = "revocations-expired"
    """The newest list of an authority on the path has ended, so nothing is known of what it revoked since."""
    LISTS_MISSING = "revocations-missing"
    """There are lists, and none of an authority on the path."""
    WRONG_USE = "certificate-wrong-use"
    WEAK = "certificate-weak"
    MALFORMED = "certificate-malformed"
    OTHER_NAME = "certificate-other-name"
    """It holds, and speaks for other domains than the peer does."""


_DOUBTS: Final = {
    Codes.ERR_CERT_NOT_YET_VALID: Doubt.NOT_YET,
    Codes.ERR_CERT_HAS_EXPIRED: Doubt.EXPIRED,
    Codes.ERR_CERT_REVOKED: Doubt.REVOKED,
    Codes.ERR_CRL_HAS_EXPIRED: Doubt.LISTS_EXPIRED,
    Codes.ERR_CRL_NOT_YET_VALID: Doubt.LISTS_EXPIRED,
    Codes.ERR_UNABLE_TO_GET_CRL: Doubt.LISTS_MISSING,
    Codes.ERR_UNABLE_TO_GET_CRL_ISSUER: Doubt.LISTS_MISSING,
    Codes.ERR_DIFFERENT_CRL_SCOPE: Doubt.LISTS_MISSING,
    Codes.ERR_CRL_SIGNATURE_FAILURE: Doubt.LISTS_MISSING,
    Codes.ERR_KEYUSAGE_NO_CRL_SIGN: Doubt.LISTS_MISSING,
    Codes.ERR_UNHANDLED_CRITICAL_CRL_EXTENSION: Doubt.LISTS_MISSING,
    Codes.ERR_INVALID_CA: Doubt.WRONG_USE,
    Codes.ERR_KEYUSAGE_NO_CERTSIGN: Doubt.WRONG_USE,
    Codes.ERR_PATH_LENGTH_EXCEEDED: Doubt.WRONG_USE,
    Codes.ERR_UNHANDLED_CRITICAL_EXTENSION: Doubt.MALFORMED,
    Codes.ERR_INVALID_EXTENSION: Doubt.MALFORMED,
}
"""What OpenSSL found; everything else is an issuer that is not known here, or a signature that is not its own."""

_USES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_STRONG: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA3_256, hashes.SHA3_384, hashes.SHA3_512)


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whom the community believes: OpenSSL's store of them, and until when each has said what it revoked."""

    store: X509Store
    until: Mapping[x509.Name, datetime]


Verdict = Identity | Doubt


@dataclass(slots=True)
class _Remembered:
    """Verdicts by the digest of what was shown; the longest unused is forgotten first."""

    most: int
    verdicts: OrderedDict[bytes, tuple[Verdict, datetime]] = field(default_factory=OrderedDict)

    def get(self, digest: bytes, now: datetime) -> Verdict | None:
        found = self.verdicts.get(digest)
        if found is None:
            return None
        if found[1] <= now:
            del self.verdicts[digest]
            return None
        self.verdicts.move_to_end(digest)
        return found[0]

    def put(self, digest: bytes, verdict: Verdict, until: datetime) -> None:
        self.verdicts[digest] = verdict, until
        if len(self.verdicts) > self.most:
            self.verdicts.popitem(last=False)


class Trust:
    """Judges what peers show; `reload` takes other authorities and lists, and forgets every verdict."""

    def __init__(self, anchors: Path, revocations: Path | None = None) -> None:
        """Read both files; raises `BadSettings`."""
        self._files = anchors, revocations
        self._authorities = read_authorities(*self._files)
        self._forget()

    def _forget(self) -> None:
        self._good, self._bad = _Remembered(MAX_REMEMBERED), _Remembered(MAX_DOUBTED)

    def reload(self) -> list[OperatorError]:
        """Read the files again; where they cannot be used what was read before stays, and the log says so."""
        try:
            self._authorities = read_authorities(*self._files)
        except OperatorError as error:
            log.error("authorities_kept", because=str(error))  # noqa: TRY400 - expected
            return [error]
        self._forget()
        return []

    def judge(self, leaf: X509 | None, others: Sequence[X509], now: datetime) -> Verdict:
        """Return whose *leaf* is, or why it is nobody's; *others* were shown with it."""
        if leaf is None:
            return Doubt.NONE_SHOWN
        if len(others) >= MAX_CHAIN:
            return Doubt.MALFORMED
        digest = hashlib.sha256(b"".join(_framed(each) for each in (leaf, *others))).digest()
        known = self._good.get(digest, now) or self._bad.get(digest, now)
        if known is None:
            known = self._judged(leaf, others, now)
            self._remember(digest, known, now)
        return known

    def _remember(self, digest: bytes, verdict: Verdict, now: datetime) -> None:
        if isinstance(verdict, Doubt):
            self._bad.put(digest, verdict, now + DOUBTED)
        else:
            self._good.put(digest, verdict, min(now + REMEMBERED, verdict.ends))

    def _judged(self, leaf: X509, others: Sequence[X509], now: datetime) -> Verdict:
        try:
            found = X509StoreContext(self._authorities.store, leaf, others).get_verified_chain()
            path = [each.to_cryptography() for each in found]
            return self._late(path, now) or _looked_at(path, self._ends(path))
        except X509StoreContextError as error:
            return _DOUBTS.get(error.errors[0], Doubt.UNKNOWN_ISSUER)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion):
            return Doubt.MALFORMED

    def _late(self, path: list[x509.Certificate], now: datetime) -> Doubt | None:
        """Say whether *now* is not the time of *path*; OpenSSL has looked at the machine's clock, and can be told no other twice."""
        if any(now < each.not_valid_before_utc for each in path):
            return Doubt.NOT_YET
        if any(each.not_valid_after_utc < now for each in path):
            return Doubt.EXPIRED
        return Doubt.LISTS_EXPIRED if self._ends(path) < now else None

    def _ends(self, path: list[x509.Certificate]) -> datetime:
        """Return when the first of the certificates, or of the lists of their issuers, ends."""
        lists = [until for each in path if (until := self._authorities.until.get(each.issuer))]
        return min([each.not_valid_after_utc for each in path] + lists)


def _framed(certificate: X509) -> bytes:
    der = dump_certificate(FILETYPE_ASN1, certificate)
    return len(der).to_bytes(4) + der


def _looked_at(path: list[x509.Certificate], ends: datetime) -> Verdict:
    """Return what there is to say of a *path* that OpenSSL has found, from the peer's certificate to the anchor."""
    if not all(map(_is_strong, path, [*path[1:], None])):
        return Doubt.WEAK
    if _is_authority(path[0]) or not _signs(path[0]) or not all(map(_is_for_servers, path[:-1] or path)):
        return Doubt.WRONG_USE
    return identity_of(path[0], ends, path[1:])


def _is_strong(certificate: x509.Certificate, issuer: x509.Certificate | None) -> bool:
    """Say whether key and signature are of kinds that count (rule R19); nothing is read from an anchor's own signature."""
    try:
        check_key(read_library_key(certificate.public_key()), allow_legacy=False)
    except (WeakKey, TooLarge):
        return False
    hashed = None if issuer is None else certificate.signature_hash_algorithm
    return hashed is None or isinstance(hashed, _STRONG)


def _is_authority(certificate: x509.Certificate) -> bool:
    """Say whether this is an authority's own certificate: it signs others, and is no server's."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signs(certificate: x509.Certificate) -> bool:
    """Say whether the key may sign a handshake, as every client's key does (RFC 8446, section 4.4.2.2)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True


def _is_for_servers(certificate: x509.Certificate) -> bool:
    try:
        return not _USES.isdisjoint(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True


def read_authorities(anchors: Path, revocations: Path | None) -> Authorities:
    """Return the certificates of *anchors*, and the lists of *revocations*, as what a path is checked with; raises `BadSettings`."""
    store, found = X509Store(), read_certificates(anchors)
    for each in found:
        store.add_cert(X509.from_cryptography(each))
    if revocations is None:
        store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
        return Authorities(store, {})
    _check_whole(anchors, found)  # every certificate on a path is looked for in the list of the one above it
    store.set_flags(X509StoreFlags.CRL_CHECK | X509StoreFlags.CRL_CHECK_ALL)
    lists = _lists(revocations)
    for one in lists:
        store.add_crl(one)
    until: dict[x509.Name, datetime] = {}
    for one in lists:
        if one.next_update_utc is not None:
            until[one.issuer] = max(one.next_update_utc, until.get(one.issuer, one.next_update_utc))
    return Authorities(store, until)


def _check_whole(path: Path, anchors: list[x509.Certificate]) -> None:
    names = {each.subject for each in anchors}
    for each in anchors:
        if each.issuer not in names:
            fact = f"`{path}` has `{each.subject.rfc4514_string()}`, and not the authority above it, which says whether it was revoked"
            raise BadSettings(fact, mend="add that one, or take `revocations_file` out of [redirect]")


def _lists(path: Path) -> list[x509.CertificateRevocationList]:
    """Return the revocation lists of a file; raises `BadSettings`, also for one with changes alone (RFC 5280, section 5.2.4)."""
    found = _read_lists(path)
    for each in found:
        if _is_of_changes(each):
            fact = f"`{path}` has a list of `{each.issuer.rfc4514_string()}` with changes alone, which would count for nothing"
            raise BadSettings(fact, mend="fetch the whole list of that authority")
    return found


def _is_of_changes(one: x509.CertificateRevocationList) -> bool:
    try:
        return any(isinstance(each.value, x509.DeltaCRLIndicator) for each in one.extensions)
    except (ValueError, x509.DuplicateExtension):
        return False  # OpenSSL refuses what cannot be read, with every path that needs it


def _read_lists(path: Path) -> list[x509.CertificateRevocationList]:
    """Return the revocation lists of a file in PEM, one after another, or of one in DER."""
    try:
        with path.open("rb") as file:
            written = file.read(MAX_LIST_BYTES + 1)
        if len(written) > MAX_LIST_BYTES:
            raise BadSettings(f"`{path}` has more than {MAX_LIST_BYTES} bytes", mend="see `revocations_file` in [redirect]")
        if BEGIN_LIST not in written:
            return [x509.load_der_x509_crl(written)]
        return [x509.load_pem_x509_crl(BEGIN_LIST + part) for part in written.split(BEGIN_LIST)[1:]]
    except OSError as error:
        fact = f"`{path}` has no revocation lists in PEM or DER ({error.strerror})"
        raise BadSettings(fact, mend="put the file there, or mend `revocations_file` in [redirect]") from None
    except ValueError:
        fact = f"`{path}` has no revocation lists in PEM or DER"
        raise BadSettings(fact, mend="fetch them from the authorities, and write them into the file one after another") from None
