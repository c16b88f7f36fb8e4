"""Private keys: made, loaded and stored so that only their owner can read them.

A key file is PEM PKCS#8 (RFC 5958, RFC 7468), so ``openssl pkey -in FILE`` reads it and files
that openssl wrote are read here.  It is mode 0600 and belongs to us or to root, or it is
refused.  A file whose first line is `DEMO_MARK` is refused too, unless demonstrations are
allowed: PEM readers skip text before the block, so the mark costs other tools nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, assert_never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.principals import MIN_RSA_BITS, MIN_RSA_EXPONENT, of_key
from clearinghouse.keynote.private_files import PrivateFile, read_private
from clearinghouse.keynote.public_keys import PublicKey, read_library_key

if TYPE_CHECKING:
    from pathlib import Path

DEMO_MARK = "# demonstration key: never use it for anything real"
"""The first line of a key file, or of a file with a principal, that anybody may know."""

DEFAULT_RSA_BITS = 3_072
"""NIST SP 800-57: as strong as Ed25519, 128 bits."""

MAX_RSA_BITS = Limits().rsa_bits
"""Bits of an RSA modulus; what nobody would accept is not made."""

MAX_KEY_FILE_BYTES = 65_536
"""Bytes of a key file; RSA-8192, encrypted, has 6.6 kB."""

KeyKind = Literal["ed25519", "rsa"]
Secret = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey

_WANTED = PrivateFile("key file", "make one with `clearinghouse keygen`", MAX_KEY_FILE_BYTES)
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, eq=False)
class PrivateKey:
    """A key that can sign.  It prints as its *principal*, and its secret refuses to be pickled."""

    principal: str
    """The normal form of the principal that this key signs for."""
    public: PublicKey = field(repr=False)
    secret: Secret = field(repr=False)
    demo: bool = False


def generate(kind: KeyKind = "ed25519", *, rsa_bits: int = DEFAULT_RSA_BITS, demo: bool = False) -> PrivateKey:
    """Return a new key from the operating system's randomness; *rsa_bits* counts for RSA only."""
    match kind:
        case "ed25519":
            return _private_key(ed25519.Ed25519PrivateKey.generate(), demo=demo)
        case "rsa" if MIN_RSA_BITS <= rsa_bits <= MAX_RSA_BITS:
            return _private_key(rsa.generate_private_key(MIN_RSA_EXPONENT, rsa_bits), demo=demo)
        case "rsa":
            raise BadSettings(f"{rsa_bits} bits are no usable size for RSA", mend=f"take {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    assert_never(kind)


def from_seed(seed: bytes, *, demo: bool = False) -> PrivateKey:
    """Return the Ed25519 key of a 32-byte *seed* (RFC 8032, section 5.1.5)."""
    return _private_key(ed25519.Ed25519PrivateKey.from_private_bytes(seed), demo=demo)


def write_key_file(path: Path, key: PrivateKey, *, passphrase: bytes | None = None) -> None:
    """Create *path*, mode 0600, with *key*; a file that exists is never overwritten."""
    content = _pem(key, passphrase)
    try:
        descriptor = os.open(path, _CREATE_FLAGS, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # an unusual umask may have taken our own bits away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise BadSettings(f"`{path}` exists already", mend="choose another name, a key file is never overwritten") from None
    except OSError as error:
        raise BadSettings(f"`{path}` cannot be written ({error.strerror})", mend="check the directory and its disk") from None


def read_key_file(path: Path, *, passphrase: bytes | None = None, allow_demo: bool = False) -> PrivateKey:
    """Return the key in *path*; raise ``UnsafeFile`` if somebody else could have read it."""
    pem = read_private(path, _WANTED)
    demo = is_demo(pem)
    if demo and not allow_demo:
        raise UnsafeFile(f"`{path}` holds a demonstration key, that everybody has", mend="make your own with `clearinghouse keygen`")
    return _load_pem(path, pem, passphrase, demo=demo)


def is_demo(content: bytes) -> bool:
    """Tell whether a key file, or a file with a principal, is marked as a demonstration."""
    return content.partition(b"\n")[0].strip() == DEMO_MARK.encode()


def _load_pem(path: Path, pem: bytes, passphrase: bytes | None, *, demo: bool) -> PrivateKey:
    try:
        secret = load_pem_private_key(pem, passphrase or None)
    except TypeError:
        if passphrase:
            raise BadSettings(f"`{path}` is not encrypted", mend="leave the passphrase out") from None
        raise BadSettings(f"`{path}` is encrypted", mend="give its passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase:
            raise BadSettings(f"`{path}` does not open with this passphrase", mend="check the passphrase") from None
        raise BadSettings(
            f"`{path}` holds no private key that can be used", mend="a key file is PEM, as `openssl genpkey` writes it"
        ) from None
    return _private_key(secret, demo=demo)


def _private_key(secret: object, *, demo: bool) -> PrivateKey:
    if not isinstance(secret, Secret):
        raise BadSettings(f"a key of type {type(secret).__name__} cannot sign", mend="make one with `clearinghouse keygen`")
    public = read_library_key(secret.public_key())
    return PrivateKey(of_key(public), public, secret, demo)


def _pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    try:
        pem = key.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    except ValueError:
        raise BadSettings("the passphrase is too long", mend="take one below 1,000 bytes") from None
    return f"{DEMO_MARK}\n".encode() + pem if key.demo else pem
