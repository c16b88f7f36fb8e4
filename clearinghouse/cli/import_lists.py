"""What `import` does, apart from its options."""

from __future__ import annotations

import json as json_lines
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearinghouse.cli import reading
from clearinghouse.cli.output import DIM, STRONG, Located, as_json, clean, error_json, finish, say, tell_error
from clearinghouse.errors import BadSettings
from clearinghouse.federation.enforced.shadow import EVERYBODY_ELSE, Today, today_as_json
from clearinghouse.federation.published.members import seal_member
from clearinghouse.importing.entries import EVERYWHERE
from clearinghouse.importing.gather import Format, gathered
from clearinghouse.importing.merged import Imported, merged
from clearinghouse.settings import read_settings

MEMBERS: Final = "members.jsonl"
TODAY: Final = "today"
LEFT_OVER: Final = "left-over.json"
"""What a folder gets: drafts or records, one a line; whom each local domain admits today; what became neither."""

LINES: Final = ".jsonl"
"""How the name of an output ends that is a file, with the drafts alone."""

ROWS_SHOWN: Final = 40
"""Rows that are named for people; ``--json`` and the folder have them all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read, as what, for whom, and where it goes; *output* is ``None`` for a dry run."""

    files: Sequence[Path]
    kind: str
    local: str
    community: str
    config: Path | None
    output: Path | None


@dataclass(frozen=True, slots=True)
class Signer:
    """The registrar's key, where it is at hand."""

    key: Path | None
    passphrase_file: Path | None
    allow_demo: bool


def import_lists(wanted: Wanted, signer: Signer, *, json: bool) -> None:
    """Read, write and tell; ends with 1 where something is left for people, and 2 where a file cannot be read."""
    found, problems = gathered(wanted.files, kind=Format(wanted.kind), local=wanted.local or EVERYWHERE)
    unread = [Located(error, str(path)) for path, error in problems]
    imported = merged(found, community=wanted.community or _community(wanted), now=reading.instant(None))
    lines = list(_lines(imported, signer))
    made = [] if wanted.output is None or unread else _write(wanted.output, lines, imported)
    ok = not unread and not imported.unread
    if json:
        as_json("import", ok=ok, **_members(imported), files=[str(each) for each in made], errors=[error_json(each) for each in unread])
    else:
        _tell(imported, made, unread, signed=signer.key is not None)
    finish(ok=ok, unread=unread)


def _community(wanted: Wanted) -> str:
    if wanted.config is not None:
        return read_settings(wanted.config).community
    if wanted.output is None:
        return "nobody"  # of drafts that are not written
    raise BadSettings("nothing says for which community", mend="give `--community NAME`, or `--config FILE`")


def _lines(imported: Imported, signer: Signer) -> Iterator[bytes]:
    """Yield drafts as the registrar signs them, or signed records."""
    if signer.key is None:
        yield from imported.drafts
        return
    key = reading.private_key(signer.key, signer.passphrase_file, allow_demo=signer.allow_demo)
    for member in imported.members:
        yield seal_member(member, [key])


# -- files --------------------------------------------------------------------------------------------


def _write(output: Path, lines: list[bytes], imported: Imported) -> list[Path]:
    """Write the drafts, and beside them in a folder what else was learnt; overwrite nothing."""
    content = b"".join(line + b"\n" for line in lines)
    if output.suffix == LINES:
        _new(output).write_bytes(content)
        return [output]
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadSettings(f"`{clean(str(output))}` is there already, and not empty", mend="name a new folder with `--output`")
    (output / TODAY).mkdir(parents=True)
    made = [output / MEMBERS, *(output / TODAY / f"{_named(each)}.json" for each in imported.today), output / LEFT_OVER]
    texts = [content, *(_pretty(today_as_json(each)) for each in imported.today), _pretty(_left_over(imported))]
    for path, text in zip(made, texts, strict=True):
        path.write_bytes(text)
    return made


def _new(path: Path) -> Path:
    if path.exists():
        raise BadSettings(f"`{clean(str(path))}` is there already", mend="name another file with `--output`")
    return path


def _named(today: Today) -> str:
    """Return a file's name for a local domain, which is in normal form or was written by somebody else."""
    name = "".join(letter for letter in today.local if letter.isalnum() or letter in "-._").lstrip(".")
    return "all" if today.local == EVERYBODY_ELSE else name or "unnamed"


def _pretty(value: object) -> bytes:
    return json_lines.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


# -- what is said -------------------------------------------------------------------------------------


def _members(imported: Imported) -> dict[str, object]:
    drafts = [
        {"domain": each.domain, "source": each.source, "places": [str(place) for place in imported.places[each.domain]]}
        for each in imported.members
    ]
    today = [
        {"local": each.local, "default": {"inbound": each.inbound.default, "outbound": each.outbound.default}, "unclear": each.unclear}
        for each in imported.today
    ]
    return {"import": imported.id, "read": list(imported.files), "members": drafts, "today": today, **_left_over(imported)}


def _left_over(imported: Imported) -> dict[str, object]:
    refused = [{"domain": each.domain, "places": [str(place) for place in each.places], "note": each.note} for each in imported.refusals]
    return {"refused": refused, "left": [each.as_json() for each in imported.unread]}


def _tell(imported: Imported, made: list[Path], unread: list[Located], *, signed: bool) -> None:
    one = len(imported.members) == 1
    what = f"signed record{'' if one else 's'}" if signed else f"draft{'' if one else 's'} of {'a member' if one else 'members'}"
    left = _counted(len(imported.unread), "row")
    say((f"{len(imported.members)} {what}", STRONG), f", {len(imported.refusals)} refused today, {left} left for you")
    for today in imported.today:
        say(f"{_admitting(today)}{', as far as it could be read' if today.unclear else ''}", indent=2)
    for row in imported.unread[:ROWS_SHOWN]:
        say(clean(f"{row.place}: {row.text}"), (f" {clean(row.fact)}", DIM), indent=2)
    if len(imported.unread) > ROWS_SHOWN:
        say(f"and {len(imported.unread) - ROWS_SHOWN} more; --json names each", indent=2)
    for problem in unread:
        tell_error(problem)
    for path in made:
        say(clean(str(path)))


def _admitting(today: Today) -> str:
    """Return whom a local domain admits, in words; lists that differ by direction are shown by the one for what comes in."""
    local = "each of your domains" if today.local == EVERYWHERE else clean(today.local)
    if today.inbound.default:
        return f"{local} admits everybody today" + (f" but {_counted(len(today.inbound.deny), 'domain')}" if today.inbound.deny else "")
    return f"{local} admits {_counted(len(today.inbound.allow), 'domain')} today, and nobody else"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
