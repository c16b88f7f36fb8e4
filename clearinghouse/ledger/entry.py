"""Entries of the log: what is in the tree for ever, and the commitment to what may be erased (pure).

::

    record = canonical JSON                         what happened; masked, erasable
    commitment = SHA-256(TAG, salt, record)         hides the record once salt and record are gone
    leaf = canonical JSON of the entry              number, time, kind, a random id, the commitment; stays
    leaf hash = SHA-256(0x00, leaf)                 RFC 6962, section 2.1

The salt is 32 random bytes: without it, whoever guesses a record could test the guess for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from clearinghouse.clearing.wire import canonical, check_members, read_canonical, read_stamp, stamp
from clearinghouse.errors import PeerError, TooLarge
from clearinghouse.ledger.records import Mask, act_record, case_record, decision_record, grant_record, revocation_record

__all__ = [
    "MAX_RECORD_BYTES",
    "SALT_BYTES",
    "BadEntry",
    "Entry",
    "Kind",
    "Mask",
    "Opening",
    "act_record",
    "case_record",
    "commit",
    "decision_record",
    "grant_record",
    "leaf",
    "read_leaf",
    "record_bytes",
    "revocation_record",
]

SALT_BYTES: Final = 32
"""Bytes of a salt: as many as the hash has, so that salts are guessed no easier than hashes are inverted."""

MAX_RECORD_BYTES: Final = 1 << 19
"""Bytes of one record; a change of policy that names 2 x 1,000 assertions has about 400,000."""

MAX_REF_CHARACTERS: Final = 128
"""Characters of a reference: twice a SHA-256 in hexadecimal."""

_TAG = b"clearinghouse-log/1 record\0"
"""Keeps commitments apart from every other hash that anybody makes of the same bytes."""

_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch


class BadEntry(PeerError):
    """Bytes that are no entry of a log, in the one form that it has."""

    code: ClassVar[str] = "bad-entry"


class Kind(StrEnum):
    """What an entry is about; ``ref`` names the thing, and the record says more."""

    DECISION = "decision"
    """A request was ruled on; ``ref`` is the decision's id."""
    REPEATED = "repeated"
    """Questions were answered as an earlier one that rests on the same (rule R20); ``ref`` is what the answers' own ids begin with."""
    CASE = "case"
    """A case was opened, decided, taken back or has expired; ``ref`` is the case's id, which is its decision's."""
    APPROVAL = "approval"
    """A person approved a case; ``ref`` is the case's id."""
    GRANT_ENDED = "grant-ended"
    """A grant is over; ``ref`` is its id."""
    REVOCATION = "revocation"
    """Something was revoked, or the bar on a holder lifted; ``ref`` is the revocation's id."""
    CREDENTIAL_ADDED = "credential-added"
    """A credential was added at run time; ``ref`` is its id (rule R14)."""
    CREDENTIAL_WITHDRAWN = "credential-withdrawn"
    """A credential was withdrawn at run time; ``ref`` is its id."""
    POLICY_CHANGED = "policy-changed"
    """Another snapshot counts from now on; ``ref`` is its version (rule R16)."""
    MEMBER = "member"
    """A member's record was signed, or a draft of one was made or closed; ``ref`` is the record's digest, or the draft's id."""
    TABLE = "table"
    """A table of levels was published; ``ref`` is the digest of its head."""
    ADMINISTRATION = "administration"
    """A person changed something else."""
    SERVICE = "service"
    """Something in the service's own life, such as its start, or the log's beginning after other records."""
    ERASED = "erased"
    """Salts, records and facts were erased under the retention rule; the record says which."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is in the tree.

    ``number`` counts from 0 and is the leaf's index.  ``ref`` is a random id or a digest, at most 128
    characters, and says nothing about anybody: it cannot be erased.  ``commitment`` is 64 hexadecimal digits.
    """

    number: int
    at: datetime
    kind: Kind
    ref: str
    commitment: str


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a commitment: the 32-byte salt and the record's exact bytes."""

    salt: bytes
    record: bytes

    def opens(self, entry: Entry) -> bool:
        """Tell whether this is what *entry* committed to."""
        return len(self.salt) == SALT_BYTES and hmac.compare_digest(commit(self.record, self.salt), entry.commitment)


def leaf(entry: Entry) -> bytes:
    """Return the bytes of *entry* in the tree: canonical JSON of its five members."""
    return canonical(members(entry))


def members(entry: Entry) -> dict[str, Any]:
    """Return the members of *entry* in JSON."""
    return {
        "at": stamp(entry.at),
        "commitment": entry.commitment,
        "kind": entry.kind.value,
        "number": entry.number,
        "ref": entry.ref,
    }


def read_leaf(raw: bytes) -> Entry:
    """Return the entry that `leaf` wrote; raises `BadEntry` for anything else."""
    try:
        return entry_in(read_canonical(raw))
    except ValueError as error:
        raise BadEntry(f"the leaf {error}", mend="give the bytes as the log has them") from None


def entry_in(found: Mapping[str, Any]) -> Entry:
    """Return the entry whose members are *found*; raises ``ValueError`` with what is wrong."""
    check_members(found, {"at": str, "commitment": str, "kind": str, "number": int, "ref": str})
    if found["number"] < 0:
        raise ValueError("has a negative number")
    if not _is_hash(found["commitment"]):
        raise ValueError("has a commitment that is not 64 hexadecimal digits in lower case")
    if len(found["ref"]) > MAX_REF_CHARACTERS:
        raise ValueError(f"has a reference of more than {MAX_REF_CHARACTERS} characters")
    if found["kind"] not in _KINDS:
        raise ValueError("is of no kind that there is")
    return Entry(found["number"], read_stamp(found["at"]), Kind(found["kind"]), found["ref"], found["commitment"])


def commit(record: bytes, salt: bytes) -> str:
    """Return the commitment to *record* in hexadecimal; *salt* is 32 random bytes, or ``ValueError`` is raised."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return hashlib.sha256(_TAG + salt + record).hexdigest()


def record_bytes(record: Mapping[str, Any]) -> bytes:
    """Return a record as it is committed to, in canonical JSON; raises `TooLarge` beyond `MAX_RECORD_BYTES`."""
    raw = canonical(record)
    if len(raw) > MAX_RECORD_BYTES:
        raise TooLarge(f"the record has {len(raw)} bytes", mend=f"at most {MAX_RECORD_BYTES} are kept in one entry")
    return raw


_KINDS = frozenset(Kind)
