"""Private keys: only their owner reads them, and nothing shows them (R19, style of ssh)."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.keynote.keys import (
    DEMO_MARK,
    MAX_KEY_FILE_BYTES,
    PrivateKey,
    from_seed,
    generate,
    is_demo,
    read_key_file,
    write_key_file,
)
from clearinghouse.keynote.principals import of_certificate
from clearinghouse.keynote.signatures import sign, verify
from tests.unit.keynote.certificates import Secret, certificate, dsa_secret, ecdsa_secret, ed25519_key, needs_openssl, openssl, pem, rsa_key

TEXT = b'Authorizer: "hub"\n'


def stored(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.touch()
    path.chmod(mode)
    path.write_bytes(content)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hub.key"


@pytest.mark.parametrize("key", [ed25519_key(), rsa_key()], ids=["ed25519", "rsa"])
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_is_stored_and_loaded(file: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    write_key_file(file, key, passphrase=passphrase)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = read_key_file(file, passphrase=passphrase)
    assert again.principal == key.principal
    verify(TEXT, sign(TEXT, again), key.principal)


def test_new_keys_differ() -> None:
    assert generate().principal != generate().principal
    assert generate().principal.startswith("ed25519-hex:")


def test_new_rsa_keys_have_the_size_asked_for() -> None:
    assert rsa_key().public.title == "RSA 2048-bit key"
    for bits in (512, 2047, 16_384):
        with pytest.raises(BadSettings, match=f"{bits} bits"):
            generate("rsa", rsa_bits=bits)


def test_a_secret_is_never_shown_nor_pickled() -> None:
    key = from_seed(bytes(range(32)))
    assert bytes(range(32)).hex() not in repr(key)
    assert repr(key) == f"PrivateKey(principal='{key.principal}', demo=False)"
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(key)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_mode_is_0600_whatever_the_umask(file: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_key_file(file, ed25519_key())
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_existing_file_is_not_overwritten(file: Path) -> None:
    file.write_text("precious")
    with pytest.raises(BadSettings, match="exists already"):
        write_key_file(file, ed25519_key())
    link = file.with_name("link")
    link.symlink_to(file.with_name("absent"))
    with pytest.raises(BadSettings, match="exists already"):
        write_key_file(link, ed25519_key())
    assert file.read_text() == "precious"
    assert not file.with_name("absent").exists()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be written"):
        write_key_file(tmp_path / "absent" / "key", ed25519_key())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o677])
def test_a_key_that_others_can_reach_is_refused(file: Path, mode: int) -> None:
    stored(file, pem(rsa_key().secret)).chmod(mode)
    with pytest.raises(UnsafeFile, match=f"mode {mode:04o}") as caught:
        read_key_file(file)
    assert caught.value.mend == f"chmod 600 {file}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_of_its_owner_alone_is_read(file: Path, mode: int) -> None:
    stored(file, pem(rsa_key().secret)).chmod(mode)
    assert read_key_file(file).principal == rsa_key().principal


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_refused(file: Path) -> None:
    os.chown(stored(file, pem(rsa_key().secret)), 12_345, -1)
    with pytest.raises(UnsafeFile, match="belongs to user 12345") as caught:
        read_key_file(file)
    assert caught.value.mend == f"chown 0 {file}"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(stored(tmp_path / "key", pem(rsa_key().secret)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    directory = tmp_path / "directory"
    directory.mkdir(0o700)
    for path in (link, pipe, directory):
        with pytest.raises(UnsafeFile):
            read_key_file(path)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(BadSettings, match="no key file"):
        read_key_file(file)


@pytest.mark.parametrize(
    "content,says",
    [
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (b"x" * (MAX_KEY_FILE_BYTES + 1), "more than 65536 bytes"),
        (ed448.Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "Ed448"),
    ],
    ids=["empty", "rubbish", "too large", "ed448"],
)
def test_a_file_without_a_key(file: Path, content: bytes, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        read_key_file(stored(file, content))


def test_passphrases(file: Path) -> None:
    write_key_file(file, ed25519_key(), passphrase=b"correct")
    with pytest.raises(BadSettings, match="does not open"):
        read_key_file(file, passphrase=b"wrong")
    for absent in (None, b""):
        with pytest.raises(BadSettings, match="is encrypted"):
            read_key_file(file, passphrase=absent)
    plain = file.with_name("plain")
    write_key_file(plain, ed25519_key())
    with pytest.raises(BadSettings, match="is not encrypted"):
        read_key_file(plain, passphrase=b"needless")
    with pytest.raises(BadSettings, match="too long"):
        write_key_file(file.with_name("long"), ed25519_key(), passphrase=b"x" * 2000)
    assert not file.with_name("long").exists()


@pytest.mark.parametrize("passphrase", [None, b"known to all"])
def test_a_demonstration_key_is_refused_unless_allowed(file: Path, passphrase: bytes | None) -> None:
    demo = from_seed(bytes(32), demo=True)
    write_key_file(file, demo, passphrase=passphrase)
    assert file.read_text().splitlines()[0] == DEMO_MARK
    with pytest.raises(UnsafeFile, match="demonstration"):
        read_key_file(file, passphrase=passphrase)
    again = read_key_file(file, passphrase=passphrase, allow_demo=True)
    assert (again.principal, again.demo) == (demo.principal, True)
    assert not read_key_file(stored(file.with_name("own"), pem(rsa_key().secret)), allow_demo=True).demo


def test_the_mark_of_a_demonstration_is_the_first_line() -> None:
    assert is_demo(f"{DEMO_MARK}\r\nhub\n".encode())
    assert not is_demo(f"hub\n{DEMO_MARK}\n".encode())
    assert not is_demo(b"")


@pytest.mark.parametrize("secret", [dsa_secret(), ecdsa_secret()], ids=["dsa", "ecdsa"])
def test_other_keys_are_loaded(file: Path, secret: Secret) -> None:
    key = read_key_file(stored(file, pem(secret)))
    assert key.principal == of_certificate(certificate(secret))


@needs_openssl
@pytest.mark.parametrize("demo", [False, True])
def test_openssl_reads_what_we_write(file: Path, *, demo: bool) -> None:
    key = generate(demo=demo)
    write_key_file(file, key, passphrase=b"secret")
    public = openssl("pkey", "-in", file, "-passin", "pass:secret", "-pubout", "-outform", "DER")
    assert public.hex().endswith(key.principal.partition(":")[2])


@needs_openssl
@pytest.mark.parametrize(
    "how",
    [
        ("genpkey", "-algorithm", "ed25519"),
        ("genrsa", "2048"),
        ("genrsa", "-traditional", "2048"),
        ("ecparam", "-name", "prime256v1", "-genkey", "-noout"),
    ],
    ids=" ".join,
)
def test_we_read_what_openssl_writes(file: Path, how: tuple[str, ...]) -> None:
    key = read_key_file(stored(file, openssl(*how)))
    verify(TEXT, sign(TEXT, key), key.principal)
