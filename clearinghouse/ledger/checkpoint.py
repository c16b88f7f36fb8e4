"""Checkpoints: what the log's key says of the whole log at one moment, and receipts that rest on one (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from clearinghouse.clearing.dsse import CHECKPOINT, opened, seal
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.clearing.wire import canonical, check_members, read_canonical, read_object, read_stamp, stamp
from clearinghouse.errors import BadSignature, PeerError, TooLarge
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.principals import normalise, short
from clearinghouse.ledger.entry import MAX_RECORD_BYTES, Entry, Opening, entry_in, leaf, members
from clearinghouse.ledger.merkle import HASH_BYTES, leaf_hash, verify_inclusion

MAX_ORIGIN_CHARACTERS: Final = 1_023
"""Characters of a community's name, as of an envelope's audience."""

MAX_RECEIPT_BYTES: Final = 2 * MAX_RECORD_BYTES + (1 << 18) + (1 << 14)
"""Bytes of one receipt: a record with every character escaped, an envelope, and 53 hashes of a path."""

MAX_PATH: Final = 53
"""Hashes of an inclusion proof: as many as the largest size that JSON can tell (2 to the 53) asks for."""


class BadCheckpoint(PeerError):
    """A payload that is no checkpoint."""

    code: ClassVar[str] = "bad-checkpoint"


class BadReceipt(PeerError):
    """A receipt that is not in its one form, or whose proof does not lead to the checkpoint's root."""

    code: ClassVar[str] = "bad-receipt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log of *origin*, a community, had *size* entries and the 32-byte *root* at this instant."""

    origin: str
    size: int
    root: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """One entry, the hashes that lead from it to a checkpoint's root, and the sealed checkpoint.

    ``opening`` lets its holder show what the entry is about; without it, as after erasure, the receipt still
    holds.
    """

    entry: Entry
    proof: tuple[bytes, ...]
    checkpoint: bytes
    opening: Opening | None = None


def checkpoint_payload(checkpoint: Checkpoint) -> bytes:
    """Return what the log's key signs, in canonical JSON; raises `BadCheckpoint` as reading it would."""
    told = {"at": stamp(checkpoint.at), "origin": checkpoint.origin, "root": checkpoint.root.hex(), "size": checkpoint.size}
    payload = canonical(told)
    read_checkpoint(payload)
    return payload


def read_checkpoint(payload: bytes) -> Checkpoint:
    """Return the checkpoint in *payload*, which says nothing about who signed it; raises `BadCheckpoint`."""
    try:
        found = read_canonical(payload)
        check_members(found, {"at": str, "origin": str, "root": str, "size": int})
        checkpoint = Checkpoint(found["origin"], found["size"], read_hash(found["root"]), read_stamp(found["at"]))
        if found["size"] < 0 or not 1 <= len(found["origin"]) <= MAX_ORIGIN_CHARACTERS:
            raise ValueError("has no size, or no origin")  # noqa: TRY301 - one way out
    except ValueError as error:
        raise BadCheckpoint(f"the checkpoint {error}", mend="get it from the log again") from None
    return checkpoint


def seal_checkpoint(checkpoint: Checkpoint, key: PrivateKey) -> bytes:
    """Return *checkpoint* in an envelope signed with the log's *key*."""
    return seal(checkpoint_payload(checkpoint), CHECKPOINT, [key])


def open_checkpoint(sealed: bytes, log_key: str) -> Checkpoint:
    """Return the checkpoint in *sealed* if *log_key*, a principal, is among its signers.

    Raises what `opened` and `read_checkpoint` raise, and `BadSignature` where only others have signed.
    """
    envelope = opened(sealed, payload_type=CHECKPOINT)
    if normalise(log_key) not in envelope.signers:
        raise BadSignature(f"{short(envelope.signers[0])} signed the checkpoint", mend=f"the log's key is {short(log_key)}")
    return read_checkpoint(envelope.payload)


def receipt_bytes(receipt: Receipt) -> bytes:
    """Return *receipt* in canonical JSON."""
    told: dict[str, Any] = {
        "checkpoint": read_object(receipt.checkpoint),
        "entry": members(receipt.entry),
        "proof": [each.hex() for each in receipt.proof],
    }
    return canonical(told | opening_members(receipt.opening))


def verify_receipt(raw: bytes, principal: str) -> Entry:
    """Return the entry that *raw* proves to be in the log whose key is *principal*; see `open_receipt`."""
    receipt, _ = open_receipt(raw, principal)
    return receipt.entry


def open_receipt(raw: bytes, principal: str) -> tuple[Receipt, Checkpoint]:
    """Return the receipt in *raw*, and its checkpoint, once all of it holds.

    1. its form: `TooLarge`, `BadReceipt`; 2. the checkpoint's signature, as `open_checkpoint`; 3. the path from
    entry to root, and what opens the commitment: `BadReceipt`.  One newline at the end is no part of it.
    """
    if len(raw) > MAX_RECEIPT_BYTES:
        raise TooLarge(f"the receipt has {len(raw)} bytes", mend=f"at most {MAX_RECEIPT_BYTES} are read")
    try:
        receipt = _receipt_in(read_canonical(raw.removesuffix(b"\n")))
    except ValueError as error:
        raise BadReceipt(f"the receipt {error}", mend=_MEND) from None
    checkpoint = open_checkpoint(receipt.checkpoint, principal)
    hashed = leaf_hash(leaf(receipt.entry))
    if not verify_inclusion(hashed, receipt.entry.number, checkpoint.size, receipt.proof, checkpoint.root):
        raise BadReceipt(f"entry {receipt.entry.number} is not in the log of `{shown(checkpoint.origin)}` at its checkpoint", mend=_MEND)
    if receipt.opening is not None and not receipt.opening.opens(receipt.entry):
        raise BadReceipt(f"entry {receipt.entry.number} committed to another record", mend=_MEND)
    return receipt, checkpoint


def opening_members(opening: Opening | None) -> dict[str, str]:
    """Return the members that tell a record and its salt; none once they are erased.

    Bytes that no record has, from a store that somebody changed, are escaped: they are told, and open nothing.
    """
    return {} if opening is None else {"record": opening.record.decode("ascii", "backslashreplace"), "salt": opening.salt.hex()}


def opening_in(found: dict[str, Any]) -> Opening | None:
    """Return what `opening_members` told; raises ``ValueError`` with what is wrong."""
    if "record" not in found and "salt" not in found:
        return None
    if "record" not in found or "salt" not in found:
        raise ValueError("has a salt or a record without the other")
    if not found["record"].isascii() or len(found["record"]) > MAX_RECORD_BYTES:
        raise ValueError("has a record that none could be")
    return Opening(read_hash(found["salt"]), found["record"].encode("ascii"))


def _receipt_in(found: dict[str, Any]) -> Receipt:
    wanted: dict[str, type] = {"checkpoint": dict, "entry": dict, "proof": list, "record": str, "salt": str}
    check_members(found, wanted, optional=("record", "salt"))
    return Receipt(entry_in(found["entry"]), _path(found["proof"]), canonical(found["checkpoint"]), opening_in(found))


def _path(found: Sequence[object]) -> tuple[bytes, ...]:
    if len(found) > MAX_PATH:
        raise ValueError(f"has a path of more than {MAX_PATH} hashes")
    return tuple(read_hash(each) for each in found)


def read_hash(text: object) -> bytes:
    """Return the 32 bytes of a hash, or of a salt, in lower-case hexadecimal; raises ``ValueError``."""
    if isinstance(text, str) and _is_hash(text):
        return bytes.fromhex(text)
    raise ValueError(f"has a hash that is not {2 * HASH_BYTES} hexadecimal digits in lower case")


_is_hash = re.compile(rf"[0-9a-f]{{{2 * HASH_BYTES}}}").fullmatch
_MEND = "get it from the log again, or tell who runs it"
