"""Blocks, points and scalars that a careless verifier takes for a signature (R19)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.errors import BadSignature, ClearinghouseError
from clearinghouse.keynote import signatures
from clearinghouse.keynote.der import octet_string, write_integers
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.signatures import KINDS, sign, verify
from tests.unit.keynote.certificates import dsa_secret, ecdsa_secret, ed25519_key, loaded, rsa_key

TEXT = b'Authorizer: "hub"\nLicensees: "analyst"\n'
KIND = "sig-rsa-sha256-hex"


def digest_of(kind: str, text: bytes = TEXT) -> bytes:
    return hashlib.new(KINDS[kind].digest, text + kind.encode() + b":").digest()


PAYLOAD = octet_string(digest_of(KIND))


@cache
def cube_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(3, 2048)


def signed_block(block: bytes) -> bytes:
    """Apply the private operation to any block at all, as the key's owner could."""
    secret = rsa_key().secret
    assert isinstance(secret, rsa.RSAPrivateKey)
    numbers = secret.private_numbers()
    return pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(256)


def padded(payload: bytes, *, first: bytes = b"\x00\x01", fill: bytes = b"\xff", size: int = 256) -> bytes:
    return first + fill * (size - 3 - len(payload)) + b"\x00" + payload


def test_a_well_formed_block_holds() -> None:
    verify(TEXT, f"{KIND}:{signed_block(padded(PAYLOAD)).hex()}", rsa_key().principal)


@pytest.mark.parametrize(
    "block",
    [
        padded(PAYLOAD, first=b"\x00\x02"),
        padded(PAYLOAD, first=b"\x00\x00"),
        padded(PAYLOAD, fill=b"\xfe"),
        padded(PAYLOAD + b"\x00"),
        padded(PAYLOAD + bytes(100)),
        padded(b"\x04\x81\x20" + PAYLOAD[2:]),
        padded(b"\x04\x20" + PAYLOAD[2:-1]),
        padded(PAYLOAD[2:]),
        padded(b""),
        padded(octet_string(digest_of(KIND, TEXT + b" "))),
        padded(signatures._DIGEST_INFO["sha256"] + PAYLOAD[2:]),
        b"\x00\x01" + b"\xff" * 8 + b"\x00" + PAYLOAD + bytes(211),
        b"\x00\x01\x00" + PAYLOAD + bytes(219),
        b"\x00\x01" + b"\xff" * 100 + b"\xaa" + b"\xff" * 118 + b"\x00" + PAYLOAD,
    ],
)
def test_any_other_block_does_not_hold(block: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(TEXT, f"{KIND}:{signed_block(block[:256]).hex()}", rsa_key().principal)


def test_a_right_digest_in_the_wrong_dress_is_named() -> None:
    for kind, payload in (
        ("sig-rsa-sha256-hex", signatures._DIGEST_INFO["sha256"]),
        ("sig-x509-sha256-hex", b"\x04\x20"),
    ):
        block = padded(payload + digest_of(kind))
        with pytest.raises(BadSignature, match="not packed as"):
            verify(TEXT, f"{kind}:{signed_block(block).hex()}", rsa_key().principal)


def cube_root(number: int) -> int:
    """Return the smallest integer whose cube is not below *number*."""
    low, high = 0, 1 << number.bit_length() // 3 + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle**3 >= number else (middle + 1, high)
    return low


def test_a_cube_root_forgery_does_not_hold() -> None:
    """Bleichenbacher 2006: exponent 3, minimal padding, the rest of the block is what the root leaves."""
    head = b"\x00\x01" + b"\xff" * 8 + b"\x00" + PAYLOAD
    root = cube_root(int.from_bytes(head + bytes(256 - len(head))))
    assert (root**3).to_bytes(256).startswith(head)
    with pytest.raises(BadSignature, match="does not verify"):
        verify(TEXT, f"{KIND}:{root.to_bytes(256).hex()}", loaded(cube_rsa()).principal, allow_legacy=True)


def test_an_identity_key_signs_nothing() -> None:
    """With a public key of small order, R = B and s = 1 satisfy the equation of RFC 8032 for every text."""
    base_point = "58" + "66" * 31
    signature = f"sig-ed25519-hex:{base_point}01" + "00" * 31
    with pytest.raises(BadSignature, match="does not verify"):
        verify(TEXT, signature, "ed25519-hex:01" + "00" * 31, allow_legacy=True)


def test_an_ed25519_signature_has_one_form() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = bytes.fromhex(sign(TEXT, ed25519_key()).partition(":")[2])
    moved = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(BadSignature, match="does not verify"):
        verify(TEXT, f"sig-ed25519-hex:{(signature[:32] + moved).hex()}", ed25519_key().principal)


def ecdsa_key() -> PrivateKey:
    return loaded(ecdsa_secret())


def dsa_key() -> PrivateKey:
    return loaded(dsa_secret())


KEYS: dict[str, Callable[[], PrivateKey]] = {
    "sig-ed25519-hex": ed25519_key,
    "sig-rsa-sha256-hex": rsa_key,
    "sig-x509-sha256-hex": ecdsa_key,
}


@cache
def good(kind: str) -> bytes:
    return bytes.fromhex(sign(TEXT, KEYS[kind](), kind).partition(":")[2])


@settings(max_examples=60)
@given(st.sampled_from(sorted(KEYS)), st.data())
def test_flipped_cut_or_lengthened_signatures_do_not_hold(kind: str, data: st.DataObject) -> None:
    whole = good(kind)
    flipped = bytearray(whole)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for octets in (bytes(flipped), cut, whole + data.draw(st.binary(min_size=1, max_size=4))):
        with pytest.raises(BadSignature):
            verify(TEXT, f"{kind}:{octets.hex()}", KEYS[kind]().principal)


signature_texts = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.builds("{}:{}".format, st.sampled_from(sorted(KINDS)), st.binary(max_size=260).map(bytes.hex)),
)
authorizers = st.sampled_from(["hub", "rsa-hex:00", *(key.principal for key in (ed25519_key(), rsa_key(), ecdsa_key(), dsa_key()))])


@settings(max_examples=150)
@given(st.binary(max_size=60), signature_texts, authorizers)
def test_nothing_raises_outside_the_tree(text: bytes, signature: str, authorizer: str) -> None:
    for allow_legacy in (False, True):
        with suppress(ClearinghouseError):
            verify(text, signature, authorizer, allow_legacy=allow_legacy)
            pytest.fail("a random signature holds")


@settings(max_examples=60)
@given(st.lists(st.integers(1, 1 << 1100), min_size=4, max_size=4), st.binary(max_size=50))
def test_odd_dsa_numbers_raise_nothing_else(numbers: list[int], octets: bytes) -> None:
    y, q, g = (number % (1 << 1023) + 1 for number in numbers[:3])
    for p in (numbers[3], (1 << 1023) | numbers[3] % (1 << 1023)):
        authorizer = f"dsa-hex:{write_integers(y, p, q % (1 << 160), g).hex()}"
        with suppress(ClearinghouseError):
            verify(TEXT, f"sig-dsa-sha1-hex:{octets.hex()}", authorizer, allow_legacy=True)
            pytest.fail("a random signature holds")
