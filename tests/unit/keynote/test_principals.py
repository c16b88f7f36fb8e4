"""Which texts name the same principal, and which name none (RFC 2704, 4.4; RFC 2792; RFC 5708)."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from clearinghouse.errors import BadPrincipal, ClearinghouseError, TooLarge, WeakKey
from clearinghouse.keynote import principals
from clearinghouse.keynote.der import read_integers, write_integers
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.principals import check_strength, decode, describe, is_key, normalise, short, shown
from clearinghouse.keynote.public_keys import DsaKey, Ed25519Key, PublicKey, RsaKey, read_library_key
from tests.unit.keynote.certificates import (
    certificate,
    dsa_secret,
    ecdsa_secret,
    ed25519_key,
    needs_openssl,
    openssl,
    pem,
    rsa_key,
)

ED25519 = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032, section 7.1, test 1
MODULUS = (1 << 2047) + 9
RSA = write_integers(MODULUS, 65_537)
P256 = principals.of_certificate(certificate(ecdsa_secret()))
DSA = write_integers(5, 1_000_003, 101, 7)
ALGORITHMS = ("rsa", "dsa", "x509", "binary", "ed25519", "ecdsa")


def base64_of(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(
    "text,normal",
    [
        ("hub", "hub"),
        ("POLICY", "POLICY"),
        ("", ""),
        ("xmpp:analyst@b.example", "xmpp:analyst@b.example"),
        ("RSA:30", "RSA:30"),
        ("rsa-hex", "rsa-hex"),
        (" rsa-hex:00", " rsa-hex:00"),
        ("passphrase-md5-hex:00", "passphrase-md5-hex:00"),
        (f"ed25519-hex:{ED25519}", f"ed25519-hex:{ED25519}"),
        (f"ED25519-Hex:{ED25519.upper()}", f"ed25519-hex:{ED25519}"),
        ("ed25519-base64:" + base64_of(bytes.fromhex(ED25519)), f"ed25519-hex:{ED25519}"),
        ("rsa-base64:" + base64_of(RSA), f"rsa-hex:{RSA.hex()}"),
        ("Rsa-Hex:" + RSA.hex().upper(), f"rsa-hex:{RSA.hex()}"),
        ("dsa-base64:" + base64_of(DSA), f"dsa-hex:{DSA.hex()}"),
        ("binary-base64:ABE=", "binary-hex:0011"),
        ("BINARY-HEX:0A", "binary-hex:0a"),
    ],
)
def test_a_principal_has_one_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    "text,reason",
    [
        ("rsa-hex:", "tag 0x30"),
        ("rsa-hex:00", "tag 0x30"),
        ("dsa-hex:123", "bits are not hex"),
        ("rsa-hex:3003020101", "tag 0x02"),
        ("rsa-hex: " + RSA.hex(), "bits are not hex"),
        ("rsa-hex:" + RSA.hex() + "\n", "bits are not hex"),
        ("rsa-base64:" + base64_of(RSA)[:60] + "\n" + base64_of(RSA)[60:], "bits are not base64"),
        ("ed25519-base64:" + base64_of(bytes.fromhex(ED25519)).rstrip("="), "bits are not base64"),
        ("binary-base64:ABF=", "bits are not base64"),
        ("binary-base64:AB-_", "bits are not base64"),
        ("binary-base64:AB--CD==", "bits are not base64"),
        ("binary-hex:é", "bits are not hex"),
        ("rsa-hex:" + RSA.hex() + "00", "bytes follow"),
        ("dsa-hex:" + write_integers(5, 1_000_003, 101, 7, 9).hex(), "bytes follow the 4"),
        ("rsa-hex:3006020181020103", "negative"),
        ("rsa-hex:30050200020103", "empty"),
        ("rsa-hex:300702020011020103", "not minimal"),
        ("rsa-hex:308106020111020103", "length is not minimal"),
        ("rsa-hex:30820006020111020103", "length is not minimal"),
        ("rsa-hex:3080020111020103", "length is not minimal"),
        ("rsa-hex:30820089" + write_integers(1 << 1023 | 1, 65_537).hex()[6:], "length is not minimal"),
        ("rsa-hex:30ff020111020103", "length is not minimal"),
        ("rsa-hex:3007020111020103", "cut off"),
        ("rsa-hex:" + write_integers(65_537, MODULUS).hex(), "modulus comes first"),
        ("dsa-hex:" + write_integers(1_000_003, 101, 7, 5).hex(), "in that order"),
        ("dsa-hex:" + write_integers(0, 1_000_003, 101, 7).hex(), "in that order"),
        ("ed25519-hex:" + ED25519[2:], "32 bytes, not 31"),
        ("binary-hex:", "at least one byte"),
        ("x509-hex:3000", "no DER certificate"),
        ("x509-base64:", "no DER certificate"),
        ("ecdsa-hex:3000", "no DER SubjectPublicKeyInfo"),
    ],
)
def test_a_known_algorithm_with_other_bits_is_no_principal(text: str, reason: str) -> None:
    with pytest.raises(BadPrincipal, match=reason):
        normalise(text)
    assert short(text) == shown(text)
    assert describe(text).startswith("undecodable principal `")


def test_a_certificate_is_the_key_inside_it() -> None:
    for key in (ed25519_key(), rsa_key()):
        first, second = certificate(key.secret), certificate(key.secret, "other.example")
        assert first != second
        assert normalise(f"x509-hex:{first.hex()}") == normalise("X509-BASE64:" + base64_of(second)) == key.principal
        assert principals.of_certificate(first) == key.principal


def test_a_dsa_certificate_is_the_dsa_key() -> None:
    numbers = dsa_secret().public_key().public_numbers()
    parameters = numbers.parameter_numbers
    bits = write_integers(numbers.y, parameters.p, parameters.q, parameters.g)
    assert principals.of_certificate(certificate(dsa_secret())) == f"dsa-hex:{bits.hex()}"


def test_an_ecdsa_key_is_its_own_principal_and_no_alias() -> None:
    """The normal form is a key for whoever writes it: nobody can take it as an opaque name."""
    normal = P256
    bits = ecdsa_secret().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert normal == f"ecdsa-hex:{bits.hex()}"
    assert normalise(normal) == normalise("ECDSA-base64:" + base64_of(bits)) == normal
    assert is_key(normal)


def test_an_ecdsa_identifier_takes_no_other_key() -> None:
    bits = rsa_key().secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadPrincipal, match="of another type"):
        normalise(f"ecdsa-hex:{bits.hex()}")


def test_a_certificate_whose_key_cannot_sign_assertions() -> None:
    with pytest.raises(BadPrincipal, match="key of type Ed448"):
        principals.of_certificate(certificate(ed448.Ed448PrivateKey.generate()))


@needs_openssl
@pytest.mark.parametrize("spelling", [("-conv_form", "compressed"), ("-param_enc", "explicit"), ()])
def test_openssl_spellings_of_a_point_are_one_key(tmp_path: Path, spelling: tuple[str, ...]) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(ecdsa_secret()))
    bits = openssl("ec", "-in", file, "-pubout", "-outform", "DER", *spelling)
    assert normalise(f"ecdsa-hex:{bits.hex()}") == P256


@needs_openssl
@pytest.mark.parametrize(
    "kind", [("-newkey", "rsa:2048"), ("-newkey", "ed25519"), ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")]
)
def test_openssl_certificates_are_read(tmp_path: Path, kind: tuple[str, ...]) -> None:
    key = tmp_path / "key.pem"
    bits = openssl("req", "-x509", *kind, "-nodes", "-keyout", key, "-subj", "/CN=hub.example", "-outform", "DER")
    public = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
    assert principals.of_certificate(bits).partition(":")[2] in public.hex()


@given(st.text(st.characters(max_codepoint=255)))
@example("hub:x")
@example("ed25519-hex")
@example("ed25519-hex;" + ED25519)
def test_an_opaque_name_is_never_a_key(text: str) -> None:
    algorithm = text.partition(":")[0].lower()
    if ":" not in text or not algorithm.startswith(ALGORITHMS):
        assert normalise(text) == text
        assert decode(text) is None
        assert not is_key(text)


prefixes = st.sampled_from([f"{algorithm}-{form}:" for algorithm in ALGORITHMS for form in ("hex", "base64", "HEX")])
bits = st.one_of(
    st.binary(max_size=200),
    st.lists(st.integers(min_value=0, max_value=1 << 300), max_size=5).map(lambda values: write_integers(*values)),
    st.binary(min_size=32, max_size=32),
)
texts = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=80),
    st.builds(str.__add__, prefixes, st.text(st.characters(max_codepoint=255), max_size=40)),
    st.builds(str.__add__, prefixes, bits.map(bytes.hex)),
    st.builds(str.__add__, prefixes, bits.map(base64_of)),
)


@given(texts)
@example("x509-hex:" + certificate(ecdsa_secret()).hex())
def test_normal_forms_are_fixed_points_and_nothing_raises_outside_the_tree(text: str) -> None:
    try:
        normal = normalise(text)
    except BadPrincipal:
        normal = "hub"
    assert normalise(normal) == normal
    assert decode(normal) is None or is_key(normal) or normal.startswith("binary-hex:")
    assert describe(text)
    assert short(text).isprintable()
    with suppress(ClearinghouseError):
        check_strength(text, allow_legacy=True)


@given(st.sampled_from(ALGORITHMS), bits)
def test_hex_and_base64_of_the_same_bits_are_equal(algorithm: str, octets: bytes) -> None:
    answers = set()
    for text in (f"{algorithm}-hex:{octets.hex()}", f"{algorithm}-HEX:{octets.hex().upper()}", f"{algorithm}-base64:{base64_of(octets)}"):
        try:
            answers.add(normalise(text))
        except BadPrincipal:
            answers.add("")
    assert len(answers) == 1


@given(
    st.lists(st.integers(min_value=0, max_value=1 << 2050), min_size=2, max_size=2),
    st.integers(min_value=0, max_value=9),
    st.binary(max_size=2),
)
def test_what_the_der_reader_takes_is_what_the_writer_writes(numbers: list[int], place: int, octets: bytes) -> None:
    """So that the bytes of a key are its normal form."""
    damaged = write_integers(*numbers)
    damaged = damaged[:place] + octets + damaged[place + len(octets) :]
    with suppress(ValueError):
        assert write_integers(*read_integers(damaged, 2)) == damaged


@given(st.lists(st.integers(min_value=0, max_value=1 << 2050), min_size=4, max_size=4, unique=True))
def test_two_keys_never_share_a_normal_form(numbers: list[int]) -> None:
    a, b, c, d = numbers
    keys = [RsaKey(max(a, b), min(a, b)), RsaKey(max(c, d), min(c, d)), RsaKey(max(a, c), min(a, c))]
    assert len({principals.of_key(key) for key in keys}) == len(set(keys))


@pytest.mark.parametrize(
    "key,says",
    [
        (RsaKey(MODULUS >> 1 | 1, 65_537), "2047 bits"),
        (RsaKey(MODULUS, 3), "exponent is 3"),
        (RsaKey(MODULUS, 65_535), "exponent is 65535"),
        (DsaKey(5, 1_000_003, 101, 7), "DSA"),
        (read_library_key(ec.generate_private_key(ec.SECP256K1()).public_key()), "secp256k1"),
    ],
)
def test_old_keys_need_the_legacy_setting(key: PublicKey, says: str) -> None:
    text = principals.of_key(key)
    with pytest.raises(WeakKey, match=says) as caught:
        check_strength(text, allow_legacy=False)
    assert "allow_legacy_signatures" in caught.value.mend
    check_strength(text, allow_legacy=True)


@pytest.mark.parametrize("allow_legacy", [False, True])
@pytest.mark.parametrize(
    "key,error",
    [
        (RsaKey(MODULUS, 1), WeakKey),
        (RsaKey(MODULUS, 0), WeakKey),
        (RsaKey(MODULUS, 65_538), WeakKey),
        (RsaKey(MODULUS + 1, 65_537), WeakKey),
        (RsaKey((1 << 8192) + 1, 65_537), TooLarge),
        (RsaKey(MODULUS, (1 << 64) + 1), TooLarge),
    ],
)
def test_no_setting_admits_a_key_that_anybody_can_use(key: RsaKey, error: type[ClearinghouseError], *, allow_legacy: bool) -> None:
    with pytest.raises(error):
        check_strength(principals.of_key(key), allow_legacy=allow_legacy)


SMALL_ORDER_OR_NOT_CANONICAL = (
    "00" * 32,
    "01" + "00" * 31,
    "01" + "00" * 30 + "80",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "ff" * 32,
)


@pytest.mark.parametrize("bits", SMALL_ORDER_OR_NOT_CANONICAL)
def test_no_setting_admits_an_odd_ed25519_point(bits: str) -> None:
    with pytest.raises(WeakKey, match="no honest Ed25519 key"):
        check_strength(f"ed25519-hex:{bits}", allow_legacy=True)


def test_the_size_limit_is_the_one_given() -> None:
    with pytest.raises(TooLarge, match="2048 bits"):
        check_strength(rsa_key().principal, allow_legacy=False, limits=Limits(rsa_bits=2047))


@pytest.mark.parametrize("principal", [f"ed25519-hex:{ED25519}", f"rsa-hex:{RSA.hex()}", "hub", "binary-hex:00", P256])
def test_good_keys_and_names_pass(principal: str) -> None:
    check_strength(principal, allow_legacy=False)


@pytest.mark.parametrize(
    "principal,description,name",
    [
        (f"ed25519-hex:{ED25519}", "Ed25519 key d75a9801…", "ed25519-d75a9801"),
        ("hub", "opaque name `hub`", "hub"),
        ("", "opaque name ``", ""),
        ("binary-hex:0011", "binary identifier 2ed34834…", "binary-2ed34834"),
    ],
)
def test_principals_in_words(principal: str, description: str, name: str) -> None:
    assert describe(principal) == description
    assert short(principal) == name


def test_keys_in_words() -> None:
    assert describe(f"rsa-hex:{RSA.hex()}").startswith("RSA 2048-bit key ")
    assert describe(f"dsa-hex:{DSA.hex()}").startswith("DSA 20-bit key ")
    assert describe(P256).startswith("ECDSA P-256 key ")
    assert describe("x509-hex:" + certificate(ed25519_key().secret).hex()) == describe(ed25519_key().principal)


@pytest.mark.parametrize(
    "octets,text",
    [
        ("caf\xc3\xa9", "café"),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("\xe2\x80\xaeevil", "\\u202eevil"),
        ("`a\\b`", "\\`a\\\\b\\`"),
        ("\xff", "\ufffd"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 64 + "…"),
        ("\xf0\x9f\x98\x80" * 64, "😀" * 64),
        ("\xf0\x9f\x98\x80" * 65, "😀" * 64 + "…"),
    ],
)
def test_names_of_strangers_are_shown_safely(octets: str, text: str) -> None:
    assert shown(octets) == text


def test_the_first_digits_of_an_ed25519_name_are_those_of_the_key() -> None:
    assert isinstance(decode(ed25519_key().principal), Ed25519Key)
    assert ed25519_key().principal[12:20] == short(ed25519_key().principal)[8:]
