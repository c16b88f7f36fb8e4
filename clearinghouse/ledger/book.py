"""An exported log: lines that anybody can check with nothing but the log's public key (pure).

::

    {"format": "clearinghouse-log/1", "origin": COMMUNITY, "size": N}              first
    {"entry": {...}, "leaf": HASH, "record": TEXT, "salt": HEX}                     for each entry, in order
    {"checkpoint": ENVELOPE}                                                        after the last entry that it covers

Each line is canonical JSON, so no byte of it can change unseen.  Once a record is erased, its line has
neither ``record`` nor ``salt``.  The last line is a checkpoint over all entries.  `clearinghouse.ledger.audit`
checks it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from clearinghouse.clearing.dsse import CHECKPOINT, opened
from clearinghouse.clearing.wire import canonical, check_members, read_canonical, read_object
from clearinghouse.errors import OperatorError
from clearinghouse.ledger.checkpoint import (
    MAX_ORIGIN_CHARACTERS,
    MAX_RECEIPT_BYTES,
    Checkpoint,
    opening_in,
    opening_members,
    read_checkpoint,
    read_hash,
)
from clearinghouse.ledger.entry import Entry, Opening, entry_in, leaf, members
from clearinghouse.ledger.merkle import leaf_hash

FORMAT: Final = "clearinghouse-log/1"
"""The first member of every export; the number changes when the meaning of a line does."""

MAX_LINE_BYTES: Final = MAX_RECEIPT_BYTES
"""Bytes of one line with its newline; a receipt has all that a line can have."""


class NothingSigned(OperatorError):
    """The log has no checkpoint, so an export of it would prove nothing."""

    code: ClassVar[str] = "nothing-signed"


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: whose log it is, and how many entries follow."""

    origin: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """One entry with the hash that was kept of its leaf, and what opens its commitment unless that was erased."""

    entry: Entry
    hashed: bytes
    opening: Opening | None

    @classmethod
    def of(cls, entry: Entry, opening: Opening | None) -> Self:
        """Return the page of an entry whose leaf is hashed now."""
        return cls(entry, leaf_hash(leaf(entry)), opening)

    @property
    def unchanged(self) -> bool:
        """Whether entry, hash and record fit each other; whether they are those of the log, a checkpoint says."""
        fits = leaf_hash(leaf(self.entry)) == self.hashed
        return fits and (self.opening is None or self.opening.opens(self.entry))


class Binder:
    """Turns a log into lines, in its order: `header`, and then `bind` for each entry up to ``last.size``.

    Checkpoints are read, and so their signatures checked, whoever the signers are.  ``last`` is the one that the
    export ends with.
    """

    __slots__ = ("_waiting", "last")

    def __init__(self, checkpoints: Iterable[bytes]) -> None:
        """Take the sealed *checkpoints* of one log in any order; raises `NothingSigned` where there are none."""
        found = sorted(((_read(sealed), sealed) for sealed in checkpoints), key=lambda each: (each[0].size, each[0].at), reverse=True)
        if not found:
            raise NothingSigned("the log has no checkpoint yet", mend="give the service a log key under `[ledger]`, and let it run")
        self.last = found[0][0]
        self._waiting = [(checkpoint.size, sealed) for checkpoint, sealed in found]

    def header(self) -> Iterator[bytes]:
        """Yield the first line, and the checkpoints of the empty log."""
        yield _line({"format": FORMAT, "origin": self.last.origin, "size": self.last.size})
        yield from self._signed(0)

    def bind(self, page: Page) -> Iterator[bytes]:
        """Yield the line of an entry, and the checkpoints that cover the log up to it."""
        yield page_line(page)
        yield from self._signed(page.entry.number + 1)

    def _signed(self, size: int) -> Iterator[bytes]:
        while self._waiting and self._waiting[-1][0] == size:
            yield checkpoint_line(self._waiting.pop()[1])


def bound(entries: Iterable[tuple[Entry, Opening | None]], checkpoints: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a whole log; entries beyond the last checkpoint are left out."""
    binder = Binder(checkpoints)
    yield from binder.header()
    for entry, opening in entries:
        if entry.number >= binder.last.size:
            return
        yield from binder.bind(Page.of(entry, opening))


def page_line(page: Page) -> bytes:
    """Return the line of one entry, with the hash that was kept: where it is another one now, the check says where."""
    return _line({"entry": members(page.entry), "leaf": page.hashed.hex(), **opening_members(page.opening)})


def checkpoint_line(sealed: bytes) -> bytes:
    """Return the line of one sealed checkpoint."""
    return _line({"checkpoint": read_object(sealed)})


def read_line(raw: bytes) -> Header | Page | bytes:
    """Return what one line, with its newline, says; bytes are a sealed checkpoint.  Raises ``ValueError``."""
    if not raw.endswith(b"\n"):
        raise ValueError("does not end with a newline")
    found = read_canonical(raw[:-1])
    if "entry" in found:
        return _page_in(found)
    if "checkpoint" in found:
        check_members(found, {"checkpoint": dict})
        return canonical(found["checkpoint"])
    return _header_in(found)


def _page_in(found: dict[str, Any]) -> Page:
    check_members(found, {"entry": dict, "leaf": str, "record": str, "salt": str}, optional=("record", "salt"))
    return Page(entry_in(found["entry"]), read_hash(found["leaf"]), opening_in(found))


def _header_in(found: dict[str, Any]) -> Header:
    check_members(found, {"format": str, "origin": str, "size": int})
    if found["format"] != FORMAT:
        raise ValueError(f"is not of the format `{FORMAT}`")
    if found["size"] < 0 or not 1 <= len(found["origin"]) <= MAX_ORIGIN_CHARACTERS:
        raise ValueError("has no size, or no origin")
    return Header(found["origin"], found["size"])


def _read(sealed: bytes) -> Checkpoint:
    return read_checkpoint(opened(sealed, payload_type=CHECKPOINT).payload)


def _line(found: dict[str, Any]) -> bytes:
    return canonical(found) + b"\n"
