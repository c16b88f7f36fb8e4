"""R18: a signed request is meant for one clearinghouse, lives five minutes at most, and counts once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from clearinghouse.clearing.dsse import CHECKPOINT, Envelope
from clearinghouse.clearing.envelope import (
    LONGEST_LIFE,
    MAX_CREDENTIAL_CHARACTERS,
    MAX_CREDENTIALS,
    MAX_MEMBERS,
    REQUEST,
    SKEW,
    Asked,
    EnvelopeNotYet,
    LivesTooLong,
    MalformedEnvelope,
    Replayed,
    StaleEnvelope,
    WrongAudience,
    WrongPayloadType,
    fingerprint,
    opened,
    read_asked,
    seal,
    written,
)
from clearinghouse.errors import PeerError, TooLarge
from tests.world import NOON, key

HUB = "hub.example"
ASKED = Asked("approve", HUB, "0123456789abcdef", NOON, NOON + LONGEST_LIFE, {"case": "3f2a", "shown": "ab"})
MOMENT = timedelta(microseconds=1)


def signed(asked: Asked, *names: str) -> Envelope:
    return opened(seal(written(asked), REQUEST, [key(name) for name in names or ("ann",)]), payload_type=REQUEST)


def read(asked: Asked, now: datetime = NOON, audience: str = HUB) -> Asked:
    return read_asked(signed(asked), audience=audience, now=now)


def test_r18_a_request_is_read_as_it_was_written() -> None:
    assert read(ASKED) == ASKED


def test_r18_a_request_for_another_clearinghouse_is_refused() -> None:
    with pytest.raises(WrongAudience) as caught:
        read(ASKED, audience="hub.example.net")
    assert caught.value.code == "wrong-audience"


def test_r18_a_request_lives_from_its_issue_until_it_expires() -> None:
    for now in (NOON - SKEW, NOON, NOON + LONGEST_LIFE - MOMENT):
        assert read(ASKED, now) == ASKED
    with pytest.raises(EnvelopeNotYet) as early:
        read(ASKED, NOON - SKEW - MOMENT)
    with pytest.raises(StaleEnvelope) as late:
        read(ASKED, NOON + LONGEST_LIFE)
    assert (early.value.code, late.value.code) == ("envelope-not-yet", "stale-envelope")


def test_r18_no_request_lives_longer_than_five_minutes() -> None:
    long = replace(ASKED, expires=NOON + LONGEST_LIFE + MOMENT)
    with pytest.raises(LivesTooLong):
        written(long)
    payload = written(ASKED).replace(b"12:05:00.000000Z", b"12:05:00.000001Z")
    envelope = opened(seal(payload, REQUEST, [key("ann")]), payload_type=REQUEST)
    with pytest.raises(LivesTooLong):
        read_asked(envelope, audience=HUB, now=NOON)


def test_r18_a_copy_is_known_by_its_signer_and_payload_until_it_expires() -> None:
    """What a store does, in small: it remembers fingerprints until the envelope's own expiry."""
    seen: dict[tuple[str, str], datetime] = {}

    def take(envelope: Envelope, now: datetime) -> Asked:
        asked = read_asked(envelope, audience=HUB, now=now)
        if any(seen.get(each, now) > now for each in fingerprint(envelope)):
            raise Replayed("the envelope was taken already", mend="sign a new one")
        seen.update(dict.fromkeys(fingerprint(envelope), asked.expires))
        return asked

    both = signed(ASKED, "ann", "bob")
    take(both, NOON)
    for copy in (both, signed(ASKED, "ann"), signed(ASKED, "bob"), signed(ASKED, "eve", "bob")):
        with pytest.raises(Replayed):
            take(copy, NOON + LONGEST_LIFE - MOMENT)
    with pytest.raises(StaleEnvelope):
        take(both, NOON + LONGEST_LIFE)
    take(signed(replace(ASKED, nonce="fedcba9876543210"), "ann"), NOON)


def test_r18_a_checkpoint_is_no_request() -> None:
    envelope = opened(seal(written(ASKED), CHECKPOINT, [key("ann")]), payload_type=CHECKPOINT)
    with pytest.raises(WrongPayloadType):
        read_asked(envelope, audience=HUB, now=NOON)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Approve"},
        {"kind": ""},
        {"nonce": "short"},
        {"nonce": "x" * 65},
        {"nonce": "0123456789abcde\n"},
        {"audience": ""},
        {"audience": "x" * 1_024},
        {"expires": "2026-11-20T12:00:00.000000Z"},
        {"expires": "2026-11-20T12:05:00Z"},
        {"issued": "2026-11-20T13:00:00.000000+01:00"},
        {"issued": 1},
        {"body": []},
        {"body": {"case": 1}},
        {"body": {"case": {"a": "b"}}},
        {"more": "x"},
    ],
)
def test_r18_a_payload_that_says_anything_else_is_malformed(change: dict[str, object]) -> None:
    payload = json.dumps(json.loads(written(ASKED)) | change).encode()
    envelope = opened(seal(payload, REQUEST, [key("ann")]), payload_type=REQUEST)
    with pytest.raises(MalformedEnvelope):
        read_asked(envelope, audience=HUB, now=NOON)


def test_r18_bodies_have_limits() -> None:
    for body in ({str(number): "" for number in range(MAX_MEMBERS + 1)}, {"x" * 65: ""}):
        with pytest.raises(TooLarge):
            written(replace(ASKED, body=body))


def test_r18_each_refusal_has_a_reason_of_its_own() -> None:
    refusals = (WrongAudience, StaleEnvelope, EnvelopeNotYet, LivesTooLong, Replayed, MalformedEnvelope, WrongPayloadType)
    assert len({each.code for each in refusals}) == len(refusals)
    assert all(issubclass(each, PeerError) for each in refusals)


# -- credentials that come with a request -----------------------------------------------------------------


def test_r18_credentials_are_part_of_what_is_signed() -> None:
    asked = replace(ASKED, credentials=('Authorizer: "a"\n', 'Authorizer: "b"\n'))
    assert read(asked) == asked


def test_r18_a_request_without_credentials_is_written_as_ever() -> None:
    assert b"credentials" not in written(ASKED)


@pytest.mark.parametrize("wrong", ["[]", '[""]', "[1]", "{}", '"text"', "null"])
def test_r18_credentials_are_a_list_of_texts_or_left_out(wrong: str) -> None:
    payload = written(replace(ASKED, credentials=("x",))).replace(b'["x"]', wrong.encode())
    with pytest.raises(MalformedEnvelope):
        read_asked(opened(seal(payload, REQUEST, [key("ann")]), payload_type=REQUEST), audience=HUB, now=NOON)


def test_r18_so_many_credentials_and_no_more() -> None:
    most = replace(ASKED, credentials=("x",) * MAX_CREDENTIALS)
    assert read(most) == most
    with pytest.raises(TooLarge):
        written(replace(ASKED, credentials=("x",) * (MAX_CREDENTIALS + 1)))
    with pytest.raises(TooLarge):
        written(replace(ASKED, credentials=("x" * MAX_CREDENTIAL_CHARACTERS, "y")))
