"""The check of an exported log: offline, in one pass, with the log's public key and nothing else (pure).

What is found is told by place: ``header``, ``entry N`` (from 0), ``checkpoint N`` (the Nth in the file, from 1),
``earlier N`` (the Nth checkpoint that the caller brought), ``end``.  A change that whoever made it could not sign is
found at the entry; one that the log's own key signed is found by anybody who kept an earlier checkpoint:
``log-fork``.  Memory does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from clearinghouse.clearing.vocabulary import shown
from clearinghouse.clearing.wire import read_object, stamp
from clearinghouse.errors import ClearinghouseError, TooLarge
from clearinghouse.ledger.book import MAX_LINE_BYTES, Header, Page, read_line
from clearinghouse.ledger.checkpoint import Checkpoint, open_checkpoint
from clearinghouse.ledger.entry import Kind
from clearinghouse.ledger.merkle import Frontier

MAX_PROBLEMS: Final = 100
"""Problems that a report names; a file that is wrong throughout is not repeated."""

MAX_EARLIER: Final = 100_000
"""Earlier checkpoints that are compared in one pass: 11 days of one every 10 seconds, in 30 MB."""

_SPLIT_BYTES = 64
"""Bytes below which a damaged line is taken to be torn: every whole one has more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong: a stable ``code``, the place, the line of the file from 1 (0: none), and words."""

    code: str
    place: str
    line: int
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return the members in the documented schema."""
        return {"code": self.code, "place": self.place, "line": self.line, "text": self.text}


@dataclass(frozen=True, slots=True)
class Report:
    """What a file holds, and what is wrong with it.

    ``size`` and ``erased`` count entries; ``unexplained`` says that a record is not there which no entry says was
    erased, so that somebody has kept it back; ``last`` is the last checkpoint that holds, with all entries before it
    unchanged unless ``problems`` name them.
    """

    origin: str
    size: int
    erased: int
    checkpoints: int
    last: Checkpoint | None
    problems: tuple[Problem, ...]
    unexplained: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.problems


def verify(lines: Iterable[bytes], *, log_key: str, earlier: Iterable[bytes] = ()) -> Report:
    """Check the *lines* of an exported log, each with its newline, against the principal *log_key*.

    *earlier* are sealed checkpoints that anybody has kept; this log must extend each.  A line may be cut
    after `MAX_LINE_BYTES` + 1 bytes by whoever reads the file, and is then refused here.
    """
    audit = _Audit(log_key)
    audit.remember(earlier)
    source = iter(lines)
    for number, raw in enumerate(source, 1):
        audit.line = number
        if not audit.took(raw, source):
            break
    else:
        audit.end()
    return audit.report()


@dataclass(slots=True)
class _Audit:
    """Where the check stands; ``named`` says that an entry since the last good checkpoint is reported already."""

    log_key: str
    line: int = 0
    header: Header | None = None
    origin: str = ""
    edge: Frontier = field(default_factory=Frontier)
    erased: int = 0
    latest_erased: str = ""
    erased_before: str = ""
    seen: int = 0
    last: Checkpoint | None = None
    named: bool = False
    adrift: bool = False
    kept: dict[int, list[tuple[int, Checkpoint]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    # -- before the first line

    def remember(self, earlier: Iterable[bytes]) -> None:
        """Keep the roots that this log must pass."""
        for number, sealed in enumerate(earlier, 1):
            if number > MAX_EARLIER:
                raise TooLarge("there are too many earlier checkpoints", mend=f"give at most {MAX_EARLIER} at a time")
            try:
                checkpoint = open_checkpoint(sealed, self.log_key)
            except ClearinghouseError as error:
                self.report_problem(error.code, f"earlier {number}", error.message)
            else:
                self.kept.setdefault(checkpoint.size, []).append((number, checkpoint))

    # -- each line

    def took(self, raw: bytes, source: Iterator[bytes]) -> bool:
        """Check one line; false where nothing that follows can be judged."""
        if len(raw) > MAX_LINE_BYTES:
            return self.stop("too-large", self.place(raw, b""), f"the line has more than {MAX_LINE_BYTES} bytes")
        try:
            found = read_line(raw)
        except ValueError as error:
            following = next(source, b"") if len(raw) < _SPLIT_BYTES else b""
            torn = not raw.endswith(b"\n")
            return self.stop("truncated" if torn else "malformed", self.place(raw, following), f"the line {error}")
        if self.header is None or isinstance(found, Header):
            return self.took_header(found)
        return self.took_page(found) if isinstance(found, Page) else self.took_checkpoint(found)

    def took_header(self, found: Header | Page | bytes) -> bool:
        """Keep the header, which is the first line and no other."""
        if self.header is not None:
            return self.stop("malformed", self.expected(), "the line is a second header")
        if not isinstance(found, Header):
            return self.stop("malformed", "header", "the file does not begin with its header")
        self.header, self.origin = found, found.origin
        self.compare()
        return True

    def took_page(self, page: Page) -> bool:
        """Check one entry, and put its hash into the tree."""
        expected = self.edge.size
        if not page.unchanged:
            self.named = True
            self.report_problem("changed", self.expected(), "the entry, its hash and its record do not fit each other")
        elif page.entry.number > expected:
            return self.stop("missing", self.expected(), f"entry {page.entry.number} follows")
        elif page.entry.number < expected:
            return self.stop("repeated", self.expected(), f"entry {page.entry.number} stands here, out of its place")
        self.note_erasure(page)
        self.edge = self.edge.append(page.hashed)
        self.compare()
        return True

    def note_erasure(self, page: Page) -> None:
        """Keep how late a record is missing, and up to when an entry says that records were erased."""
        if page.opening is None:
            self.erased += 1
            self.latest_erased = max(self.latest_erased, stamp(page.entry.at))
        elif page.entry.kind is Kind.ERASED and page.unchanged:
            self.erased_before = max(self.erased_before, _told_before(page.opening.record))

    def took_checkpoint(self, sealed: bytes) -> bool:
        """Check one checkpoint against what came before it."""
        self.seen += 1
        place = f"checkpoint {self.seen}"
        try:
            checkpoint = open_checkpoint(sealed, self.log_key)
        except ClearinghouseError as error:
            self.report_problem(error.code, place, error.message)
            return True
        self.check_origin(checkpoint, place)
        if checkpoint.size != self.edge.size:
            return self.stop("misplaced", place, f"it covers {checkpoint.size} entries and stands after {self.edge.size}")
        if self.last is not None and (checkpoint.size, checkpoint.at) == (self.last.size, self.last.at):
            self.report_problem("repeated", place, "it stands here twice")
        self.check_root(checkpoint, place)
        return True

    def check_origin(self, checkpoint: Checkpoint, place: str) -> None:
        """A header is not signed; the first checkpoint says whose log it is."""
        if checkpoint.origin == self.origin:
            return
        text = f"the checkpoint is of the log of `{shown(checkpoint.origin)}`, and the header of `{shown(self.origin)}`"
        self.report_problem("wrong-log", place if self.last else "header", text)
        self.origin = checkpoint.origin

    def check_root(self, checkpoint: Checkpoint, place: str) -> None:
        """Say that the history is another one, unless an entry that is named already explains it."""
        if self.adrift:
            return
        if checkpoint.root == self.edge.root():
            self.last, self.named = checkpoint, False
            return
        self.adrift = True
        if not self.named:
            begin = 0 if self.last is None else self.last.size
            text = f"entries {begin} to {self.edge.size - 1} are not those that were signed"
            self.report_problem("wrong-root", place, text)

    def compare(self) -> None:
        """Hold the tree of this size against the earlier checkpoints of this size."""
        for number, checkpoint in self.kept.pop(self.edge.size, ()):
            if checkpoint.origin != self.origin:
                self.report_problem("wrong-log", f"earlier {number}", f"it is of the log of `{shown(checkpoint.origin)}`")
            elif checkpoint.root != self.edge.root() and not self.named and not self.adrift:
                text = f"at {stamp(checkpoint.at)} the log had {checkpoint.size} entries, and other ones than here"
                self.report_problem("log-fork", f"earlier {number}", text)

    # -- after the last line

    def end(self) -> None:
        """Say what is missing at the end."""
        if self.header is None:
            self.report_problem("truncated", "header", "the file is empty")
            return
        for number, checkpoint in (each for found in self.kept.values() for each in found):
            text = f"at {stamp(checkpoint.at)} the log had {checkpoint.size} entries, and there are {self.edge.size} here"
            self.report_problem("truncated", f"earlier {number}", text)
        if self.problems:
            return
        if self.last is None or self.last.size != self.edge.size:
            self.report_problem("truncated", "end", f"no checkpoint covers the last of {self.edge.size} entries")
        elif self.edge.size != self.header.size:
            code = "truncated" if self.edge.size < self.header.size else "surplus"
            self.report_problem(code, "header", f"it promises {self.header.size} entries, and there are {self.edge.size}")

    def report(self) -> Report:
        """Return what was found."""
        unexplained = bool(self.erased) and self.latest_erased >= self.erased_before
        return Report(self.origin, self.edge.size, self.erased, self.seen, self.last, tuple(self.problems), unexplained)

    # -- naming

    def stop(self, code: str, place: str, text: str) -> bool:
        """Report what nothing can be judged after."""
        self.report_problem(code, place, text)
        return False

    def report_problem(self, code: str, place: str, text: str) -> None:
        """Keep a problem, up to `MAX_PROBLEMS`."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(code, place, self.line, text))

    def expected(self) -> str:
        """Return the place of the next entry."""
        return f"entry {self.edge.size}"

    def place(self, raw: bytes, following: bytes) -> str:
        """Return the place of a line that cannot be read; a torn one is judged with what follows it."""
        if self.header is None:
            return "header"
        whole = raw + following
        is_checkpoint = whole.startswith(b'{"checkpoint":') or (not whole.startswith(b'{"entry":') and b'"payloadType"' in whole)
        return f"checkpoint {self.seen + 1}" if is_checkpoint else self.expected()


def _told_before(record: bytes) -> str:
    """Return the stamp before which records were erased, as the *record* of an erasure says; empty where it does not."""
    with suppress(ValueError):
        detail = read_object(record).get("detail")
        before = detail.get("before") if isinstance(detail, dict) else None
        return before if isinstance(before, str) else ""
    return ""
