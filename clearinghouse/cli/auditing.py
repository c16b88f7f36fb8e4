"""What ``log verify`` and ``log check-receipt`` do: files and a public key, no settings and no store."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from clearinghouse.clearing.wire import canonical, read_object, stamp
from clearinghouse.cli import principals
from clearinghouse.cli.output import CAUTION, as_json, clean, finish, mark, say
from clearinghouse.cli.reading import name_of
from clearinghouse.errors import BadSettings, BadSignature
from clearinghouse.keynote.principals import is_key, short
from clearinghouse.ledger import audit
from clearinghouse.ledger.audit import Problem, Report
from clearinghouse.ledger.book import MAX_LINE_BYTES
from clearinghouse.ledger.checkpoint import MAX_RECEIPT_BYTES, Checkpoint, Receipt, open_receipt
from clearinghouse.ledger.entry import members

_EXPORT: Final = b'{"format":'
_CHECKPOINT: Final = b'{"checkpoint":'


def verify_file(file: str, log_key: str, earlier: Iterable[str], *, json: bool) -> None:
    """Check the export in *file*, and that it extends what is in the *earlier* files; status 1 where it does not."""
    key = _key(log_key)
    kept = [(name_of(each), sealed) for each in earlier for sealed in checkpoints_in(each)]
    with _opened(file) as source:
        report = audit.verify(_lines(source), log_key=key, earlier=[sealed for _, sealed in kept])
    if json:
        as_json("log", ok=report.ok, file=name_of(file), **_members(report))
    else:
        _tell(report, [name for name, _ in kept])
        if any(each.code == BadSignature.code for each in report.problems):
            say(f"signatures were checked with the key {short(key)}: is it the log's?", indent=2)
    finish(ok=report.ok)


def check_receipt(file: str, log_key: str, *, json: bool) -> None:
    """Check the receipt in *file* and show its entry; raises what is wrong with it."""
    with _opened(file) as source:
        raw = source.read(MAX_RECEIPT_BYTES + 1)
    receipt, checkpoint = open_receipt(raw, _key(log_key))
    if json:
        record = None if receipt.opening is None else json_text.loads(receipt.opening.record)
        as_json("log", ok=True, file=name_of(file), entry=members(receipt.entry), record=record, checkpoint=_signed(checkpoint))
    else:
        _tell_receipt(receipt, checkpoint)


def checkpoints_in(argument: str) -> Iterator[bytes]:
    """Yield the sealed checkpoints in a file: an export, a receipt, or one checkpoint; raises BadSettings for another."""
    with _opened(argument) as source:
        first = source.readline(MAX_LINE_BYTES + 1)
        if first.startswith(_EXPORT):
            yield from (line[len(_CHECKPOINT) : -2] for line in _lines(source) if line.startswith(_CHECKPOINT))
            return
        whole = first + source.read(MAX_RECEIPT_BYTES)
    try:
        found = read_object(whole.strip())
    except ValueError as error:
        raise _no_witness(argument, str(error)) from None
    inner = found.get("checkpoint", found)
    if not isinstance(inner, dict) or "payload" not in inner:
        raise _no_witness(argument, "has no checkpoint")
    yield canonical(inner)


def _no_witness(argument: str, reason: str) -> BadSettings:
    return BadSettings(f"`{clean(name_of(argument))}` {reason}", mend="give an older export of the log, a receipt, or a checkpoint")


def _key(argument: str) -> str:
    key = principals.normal(argument)
    if not is_key(key):
        raise BadSettings(f"`{clean(argument)}` is no key", mend="give the log's public key, as `clearinghouse keygen --public` prints it")
    return key


@contextmanager
def _opened(argument: str) -> Iterator[IO[bytes]]:
    if argument == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(argument).open("rb") as source:
            yield source
    except (IsADirectoryError, ValueError):
        raise BadSettings(f"`{clean(argument)}` is no file", mend="name a file, or `-` for standard input") from None


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file; one that is too long comes in pieces, of which the first is refused."""
    return iter(lambda: source.readline(MAX_LINE_BYTES + 1), b"")


# -- telling ------------------------------------------------------------------------------------------


def _tell(report: Report, earlier: list[str]) -> None:
    for each in report.problems:
        say(mark(good=False), f" {_place(each, earlier)}: {clean(each.text)} ({each.code})")
    if report.ok and report.last is not None:
        erased = f", {report.erased} of them erased," if report.erased else ""
        extends = f", and extend {len(earlier)} earlier checkpoint{'s' * (len(earlier) > 1)}" if earlier else ""
        of_log = f" {report.size} entries of the log of `{clean(report.origin)}`{erased}"
        say(mark(good=True), f"{of_log} are as they were signed at {stamp(report.last.at)}{extends}")
        if report.unexplained:
            say(("caution: ", CAUTION), "a record is missing of which no entry says that it was erased: ask for the file with all records")
    elif report.last is not None:
        say(f"the hashes of the first {report.last.size} entries are those that were signed at {stamp(report.last.at)}", indent=2)


def _place(problem: Problem, earlier: list[str]) -> str:
    """Return a place with the file that it is in, where that is another one."""
    kind, _, number = problem.place.partition(" ")
    if kind == "earlier":
        return f"earlier checkpoint {number}, from {clean(earlier[int(number) - 1])}"
    return f"{problem.place}, line {problem.line}" if problem.line else problem.place


def _tell_receipt(receipt: Receipt, checkpoint: Checkpoint) -> None:
    entry = receipt.entry
    say(mark(good=True), f" entry {entry.number} of the log of `{clean(checkpoint.origin)}`: {entry.kind}, {clean(entry.ref)}")
    say(f"at {stamp(entry.at)}; signed with {checkpoint.size} entries at {stamp(checkpoint.at)}", indent=2)
    if receipt.opening is None:
        say("its record is not in the receipt", indent=2)
        return
    for line in json_text.dumps(json_text.loads(receipt.opening.record), indent=2).splitlines():
        say(clean(line), indent=2)


def _members(report: Report) -> dict[str, Any]:
    return {
        "origin": report.origin,
        "size": report.size,
        "erased": report.erased,
        "unexplained": report.unexplained,
        "checkpoints": report.checkpoints,
        "last": None if report.last is None else _signed(report.last),
        "problems": [each.as_json() for each in report.problems],
    }


def _signed(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"at": stamp(checkpoint.at), "origin": checkpoint.origin, "root": checkpoint.root.hex(), "size": checkpoint.size}
