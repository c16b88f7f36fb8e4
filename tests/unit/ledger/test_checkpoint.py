from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.clearing.dsse import CHECKPOINT, MAX_ENVELOPE_BYTES, opened, seal
from clearinghouse.errors import BadSignature, ClearinghouseError, TooLarge
from clearinghouse.ledger.checkpoint import (
    MAX_RECEIPT_BYTES,
    BadCheckpoint,
    BadReceipt,
    Checkpoint,
    Receipt,
    checkpoint_payload,
    open_checkpoint,
    open_receipt,
    read_checkpoint,
    receipt_bytes,
    seal_checkpoint,
    verify_receipt,
)
from clearinghouse.ledger.merkle import inclusion_proof
from tests.unit.ledger.logs import LOG, NOON, ORIGIN, OTHER, checkpoint, hashes, rows

LOG_ROWS = rows(11)
SEALED = checkpoint(LOG_ROWS, 9)


def receipt(number: int, size: int = 9) -> Receipt:
    entry, opening = LOG_ROWS[number]
    return Receipt(entry, inclusion_proof(hashes(LOG_ROWS), number, size), checkpoint(LOG_ROWS, size), opening)


def test_a_checkpoint_has_the_documented_bytes() -> None:
    payload = opened(SEALED, payload_type=CHECKPOINT).payload
    root = json.loads(payload)["root"]
    assert payload == f'{{"at":"2026-11-20T12:00:09.000000Z","origin":"hub.example","root":"{root}","size":9}}'.encode()
    assert read_checkpoint(payload) == open_checkpoint(SEALED, LOG.principal)


def test_only_the_logs_key_makes_checkpoints() -> None:
    with pytest.raises(BadSignature):
        open_checkpoint(SEALED, OTHER.principal)
    both = seal(opened(SEALED, payload_type=CHECKPOINT).payload, CHECKPOINT, [OTHER, LOG])
    assert open_checkpoint(both, LOG.principal).size == 9
    assert open_checkpoint(SEALED, LOG.principal.replace("ed25519-hex:", "ED25519-HEX:")).size == 9


@pytest.mark.parametrize(
    "change",
    [{"size": -1}, {"size": "9"}, {"origin": ""}, {"origin": "x" * 1_024}, {"root": "AB" * 32}, {"root": "ab"}, {"at": "now"}, {"more": 1}],
)
def test_a_payload_that_is_no_checkpoint_is_refused_however_well_it_is_signed(change: dict[str, object]) -> None:
    told = json.loads(opened(SEALED, payload_type=CHECKPOINT).payload) | change
    raw = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(BadCheckpoint):
        open_checkpoint(seal(raw, CHECKPOINT, [LOG]), LOG.principal)


def test_nothing_is_signed_that_could_not_be_read() -> None:
    with pytest.raises(BadCheckpoint):
        checkpoint_payload(Checkpoint("", 1, bytes(32), NOON))
    with pytest.raises(BadCheckpoint):
        seal_checkpoint(Checkpoint(ORIGIN, 1, bytes(31), NOON), LOG)


@pytest.mark.parametrize("number", range(9))
def test_a_receipt_proves_its_entry(number: int) -> None:
    raw = receipt_bytes(receipt(number))
    assert verify_receipt(raw, LOG.principal) == LOG_ROWS[number][0]
    assert verify_receipt(raw + b"\n", LOG.principal) == LOG_ROWS[number][0]
    found, signed = open_receipt(raw, LOG.principal)
    assert found == receipt(number)
    assert signed.size == 9


def test_a_receipt_holds_without_its_record() -> None:
    assert verify_receipt(receipt_bytes(replace(receipt(3), opening=None)), LOG.principal) == LOG_ROWS[3][0]


def test_a_receipt_of_one_entry_is_none_of_another() -> None:
    for other in (replace(receipt(3), entry=LOG_ROWS[4][0], opening=None), replace(receipt(3), proof=receipt(4).proof)):
        with pytest.raises(BadReceipt):
            verify_receipt(receipt_bytes(other), LOG.principal)
    with pytest.raises(BadReceipt, match="another record"):
        verify_receipt(receipt_bytes(replace(receipt(3), opening=LOG_ROWS[4][1])), LOG.principal)


def test_an_entry_that_came_later_is_not_covered() -> None:
    late = replace(receipt(9, 10), checkpoint=SEALED)
    with pytest.raises(BadReceipt, match="not in the log"):
        verify_receipt(receipt_bytes(late), LOG.principal)


def test_a_receipt_by_another_key_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify_receipt(receipt_bytes(receipt(3)), OTHER.principal)


@given(st.integers(0, len(receipt_bytes(receipt(3))) - 1), st.integers(1, 255))
def test_no_byte_of_a_receipt_can_change(at: int, by: int) -> None:
    raw = bytearray(receipt_bytes(receipt(3)))
    raw[at] ^= by
    with pytest.raises(ClearinghouseError):
        verify_receipt(bytes(raw), LOG.principal)


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_as_ours(raw: bytes) -> None:
    with pytest.raises(ClearinghouseError):
        verify_receipt(raw, LOG.principal)


def test_receipts_have_limits() -> None:
    with pytest.raises(TooLarge):
        verify_receipt(b" " * (MAX_RECEIPT_BYTES + 1), LOG.principal)
    with pytest.raises(BadReceipt, match="more than 53"):
        verify_receipt(receipt_bytes(replace(receipt(3), proof=(bytes(32),) * 54)), LOG.principal)
    assert MAX_RECEIPT_BYTES > MAX_ENVELOPE_BYTES
