"""The two sides of the comparison, read from where they are, and what comes of it for people and programs."""

from __future__ import annotations

import json as json_text
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.style import Style

from clearinghouse.agent.applying.admission import Admitter
from clearinghouse.agent.applying.shorthand import policies_of, with_policies
from clearinghouse.clearing.dsse import TABLE, opened
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.cli.output import BAD, CAUTION, DIM, GOOD, STRONG, Located, as_json, clean, finish, say
from clearinghouse.cli.reading import instant
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.enforced.image import EVERYTHING, Image, LevelClass
from clearinghouse.federation.enforced.shadow import (
    EVERYBODY_ELSE,
    LOSING,
    Fate,
    Pair,
    Report,
    Seen,
    Today,
    compare,
    image_of,
    module_in,
    seen_of,
    today_of,
)
from clearinghouse.federation.published.documents import MAX_CONTENT_BYTES, parted
from clearinghouse.federation.published.tables import Head, read_content, read_payload
from clearinghouse.importing.files import read_bytes
from clearinghouse.importing.records import read_members
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import read_agent_settings

Made = TypeVar("Made")

ROWS_SHOWN: Final = 40
"""Pairs that are shown to people; ``--json`` has them all."""

IMAGES: Final = "images"
MODULE_STATUS: Final = "module-status.json"
"""What the agent keeps of its own in its state directory: what it pushes, and what the module said last."""

_MEMBER: Final = "member"
"""The class of everybody in a list of members, before levels are known."""

_MOST_IMAGES: Final = 64
"""Images of one agent; it has one for each domain of its server."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where both sides are to be read."""

    config: Path
    today: tuple[Path, ...]
    status: Path | None
    table: Path | None
    members: Path | None
    minimum: str
    local: tuple[str, ...]


def report(wanted: Wanted, now: str | None, *, everything: bool, json: bool) -> None:
    """Compare, tell, and end with 1 where something that works today would stop."""
    at = instant(now)
    alone = wanted.local and (wanted.members or (wanted.table and wanted.minimum))
    settings = None if alone else read_agent_settings(wanted.config)
    images = list(_images(wanted, settings, at))
    found = compare(images, _today(wanted.today), _seen(wanted.status, settings), now=int(at.timestamp()))
    shown = [pair for pair in found.pairs if everything or pair.fate not in {Fate.SAME_ALLOW, Fate.SAME_DENY}]
    ok = not found.losing
    if json:
        told = [{"name": each.name, "serial": each.serial, "mode": each.mode, "decision": each.decision} for each in images]
        as_json("shadow", ok=ok, images=told, summary=found.counts, pairs=[pair.as_json() for pair in shown])
    else:
        _tell(found, shown)
    finish(ok=ok)


# -- what policy would do -----------------------------------------------------------------------------


def _images(wanted: Wanted, settings: AgentSettings | None, now: datetime) -> Iterator[Image]:
    if wanted.table:
        yield _of_table(wanted, wanted.table, settings, now)
    elif wanted.members:
        hosts = wanted.local or (settings.governed if settings else ())
        rows = {member.domain: _MEMBER for member in read_members(wanted.members) if not member.removed}
        yield Image(hosts[0], 1, hosts, {_MEMBER: LevelClass(EVERYTHING)}, rows, decision="members")
    else:
        yield from _of_state(settings)


def _of_state(settings: AgentSettings | None) -> Iterator[Image]:
    """Yield the images that the agent has made; raises `BadSettings` where it has made none."""
    folder = (settings.state if settings else Path()) / IMAGES
    files = sorted(folder.glob("*.json"))[:_MOST_IMAGES]
    if not files:
        mend = 'start it once with `mode = "shadow"`, or give a table with `--table`'
        raise BadSettings(f"the agent has made no image yet: there is none in `{clean(str(folder))}`", mend=mend)
    for path in files:
        yield _read(path, image_of)


def _of_table(wanted: Wanted, path: Path, settings: AgentSettings | None, now: datetime) -> Image:
    """Return the image that a published table would become; whether it may be believed is not asked here."""
    try:
        head_bytes, content = parted(read_bytes(path).rstrip(b"\n"), MAX_CONTENT_BYTES)
        head = read_payload(opened(head_bytes, payload_type=TABLE).payload)
        rows: Mapping[str, str] = read_content(content, head.levels)
    except ClearinghouseError as error:
        raise Located(error, str(path)) from None
    classes: dict[str, LevelClass] = {}
    if wanted.minimum or settings is None:
        rows, classes = _from_level(rows, head, wanted.minimum)
    else:
        snapshot = with_policies(Snapshot.of({}, ()), policies_of(settings, head.levels))
        admission = Admitter(snapshot, settings.community, settings.domain).admission(rows, now)
        rows, classes = dict(admission.rows), dict(admission.classes)
    hosts = wanted.local or (settings.governed if settings else ())
    expires = int(head.expires.timestamp())
    return Image(hosts[0], 1, hosts, classes, rows, expires=expires, decision=f"table {head.epoch}.{head.version}")


def _from_level(rows: Mapping[str, str], head: Head, minimum: str) -> tuple[Mapping[str, str], dict[str, LevelClass]]:
    if minimum not in head.levels:
        raise BadSettings(f"`{clean(minimum)}` is no level of this table", mend=f"its levels are {', '.join(head.levels)}")
    first = head.levels.index(minimum)
    return rows, {level: LevelClass(EVERYTHING if number >= first else 0) for number, level in enumerate(head.levels)}


# -- what the servers do ------------------------------------------------------------------------------


def _today(paths: Sequence[Path]) -> list[Today]:
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    return [_read(file, today_of) for file in files]


def _seen(status: Path | None, settings: AgentSettings | None) -> tuple[Seen, ...]:
    """Return what the module counted; nothing where it has not said yet."""
    path = status or (settings.state / MODULE_STATUS if settings else None)
    if path is None or (status is None and not path.exists()):
        return ()
    return _read(path, lambda found: seen_of(module_in(found).get("seen", ())))


def _read(path: Path, made: Callable[[dict[str, Any]], Made]) -> Made:
    """Return what *made* makes of the object in a file; raises `BadSettings` with its name."""
    try:
        return made(json_text.loads(read_bytes(path)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = (
            str(error) if isinstance(error, ValueError) and not isinstance(error, json_text.JSONDecodeError) else "is not what it should be"
        )
        raise BadSettings(f"`{clean(str(path))}` {what}", mend="give a file that `import` or the agent wrote") from None


# -- for people ---------------------------------------------------------------------------------------

_WORDS: Final[dict[Fate, tuple[str, str | Style]]] = {
    Fate.CUT: ("would be cut", BAD),
    Fate.NARROWED: ("would be narrowed", BAD),
    Fate.OPENED: ("would be opened", CAUTION),
    Fate.SAME_ALLOW: ("stay allowed", GOOD),
    Fate.SAME_DENY: ("stay denied", DIM),
    Fate.UNKNOWN: ("nobody knows what they do today", DIM),
}


def _tell(found: Report, shown: Sequence[Pair]) -> None:
    for fate in Fate:
        count = found.counts[fate.value]
        if count or fate in LOSING:
            words, style = _WORDS[fate]
            pairs = "pair" if count == 1 else "pairs"
            words = words.replace("stay", "stays") if count == 1 else words
            say((f"{count:>8,} ", STRONG), (f"{pairs} {words}", style))
    for pair in shown[:ROWS_SHOWN]:
        words, style = _WORDS[pair.fate]
        remote = "every other domain" if pair.remote == EVERYBODY_ELSE else clean(pair.remote)
        say((f"{pair.fate.value}: ", style), f"{clean(pair.local)} and {remote}", (f" ({_reasons(pair)})", DIM), indent=2)
    if len(shown) > ROWS_SHOWN:
        say(f"and {len(shown) - ROWS_SHOWN} more; --json has them all", indent=2)


def _reasons(pair: Pair) -> str:
    today = {True: "open", False: "closed", None: "unknown"}
    parts = [f"today in {today[pair.inbound]}, out {today[pair.outbound]}", f"policy: {clean(pair.why)}"]
    if pair.seen:
        parts.append(f"{pair.seen} stanzas seen, {pair.refused} of them would be refused")
    if pair.unclear:
        parts.append("today's lists could not be read as a whole")
    return "; ".join(parts)
