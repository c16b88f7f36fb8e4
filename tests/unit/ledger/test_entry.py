from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.errors import TooLarge
from clearinghouse.ledger.entry import MAX_RECORD_BYTES, BadEntry, Entry, Kind, Opening, commit, leaf, read_leaf, record_bytes
from tests.unit.ledger.logs import NOON, row

ENTRY, OPENING = row(3)
entries = st.builds(
    Entry,
    number=st.integers(0, 2**53),
    at=st.datetimes(timezones=st.just(NOON.tzinfo)),
    kind=st.sampled_from(Kind),
    ref=st.text(st.characters(exclude_categories=["Cs"]), max_size=128),
    commitment=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


def test_a_leaf_has_the_documented_bytes() -> None:
    entry = replace(ENTRY, commitment="ab" * 32, ref="0123", kind=Kind.GRANT_ENDED)
    assert leaf(entry) == (
        b'{"at":"2026-11-20T12:00:03.000000Z","commitment":"' + b"ab" * 32 + b'","kind":"grant-ended","number":3,"ref":"0123"}'
    )


@given(entries)
def test_a_leaf_is_read_as_it_was_written(entry: Entry) -> None:
    assert read_leaf(leaf(entry)) == entry
    assert leaf(entry).isascii()


@given(entries, st.data())
def test_a_leaf_has_no_other_spelling(entry: Entry, data: st.DataObject) -> None:
    raw = leaf(entry)
    at = data.draw(st.integers(0, len(raw)))
    with pytest.raises(BadEntry):
        read_leaf(raw[:at] + data.draw(st.sampled_from([b" ", b"\n", b'"', b"{"])) + raw[at:] + b"\n")


@pytest.mark.parametrize(
    "member, value",
    [
        ("number", -1),
        ("number", True),
        ("number", "3"),
        ("number", 10**17),
        ("commitment", "AB" * 32),
        ("commitment", "ab"),
        ("kind", "guess"),
        ("ref", "x" * 129),
        ("ref", "\ud800"),
        ("at", "2026-11-20T12:00:00Z"),
        ("at", "2026-11-20T12:00:00.000000+00:00"),
        ("at", "2026-02-30T12:00:00.000000Z"),
        ("more", "x"),
    ],
)
def test_a_leaf_with_anything_else_is_refused(member: str, value: object) -> None:
    told = json.loads(leaf(ENTRY)) | {member: value}
    with pytest.raises(BadEntry):
        read_leaf(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())


def test_a_commitment_is_to_one_record_with_one_salt() -> None:
    assert OPENING is not None
    assert OPENING.opens(ENTRY)
    assert not Opening(OPENING.salt, OPENING.record + b" ").opens(ENTRY)
    assert not Opening(bytes(32), OPENING.record).opens(ENTRY)
    assert not Opening(OPENING.salt + OPENING.record[:1], OPENING.record[1:]).opens(ENTRY)


def test_a_commitment_has_the_documented_bytes() -> None:
    salt, record = bytes(range(32)), b'{"a":1}'
    assert commit(record, salt) == hashlib.sha256(b"clearinghouse-log/1 record\0" + salt + record).hexdigest()


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commit(b"{}", bytes(16))


def test_records_have_one_form() -> None:
    assert record_bytes({"b": "é\n", "a": [1, None, True]}) == b'{"a":[1,null,true],"b":"\\u00e9\\n"}'
    with pytest.raises(ValueError, match="whole"):
        record_bytes({"a": {"b": [1.5]}})


def test_a_record_beyond_its_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        record_bytes({"a": "x" * MAX_RECORD_BYTES})


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        leaf(replace(ENTRY, at=ENTRY.at.replace(tzinfo=None)))


def test_another_zone_is_the_same_instant() -> None:
    zone = (NOON + timedelta(hours=2)).astimezone().tzinfo
    assert leaf(replace(ENTRY, at=ENTRY.at.astimezone(zone))) == leaf(ENTRY)
