"""Which signatures hold, and which forgeries do not (RFC 2792; RFC 5708; RFC 8032; R19).

``known_signatures.jsonl`` has credentials of another implementation with what their signature
covers cut out: *refused* is empty where the signature holds, else a part of the message.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clearinghouse.errors import BadPrincipal, BadSignature, TooLarge, WeakKey
from clearinghouse.keynote import principals, signatures
from clearinghouse.keynote.der import octet_string, write_integers
from clearinghouse.keynote.encoding import Encoding as Ascii
from clearinghouse.keynote.keys import PrivateKey, from_seed
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.public_keys import Ed25519Key
from clearinghouse.keynote.signatures import DEFAULT_KINDS, KINDS, sign, verify
from tests.unit.keynote.certificates import (
    Secret,
    certificate,
    dsa_secret,
    ecdsa_secret,
    ed25519_key,
    loaded,
    needs_openssl,
    openssl,
    pem,
    rsa_key,
    short_rsa,
)

TEXT = b'Authorizer: "hub"\nLicensees: "analyst"\n'
KNOWN = [json.loads(line) for line in Path(__file__).with_name("known_signatures.jsonl").read_text(encoding="utf-8").splitlines()]
KIND = "sig-rsa-sha256-hex"


def key_for(kind: str) -> PrivateKey:
    match KINDS[kind].family:
        case "dsa":
            return loaded(dsa_secret())
        case "ed25519":
            return ed25519_key()
        case _:
            return rsa_key()


# ------------------------------------------------------------------------------------------------ another implementation


@pytest.mark.parametrize("case", KNOWN, ids=[f"{case['id']} {case['note']}" for case in KNOWN])
def test_known_signatures(case: dict[str, str]) -> None:
    covered, signature, authorizer = case["signed"].encode(), to_octets(case["signature"]), to_octets(case["authorizer"])
    if not case["refused"]:
        verify(covered, signature, authorizer, allow_legacy=True)
        with pytest.raises(WeakKey, match="broken") as caught:
            verify(covered, signature, authorizer)
        assert "allow_legacy_signatures" in caught.value.mend
    else:
        with pytest.raises(BadSignature, match=case["refused"]):
            verify(covered, signature, authorizer, allow_legacy=True)


def test_the_registered_kinds_are_all_there() -> None:
    """IANA, KeyNote Signature Algorithm Identifiers, 2010-01-25; and ours."""
    names = {"rsa": "md5 sha1 sha256 sha512 ripemd160", "dsa": "sha1", "x509": "sha1 sha256 sha512 ripemd160"}
    registered = {
        f"sig-{family}-{digest}-{form}" for family, digests in names.items() for digest in digests.split() for form in ("hex", "base64")
    }
    assert set(KINDS) == registered | {"sig-ed25519-hex", "sig-ed25519-base64"}
    assert {kind.digest for kind in KINDS.values() if kind.legacy} == {"md5", "sha1"}


@pytest.mark.parametrize(
    "seed,public,message,signature",
    [  # RFC 8032, section 7.1, tests 1 and 2
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
)
def test_rfc_8032_vectors(seed: str, public: str, message: str, signature: str) -> None:
    key = from_seed(bytes.fromhex(seed))
    assert key.principal == f"ed25519-hex:{public}"
    octets = bytes.fromhex(message)
    assert signatures._sign(KINDS["sig-ed25519-hex"], key, octets).hex() == signature
    signatures._verify_ed25519(Ed25519Key(bytes.fromhex(public)), octets, bytes.fromhex(signature))


# ------------------------------------------------------------------------------------------------------------- both ways


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_we_sign_holds_and_nothing_else_does(kind: str) -> None:
    key = key_for(kind)
    signature = sign(TEXT, key, kind, allow_legacy=True)
    assert signature.startswith(kind + ":")
    verify(TEXT, signature, key.principal, allow_legacy=True)
    with pytest.raises(BadSignature, match="does not verify"):
        verify(TEXT + b" ", signature, key.principal, allow_legacy=True)
    with pytest.raises(BadSignature, match="does not verify"):
        verify(TEXT, signature.replace("sig-", "SIG-"), key.principal, allow_legacy=True)


@pytest.mark.parametrize("kind", ["sig-x509-sha256-hex", "sig-x509-sha512-base64", "sig-x509-ripemd160-hex"])
def test_ecdsa_signs_through_its_certificate(kind: str) -> None:
    key = loaded(ecdsa_secret())
    for authorizer in ("x509-hex:" + certificate(ecdsa_secret()).hex(), key.principal):
        verify(TEXT, sign(TEXT, key, kind), authorizer)


def test_a_certificate_and_its_bare_rsa_key_are_one_authorizer() -> None:
    for kind in ("sig-rsa-sha256-hex", "sig-x509-sha256-hex"):
        for authorizer in (rsa_key().principal, "x509-hex:" + certificate(rsa_key().secret).hex()):
            verify(TEXT, sign(TEXT, rsa_key(), kind), authorizer)


def test_defaults_are_not_legacy() -> None:
    assert sign(TEXT, ed25519_key()).startswith("sig-ed25519-hex:")
    assert sign(TEXT, rsa_key()).startswith("sig-rsa-sha256-hex:")
    assert sign(TEXT, loaded(ecdsa_secret())).startswith("sig-x509-sha512-hex:")
    assert not any(KINDS[kind].legacy for kind in DEFAULT_KINDS.values())
    with pytest.raises(WeakKey, match="not legacy"):
        sign(TEXT, loaded(dsa_secret()), allow_legacy=True)


@pytest.mark.parametrize("kind", ["sig-rsa-sha1-hex", "sig-rsa-md5-base64:", "sig-x509-sha1-hex"])
def test_legacy_kinds_are_signed_only_by_permission(kind: str) -> None:
    with pytest.raises(WeakKey, match="broken"):
        sign(TEXT, rsa_key(), kind)
    assert sign(TEXT, rsa_key(), kind, allow_legacy=True).startswith(kind.removesuffix(":") + ":")


def test_dsa_is_legacy_whatever_the_digest() -> None:
    key = loaded(dsa_secret())
    signature = sign(TEXT, key, "sig-x509-sha256-hex", allow_legacy=True)
    with pytest.raises(WeakKey, match="DSA"):
        verify(TEXT, signature, key.principal)


def test_short_rsa_is_legacy() -> None:
    key = loaded(short_rsa())
    signature = sign(TEXT, key, "sig-rsa-sha256-hex", allow_legacy=True)
    with pytest.raises(WeakKey, match="1024 bits") as caught:
        verify(TEXT, signature, key.principal)
    assert "allow_legacy_signatures" in caught.value.mend
    with pytest.raises(WeakKey, match="1024 bits"):
        sign(TEXT, key)
    with pytest.raises(TooLarge):
        verify(TEXT, signature, key.principal, allow_legacy=True, limits=Limits(rsa_bits=1023))


def test_unusual_curves_are_legacy() -> None:
    key = loaded(ec.generate_private_key(ec.SECP256K1()))
    signature = sign(TEXT, key, "sig-x509-sha256-hex", allow_legacy=True)
    with pytest.raises(WeakKey, match="secp256k1"):
        verify(TEXT, signature, key.principal)


# --------------------------------------------------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    "signature,authorizer,says",
    [
        ("", "hub", "is not signed"),
        ("sig-rsa-sha3-hex:00", "hub", "`sig-rsa-sha3-hex` is no kind"),
        ("rubbish", "hub", "`rubbish` is no kind"),
        (":00", "hub", "`` is no kind"),
        ("x" * 9000, "hub", "x…` is no kind"),
        ("sig-ed25519-hex:00", "hub", "`hub` is a name"),
        ("sig-ed25519-hex:00", "POLICY", "`POLICY` is a name"),
        ("sig-ed25519-hex:00", "", "`` is a name"),
        ("sig-ed25519-hex:00", "binary-hex:00", "binary identifier"),
        ("sig-rsa-sha256-hex:00", ed25519_key().principal, "`sig-rsa-sha256-hex` does not fit the authorizer's Ed25519 key"),
        ("sig-x509-sha256-hex:00", ed25519_key().principal, "does not fit"),
        ("sig-ed25519-hex:00", rsa_key().principal, "does not fit the authorizer's RSA 2048-bit key"),
        ("sig-ed25519-hex:0g", ed25519_key().principal, "bits are not hex"),
        ("sig-ed25519-hex:00 00", ed25519_key().principal, "bits are not hex"),
        ("sig-ed25519-base64:AA", ed25519_key().principal, "bits are not base64"),
        ("sig-ed25519-hex:00", ed25519_key().principal, "has 1 bytes instead of 64"),
        ("sig-ed25519-hex:", ed25519_key().principal, "has 0 bytes instead of 64"),
        ("sig-rsa-sha256-hex:00", rsa_key().principal, "has 1 bytes instead of 256"),
        ("sig-rsa-sha256-hex:" + "ff" * 256, rsa_key().principal, "does not verify"),
        ("sig-rsa-sha256-hex:" + "00" * 256, rsa_key().principal, "does not verify"),
        ("sig-x509-sha256-hex:", "x509-hex:" + certificate(ecdsa_secret()).hex(), "does not verify"),
    ],
    ids=range(21),
)
def test_every_refusal_says_what_is_wrong(signature: str, authorizer: str, says: str) -> None:
    with pytest.raises(BadSignature) as caught:
        verify(TEXT, signature, authorizer)
    assert says in caught.value.message
    assert caught.value.mend


def test_an_undecodable_authorizer() -> None:
    with pytest.raises(BadPrincipal):
        verify(TEXT, "sig-rsa-sha256-hex:00", "rsa-hex:00")


def test_a_digest_that_the_system_lacks() -> None:
    absent = signatures.Kind("sig-rsa-tiger-hex", "rsa", "tiger", Ascii.HEX, legacy=False)
    with pytest.raises(BadSignature, match="has no TIGER"):
        signatures._digest(absent, TEXT)


def test_dsa_sizes_that_the_library_lacks() -> None:
    authorizer = "dsa-hex:" + write_integers(5, (1 << 511) + 9, (1 << 159) + 7, 7).hex()
    with pytest.raises(BadSignature, match="DSA 512-bit key cannot be checked"):
        verify(TEXT, "sig-dsa-sha1-hex:00", authorizer, allow_legacy=True)


# ---------------------------------------------------------------------------------------------------- the openssl program


def digest_of(kind: str, text: bytes = TEXT) -> bytes:
    return hashlib.new(KINDS[kind].digest, text + kind.encode() + b":").digest()


def openssl_signature(directory: Path, secret: Secret, message: bytes, *how: str) -> bytes:
    """Sign *message* with ``openssl pkeyutl``."""
    key, data = directory / "key.pem", directory / "data"
    key.write_bytes(pem(secret))
    data.write_bytes(message)
    return openssl("pkeyutl", "-sign", "-inkey", key, "-in", data, *how)


@needs_openssl
def test_openssl_signs_and_we_verify(tmp_path: Path) -> None:
    for kind, key, how in (
        ("sig-rsa-sha256-hex", rsa_key(), ("-pkeyopt", "rsa_padding_mode:pkcs1")),
        ("sig-x509-sha256-hex", rsa_key(), ("-pkeyopt", "rsa_padding_mode:pkcs1", "-pkeyopt", "digest:sha256")),
        ("sig-x509-sha512-hex", loaded(ecdsa_secret()), ()),
        ("sig-ed25519-hex", ed25519_key(), ("-rawin",)),
    ):
        message = TEXT + kind.encode() + b":"
        given = {"sig-ed25519-hex": message, KIND: octet_string(digest_of(KIND))}.get(kind) or digest_of(kind)
        octets = openssl_signature(tmp_path, key.secret, given, *how)
        verify(TEXT, f"{kind}:{octets.hex()}", key.principal)
        verify(TEXT, f"{kind}:{octets.hex()}", "x509-hex:" + certificate(key.secret).hex())


@needs_openssl
@pytest.mark.parametrize("kind", ["sig-x509-sha256-hex", "sig-x509-sha512-hex"])
@pytest.mark.parametrize("secret", [rsa_key().secret, ecdsa_secret()], ids=["rsa", "ecdsa"])
def test_we_sign_and_openssl_verifies(tmp_path: Path, kind: str, secret: Secret) -> None:
    message, signature, public = tmp_path / "message", tmp_path / "signature", tmp_path / "public.pem"
    message.write_bytes(TEXT + kind.encode() + b":")
    signature.write_bytes(bytes.fromhex(sign(TEXT, loaded(secret), kind).partition(":")[2]))
    public.write_bytes(secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert b"Verified OK" in openssl("dgst", f"-{KINDS[kind].digest}", "-verify", public, "-signature", signature, message)


def test_the_normal_form_of_an_authorizer_verifies_what_its_text_does() -> None:
    text = "x509-hex:" + certificate(ecdsa_secret()).hex()
    signature = sign(TEXT, loaded(ecdsa_secret()))
    verify(TEXT, signature, text)
    verify(TEXT, signature, principals.normalise(text))
