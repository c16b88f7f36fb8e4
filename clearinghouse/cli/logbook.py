"""What the ``log`` commands do that read the store: show, export, prove, replay."""

from __future__ import annotations

import asyncio
import json as json_text
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from clearinghouse.cli.output import as_json, clean, finish, raw_bytes, say
from clearinghouse.cli.replaying import Replays, replay_all, tell_replays
from clearinghouse.cli.tabular import tell_table
from clearinghouse.errors import BadSettings
from clearinghouse.keynote.principals import short
from clearinghouse.ledger.checkpoint import Checkpoint, Receipt, receipt_bytes
from clearinghouse.ledger.entry import members
from clearinghouse.runtime.records.logbook import Kept, latest, receipt_of, write_export
from clearinghouse.settings import read_settings
from clearinghouse.storage.named import read_named

REF_SHOWN: Final = 12
"""Characters of a reference in a list: enough to name one of a million, and half of what a row has."""


def show(config: Path, last: int, *, json: bool) -> None:
    """Print the *last* entries of the store that the settings in *config* name."""

    async def work() -> Sequence[Kept]:
        async with read_named(read_settings(config).store) as store:
            return await latest(store, last)

    found = asyncio.run(work())
    if json:
        as_json("log", ok=True, entries=[_told(each) for each in found])
    else:
        tell_entries(found)


def export(config: Path, file: str, *, json: bool) -> None:
    """Write the log to *file*, which must not exist, or to standard output, where nothing else has a place then."""

    async def work(write: Callable[[bytes], object]) -> Checkpoint:
        async with read_named(read_settings(config).store) as store:
            return await write_export(store, write)

    if file == "-":
        if json:
            raise BadSettings("the log itself goes to standard output", mend="name a file, or leave `--json` out")
        asyncio.run(work(raw_bytes))
        return
    with fresh(Path(file)) as target:
        last = asyncio.run(work(target.write))
    if json:
        as_json("log", ok=True, file=file, origin=last.origin, size=last.size)
    else:
        say(f"{last.size} entries of the log of `{clean(last.origin)}` are in {clean(file)}", error=True)


def prove(config: Path, identity: str, output: Path | None, *, json: bool) -> None:
    """Write the receipt of an entry to *output*, which must not exist, or to standard output."""
    if not identity:  # the service's own entries are about nothing, and would be found
        raise BadSettings("`` is no id", mend="give an id that `clearinghouse log show` lists")
    if json and output is None:
        raise BadSettings("the receipt itself goes to standard output", mend="give `-o FILE`, or leave `--json` out")

    async def work() -> Receipt:
        async with read_named(read_settings(config).store) as store:
            return await receipt_of(store, identity)

    receipt = asyncio.run(work())
    raw = receipt_bytes(receipt) + b"\n"
    if output is None:
        raw_bytes(raw)
        return
    with fresh(output) as target:
        target.write(raw)
    if json:
        as_json("log", ok=True, file=str(output), entry=members(receipt.entry))
    else:
        say(f"the receipt of entry {receipt.entry.number}, {receipt.entry.kind}, is in {clean(str(output))}", error=True)


def replay(config: Path, last: int, *, json: bool) -> None:
    """Decide the *last* recorded requests again; status 1 where an answer differs."""

    async def work() -> Replays:
        async with read_named(read_settings(config).store) as store:
            return await replay_all(store, await store.decisions(last))

    found = asyncio.run(work())
    if json:
        as_json("log", ok=found.ok, **found.as_json())
    else:
        tell_replays(found)
    finish(ok=found.ok)


@contextmanager
def fresh(path: Path) -> Iterator[IO[bytes]]:
    """Give a new file, mode 0600, that is whole and on the disk afterwards, or not there at all."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise BadSettings(f"`{clean(str(path))}` exists already", mend="choose another name, it is never overwritten") from None
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
            target.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def tell_entries(found: Sequence[Kept]) -> None:
    """Print one row for each entry, oldest first."""
    if not found:
        say("the log is empty")
        return
    tell_table(("entry", "UTC", "kind", "about"), ("record",), map(_row, found))


def _row(kept: Kept) -> tuple[str, ...]:
    entry = kept.entry
    return str(entry.number), f"{entry.at:%Y-%m-%d %H:%M}", entry.kind, entry.ref[:REF_SHOWN], _gist(kept)


def _gist(kept: Kept) -> str:
    """Return what a record says first, beyond the entry's kind: what came of it, why and by whom; or that it is erased."""
    if kept.record is None:
        return "erased"
    record = json_text.loads(kept.record)
    told = [record.get(name) for name in ("outcome", "change", "act", "kind", "reason")]
    words = [each for each in told if isinstance(each, str) and each not in {"", kept.entry.kind}]
    return clean(", ".join(dict.fromkeys([*words, *_again(record), *_moved(record), *map(short, _speakers(record))])))


def _again(record: Mapping[str, Any]) -> Sequence[str]:
    """Return which decision was given again, and to how many questions."""
    answers = record.get("answers")
    return (
        [f"{record['decision'][:REF_SHOWN]} again, {len(answers)} time{'' if len(answers) == 1 else 's'}"]
        if isinstance(answers, list)
        else []
    )


def _moved(record: Mapping[str, Any]) -> Sequence[str]:
    """Return how many assertions a change of policy is about."""
    detail = record.get("detail")
    found = detail if isinstance(detail, dict) else {}
    return [f"{len(found[name])} {name}" for name in ("added", "removed", "refused") if isinstance(found.get(name), list) and found[name]]


def _speakers(record: Mapping[str, Any]) -> Sequence[str]:
    """Return who did it; several keys may have signed together, and of an approval so far the approvers are told."""
    by = str(record.get("by") or "")
    return by.split(", ") if by else [str(each["person"]) for each in record.get("approvals", ())]


def _told(kept: Kept) -> dict[str, Any]:
    return members(kept.entry) | {"record": None if kept.record is None else json_text.loads(kept.record)}
