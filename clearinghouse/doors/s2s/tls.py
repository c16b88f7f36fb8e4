"""TLS 1.2 and 1.3 for the door: which certificate it shows, and that a client's certificate is left to us to judge.

Python's own ``ssl`` either ends the handshake over a certificate whose issuer it does not know, or asks for none at
all.  What such a peer is told depends on the settings, so pyOpenSSL is used, which lets us look first (decision 24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from clearinghouse.errors import BadSettings, OperatorError
from clearinghouse.federation.names import BadName, normal
from clearinghouse.keynote.private_files import PrivateFile, read_private

log = structlog.get_logger(__name__)

CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: those with forward secrecy and authenticated encryption, which is what TLS 1.3 has left of it."""

CIPHERSUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""Of TLS 1.3: all of RFC 8446, section 9.1, the cheapest first."""

PROTOCOL: Final = b"xmpp-server"
"""What direct TLS between servers is called in ALPN (XEP-0368); a client that offers other protocols only is refused."""

MAX_FILE_BYTES: Final = 262_144
"""Bytes of a certificate with its chain, or of a key."""

WARNING: Final = timedelta(days=14)
"""This long before its end a certificate is warned of; authorities that renew by themselves do it 30 days before."""

_KEY_FILE: Final = PrivateFile("private key", "see `key_file` in [redirect]", MAX_FILE_BYTES)
_OPTIONS: Final = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET | SSL.OP_CIPHER_SERVER_PREFERENCE


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a certificate with its chain is, and its key, both in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that the door can show, and when it ends."""

    server: SSL.Context
    client: SSL.Context
    ends: datetime


Choice = Callable[[str], SSL.Context]
"""From the name that a client asks for, in normal form, to what it is shown."""


class Certificates:
    """What the door shows: its own certificate, and for each fronted domain the one that the operator gave.

    Connections in progress keep what they began with when `reload` puts others in place.
    """

    def __init__(self, own: Pair, fronted: Mapping[str, Pair] | None = None) -> None:
        """Read them all; raises `BadSettings` or `UnsafeFile`.  The names of *fronted* domains are in normal form."""
        self._own, self._fronted = own, dict(fronted or {})
        self._shown = {name: _shown(pair, self.choose) for name, pair in self._pairs()}

    def _pairs(self) -> Iterable[tuple[str, Pair]]:
        return [("", self._own), *self._fronted.items()]

    def choose(self, name: str) -> SSL.Context:
        """Return what a client sees that asks for *name*: its own certificate where it is fronted, else the door's."""
        shown = self._shown
        return (shown.get(name) or shown[""]).server

    def accepting(self, wanted: str = "") -> SSL.Connection:
        """Return the door's end of a handshake; *wanted* is the `to` that was read before it, in normal form.

        A name in the handshake itself (SNI) counts more.
        """
        connection = SSL.Connection(self.choose(wanted))
        connection.set_accept_state()
        return connection

    def connecting(self, name: str) -> SSL.Connection:
        """Return our end of a handshake with the server of *name*; its certificate is not judged here."""
        connection = SSL.Connection(self._shown[""].client)
        connection.set_tlsext_host_name(name.encode("ascii"))
        connection.set_connect_state()
        return connection

    def reload(self) -> list[OperatorError]:
        """Read the files again; what cannot be read or used stays as it was, is told in the log, and returned."""
        shown, errors = dict(self._shown), []
        for name, pair in self._pairs():
            try:
                shown[name] = _shown(pair, self.choose)
            except OperatorError as error:
                errors.append(error)
                log.error("certificate_kept", file=str(pair.certificate), because=str(error))  # noqa: TRY400 - expected
        self._shown = shown
        return errors

    def warn(self, now: datetime) -> list[str]:
        """Tell in the log which certificates end soon, or have; return the names of their domains, "" for the door's own."""
        ending = [name for name, shown in self._shown.items() if shown.ends - now < WARNING]
        for name in ending:
            log.warning("certificate_ends", domain=name or "the door's own", ends=self._shown[name].ends.isoformat())
        return ending


def _shown(pair: Pair, choose: Choice) -> Shown:
    chain = read_certificates(pair.certificate)
    secret = read_private(pair.key, _KEY_FILE)
    try:
        key = load_pem_private_key(secret, password=None)
        server, client = (_with_key(method, chain, key) for method in (SSL.TLS_SERVER_METHOD, SSL.TLS_CLIENT_METHOD))
    except (ValueError, TypeError, SSL.Error) as error:
        fact = f"`{pair.certificate}` and `{pair.key}` are no certificate with its key ({_words(error)})"
        raise BadSettings(fact, mend="name the key of the first certificate in the file, in PEM and without a passphrase") from None
    _as_server(server, choose)
    client.set_verify(SSL.VERIFY_NONE)
    return Shown(server, client, min(each.not_valid_after_utc for each in chain))


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Return the certificates of the PEM file *path*; raises `BadSettings`."""
    try:
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        fact = f"`{path}` has no certificates in PEM ({_words(error)})"
        raise BadSettings(fact, mend="put the file there, or mend its name in [redirect]") from None
    except ValueError:
        fact = f"`{path}` has no certificates in PEM"
        raise BadSettings(fact, mend="begin each with `-----BEGIN CERTIFICATE-----`, the server's own first") from None
    return found


def _with_key(method: int, chain: list[x509.Certificate], key: object) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_cipher_list(CIPHERS)
    context.set_tls13_ciphersuites(CIPHERSUITES)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # with it no session is ever found again, so each is proven anew
    context.use_certificate(chain[0])
    for each in chain[1:]:
        context.add_extra_chain_cert(each)
    context.use_privatekey(key)  # type: ignore[arg-type]  # refused with a TypeError where it is of no kind that TLS has
    context.check_privatekey()
    return context


def _as_server(context: SSL.Context, choose: Choice) -> None:
    context.set_verify(SSL.VERIFY_PEER, _taken_as_it_is)
    context.set_alpn_select_callback(_protocol)
    context.set_tlsext_servername_callback(lambda connection: _named(connection, choose))


def _taken_as_it_is(*_: object) -> bool:
    """Let the handshake go on; OpenSSL has checked that the peer has the key, `identity` judges whose it is."""
    return True


def _protocol(_: SSL.Connection, offered: list[bytes]) -> bytes:
    """Return what is spoken; nothing ends the handshake, so that no other protocol's client talks to us by mistake."""
    return PROTOCOL if PROTOCOL in offered else b""


def _named(connection: SSL.Connection, choose: Choice) -> None:
    try:
        name = normal((connection.get_servername() or b"").decode("ascii"))
    except (BadName, UnicodeDecodeError):
        return
    chosen = choose(name)
    if chosen is not connection.get_context():
        connection.set_context(chosen)


def _words(error: Exception) -> str:
    """Return what OpenSSL or Python say of a file; OpenSSL's own queue of errors has texts three deep."""
    reasons = [str(each[-1]) for each in error.args[0]] if isinstance(error, SSL.Error) and error.args else []
    return ", ".join(reasons) or (error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0])
