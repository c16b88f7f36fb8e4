from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.clearing.dsse import MAX_ENVELOPE_BYTES, MAX_SIGNATURES
from clearinghouse.clearing.envelope import (
    CHECKPOINT,
    REQUEST,
    MalformedEnvelope,
    SignedTwice,
    WrongPayloadType,
    fingerprint,
    opened,
    pae,
    seal,
)
from clearinghouse.errors import BadPrincipal, BadSignature, ClearinghouseError, TooLarge, WeakKey
from clearinghouse.keynote.keys import PrivateKey, from_seed, generate
from clearinghouse.keynote.signatures import sign, verify
from tests.world import key

ANN, BOB = key("ann"), key("bob")
RSA = generate("rsa", rsa_bits=2048)
PAYLOAD = b'{"hello":"world"}'
SEALED = seal(PAYLOAD, REQUEST, [ANN, BOB])


def changed(change: Callable[[dict[str, Any]], object], raw: bytes = SEALED) -> bytes:
    told = json.loads(raw)
    change(told)
    return json.dumps(told).encode()


def test_the_encoding_is_that_of_dsse() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("é", b"") == "DSSEv1 2 é 0 ".encode()


@pytest.mark.parametrize("keys", [(ANN,), (ANN, BOB), (RSA,), (BOB, RSA)], ids=["one", "two", "rsa", "mixed"])
def test_what_is_sealed_is_opened_with_its_signers_in_order(keys: tuple[PrivateKey, ...]) -> None:
    envelope = opened(seal(PAYLOAD, REQUEST, keys), payload_type=REQUEST)
    assert envelope.payload == PAYLOAD
    assert envelope.signers == tuple(each.principal for each in keys)


def test_an_envelope_has_the_documented_members() -> None:
    told = json.loads(SEALED)
    assert list(told) == ["payload", "payloadType", "signatures"]
    assert base64.b64decode(told["payload"], validate=True) == PAYLOAD
    verify(pae(REQUEST, PAYLOAD), told["signatures"][0]["sig"], ANN.principal)


def test_any_layout_of_the_json_will_do() -> None:
    assert opened(json.dumps(json.loads(SEALED), indent=4).encode(), payload_type=REQUEST).payload == PAYLOAD


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_can_change(at: int, by: int) -> None:
    raw = bytearray(SEALED)
    raw[at] ^= by
    with pytest.raises(ClearinghouseError):
        opened(bytes(raw), payload_type=REQUEST)


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_refused_as_ours(raw: bytes) -> None:
    with pytest.raises(ClearinghouseError):
        opened(raw, payload_type=REQUEST)


def test_another_type_is_refused_though_it_is_well_signed() -> None:
    with pytest.raises(WrongPayloadType):
        opened(SEALED, payload_type=CHECKPOINT)
    with pytest.raises(WrongPayloadType):
        seal(PAYLOAD, "text/plain", [ANN])


def test_a_signature_for_one_type_is_none_for_another() -> None:
    raw = changed(lambda told: told.update(payloadType=CHECKPOINT))
    with pytest.raises(BadSignature):
        opened(raw, payload_type=CHECKPOINT)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        SEALED.replace(b"application/", b"application\\/"),
        SEALED.replace(b'"payload":', b'"payload":"","payload":'),
        SEALED.replace(b'{"keyid":', b'{"keyid":"x","keyid":'),
        changed(lambda told: told.update(more=1)),
        changed(lambda told: told["signatures"][0].update(more=1)),
        changed(lambda told: told["signatures"].append("x")),
        changed(lambda told: told.update(signatures={})),
        changed(lambda told: told.update(payload=1)),
        changed(lambda told: told.update(payload=told["payload"].rstrip("="))),
        changed(lambda told: told.update(payload=told["payload"] + "\n")),
        changed(lambda told: told.update(payload="-_==")),
        changed(lambda told: told["signatures"][0].update(keyid="ann")),
        changed(lambda told: told["signatures"][0].update(keyid="")),
        changed(lambda told: told["signatures"][0].update(keyid=ANN.principal.upper())),
        changed(lambda told: told["signatures"][0].update(sig=told["signatures"][0]["sig"].replace("a", "A"))),
    ],
)
def test_what_is_no_envelope_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        opened(raw, payload_type=REQUEST)


def test_every_signature_must_hold() -> None:
    mine, theirs = (each["sig"] for each in json.loads(SEALED)["signatures"])
    for raw in (
        changed(lambda told: told["signatures"][1].update(sig=mine)),
        changed(lambda told: told["signatures"][0].update(sig=theirs)),
        changed(lambda told: told["signatures"][1].update(sig="")),
        changed(lambda told: told["signatures"][1].update(sig="sig-ed25519-hex:")),
        changed(lambda told: told["signatures"][1].update(keyid=RSA.principal)),
    ):
        with pytest.raises(BadSignature):
            opened(raw, payload_type=REQUEST)


def test_nobodys_envelope_is_refused() -> None:
    with pytest.raises(BadSignature, match="not signed"):
        opened(changed(lambda told: told.update(signatures=[])), payload_type=REQUEST)
    with pytest.raises(BadSignature, match="not signed"):
        seal(PAYLOAD, REQUEST, [])


def test_one_key_counts_once_and_says_so() -> None:
    with pytest.raises(SignedTwice):
        seal(PAYLOAD, REQUEST, [ANN, BOB, ANN])
    with pytest.raises(SignedTwice):
        opened(changed(lambda told: told["signatures"].append(told["signatures"][0])), payload_type=REQUEST)


def test_one_key_in_two_spellings_is_refused() -> None:
    spelt = "ed25519-base64:" + base64.b64encode(bytes.fromhex(ANN.principal.partition(":")[2])).decode()
    raw = changed(lambda told: told["signatures"].append({"keyid": spelt, "sig": told["signatures"][0]["sig"]}))
    with pytest.raises(MalformedEnvelope, match="normal form"):
        opened(raw, payload_type=REQUEST)


def test_old_kinds_never_pass() -> None:
    old = sign(pae(REQUEST, PAYLOAD), RSA, "sig-rsa-sha1-hex", allow_legacy=True)
    raw = changed(lambda told: told.update(signatures=[{"keyid": RSA.principal, "sig": old}]))
    with pytest.raises(WeakKey):
        opened(raw, payload_type=REQUEST)


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(BadPrincipal):
        opened(changed(lambda told: told["signatures"][0].update(keyid="ed25519-hex:00")), payload_type=REQUEST)


def test_envelopes_have_limits() -> None:
    with pytest.raises(TooLarge):
        opened(b" " * (MAX_ENVELOPE_BYTES + 1), payload_type=REQUEST)
    with pytest.raises(TooLarge):
        seal(bytes(MAX_ENVELOPE_BYTES), REQUEST, [ANN])
    many = [from_seed(bytes([number]) * 32) for number in range(1, MAX_SIGNATURES + 2)]
    assert len(opened(seal(PAYLOAD, REQUEST, many[:-1]), payload_type=REQUEST).signers) == MAX_SIGNATURES
    with pytest.raises(TooLarge):
        seal(PAYLOAD, REQUEST, many)


def test_a_credentials_signature_is_none_of_an_envelope() -> None:
    """What is signed begins with `DSSEv1 `, and an assertion with the name of a field."""
    text = b'Authorizer: "x"\n'
    raw = changed(lambda told: told.update(signatures=[{"keyid": ANN.principal, "sig": sign(text, ANN)}]))
    with pytest.raises(BadSignature):
        opened(raw, payload_type=REQUEST)


def test_the_fingerprint_is_of_each_signer_and_the_payload_alone() -> None:
    both, one = opened(SEALED, payload_type=REQUEST), opened(seal(PAYLOAD, REQUEST, [BOB]), payload_type=REQUEST)
    assert set(fingerprint(one)) < set(fingerprint(both))
    again = opened(json.dumps(json.loads(SEALED), indent=1).encode(), payload_type=REQUEST)
    assert fingerprint(again) == fingerprint(both)
    assert not set(fingerprint(both)) & set(fingerprint(opened(seal(b"{}", REQUEST, [ANN, BOB]), payload_type=REQUEST)))
