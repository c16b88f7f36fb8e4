"""The page about the log's format is enough: a reader written after it, and not after our code, checks its example."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from clearinghouse.clearing.dsse import PAYLOAD_TYPES
from clearinghouse.keynote.keys import from_seed
from clearinghouse.ledger import audit
from clearinghouse.ledger.book import bound
from clearinghouse.ledger.checkpoint import Checkpoint, Receipt, receipt_bytes, seal_checkpoint, verify_receipt
from clearinghouse.ledger.entry import Entry, Kind, Opening, commit, leaf, record_bytes
from clearinghouse.ledger.merkle import Frontier, inclusion_proof, leaf_hash
from tests.docs.pages import ROOT, blocks, table_rows
from tests.world import NOON

PAGE = ROOT / "docs/reference/log-format.md"
LOG = from_seed(hashlib.sha256(b"log").digest(), demo=True)
RECORDS: tuple[dict[str, Any], ...] = (
    {"act": "started", "by": "", "engine": "0.1.0"},
    {"id": "3f2a91c4", "outcome": "granted", "requesters": ["xmpp:***@a.example"], "value": "allow"},
    {"grant": "3f2a91c4", "reason": "expired"},
)
KINDS = (Kind.SERVICE, Kind.DECISION, Kind.GRANT_ENDED)


def row(number: int) -> tuple[Entry, Opening]:
    opening = Opening(hashlib.sha256(b"salt %d" % number).digest(), record_bytes(RECORDS[number]))
    ref = "" if number == 0 else "3f2a91c4"
    return Entry(number, NOON + timedelta(seconds=number), KINDS[number], ref, commit(opening.record, opening.salt)), opening


ROWS = [row(number) for number in range(3)]
HASHES = [leaf_hash(leaf(entry)) for entry, _ in ROWS]


def signed(size: int) -> bytes:
    root = Frontier().extended(HASHES[:size]).root()
    return seal_checkpoint(Checkpoint("csirt-net", size, root, NOON + timedelta(seconds=10 * size)), LOG)


EXPORT = tuple(bound([(entry, None if entry.number == 2 else opening) for entry, opening in ROWS], [signed(2), signed(3)]))
RECEIPT = receipt_bytes(Receipt(ROWS[1][0], inclusion_proof(HASHES, 1, 3), signed(3), ROWS[1][1]))


def block(number: int) -> str:
    return list(blocks(PAGE, "text"))[number].text


# -- the page is what the code does -------------------------------------------------------------------


def test_the_example_is_what_the_code_writes() -> None:
    key, lines, record, salt, written_leaf, hashed, receipt = (block(number) for number in range(-7, 0))
    assert key.strip() == LOG.principal
    assert lines.encode() == b"".join(EXPORT)
    assert record.encode().strip() == ROWS[1][1].record
    assert salt.split() == [ROWS[1][1].salt.hex(), ROWS[1][0].commitment]
    assert written_leaf.encode().strip() == leaf(ROWS[1][0])
    assert hashed.strip() == HASHES[1].hex()
    assert receipt.encode().strip() == RECEIPT


def test_the_example_holds() -> None:
    report = audit.verify(block(-6).encode().splitlines(keepends=True), log_key=LOG.principal)
    assert (report.ok, report.size, report.erased) == (True, 3, 1)
    assert verify_receipt(block(-1).encode(), LOG.principal) == ROWS[1][0]


def test_the_kinds_and_payload_types_are_those_of_the_code() -> None:
    assert {kind.strip("`") for kind, *_ in table_rows(PAGE, "kind", "`ref` is", "the record tells")} == set(Kind)
    assert all(f"`{each}`" in PAGE.read_text() for each in PAYLOAD_TYPES)


def test_every_problem_is_on_the_page() -> None:
    source = (ROOT / "clearinghouse/ledger/audit.py").read_text()
    for code in ("malformed", "truncated", "changed", "missing", "repeated", "misplaced", "wrong-root", "wrong-log", "log-fork", "surplus"):
        assert f'"{code}"' in source
        assert f"`{code}`" in PAGE.read_text()


# -- another implementation ---------------------------------------------------------------------------


def canonical(found: object) -> bytes:
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def mth(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


def opened(envelope: dict[str, Any], key: str) -> dict[str, Any]:
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"], validate=True)
    assert kind == b"application/vnd.clearinghouse.checkpoint+json"
    (signature,) = (each["sig"] for each in envelope["signatures"] if each["keyid"] == key)
    name, _, digits = signature.partition(":")
    assert name == "sig-ed25519-hex"
    signed_bytes = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload) + b"sig-ed25519-hex:"
    VerifyKey(bytes.fromhex(key.removeprefix("ed25519-hex:"))).verify(signed_bytes, bytes.fromhex(digits))
    found: dict[str, Any] = json.loads(payload)
    return found


def check(lines: list[str], key: str) -> dict[str, Any]:
    """Follow the page's steps; return the last checkpoint."""
    found = [json.loads(line) for line in lines]
    assert [canonical(each).decode() for each in found] == lines
    header, hashes, last = found[0], list[bytes](), dict[str, Any]()
    for each in found[1:]:
        if "checkpoint" in each:
            last = opened(each["checkpoint"], key)
            assert (last["origin"], last["size"]) == (header["origin"], len(hashes))
            assert last["root"] == mth(hashes).hex()
            continue
        assert each["entry"]["number"] == len(hashes)
        hashes.append(hashlib.sha256(b"\x00" + canonical(each["entry"])).digest())
        assert each["leaf"] == hashes[-1].hex()
        if "record" in each:
            committed = b"clearinghouse-log/1 record\x00" + bytes.fromhex(each["salt"]) + each["record"].encode()
            assert each["entry"]["commitment"] == hashlib.sha256(committed).hexdigest()
    assert last["size"] == header["size"] == len(hashes)
    return last


def test_another_implementation_agrees_about_the_example() -> None:
    last = check(block(-6).splitlines(), block(-7).strip())
    assert last["at"] == "2026-11-20T12:00:30.000000Z"


def test_another_implementation_refuses_what_was_changed() -> None:
    lines, key = block(-6).splitlines(), block(-7).strip()
    with pytest.raises(AssertionError):
        check([lines[0], lines[1].replace("12:00:00", "12:00:01"), *lines[2:]], key)
    with pytest.raises(AssertionError):
        check(lines[:-2], key)
    with pytest.raises(BadSignatureError):
        check([*lines[:-1], lines[-1].replace("sig-ed25519-hex:3", "sig-ed25519-hex:4")], key)
