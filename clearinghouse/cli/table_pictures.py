"""What ``table show`` and ``table verify`` say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clearinghouse.clearing.dsse import TABLE, opened
from clearinghouse.clearing.wire import stamp
from clearinghouse.cli.output import STRONG, as_json, clean, error_json, finish, mark, say, tell_error
from clearinghouse.cli.reading import read
from clearinghouse.cli.root_ceremony import sealed_root
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.names import normal
from clearinghouse.federation.published import tables
from clearinghouse.federation.published.documents import MAX_CONTENT_BYTES, MAX_HEAD_BYTES, digest, parted
from clearinghouse.federation.published.refusals import ContentMismatch, NothingNamed
from clearinghouse.federation.published.tables import Table
from clearinghouse.federation.trust import believing
from clearinghouse.federation.trust.state import State
from clearinghouse.federation.trust.trusted import Standing, Trusted, follow
from clearinghouse.keynote.principals import short


@dataclass(frozen=True, slots=True)
class Shown:
    """A table that was read, and who signed it."""

    table: Table
    signers: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many domains have each level but the lowest, weakest first."""
        found = Counter(self.table.rows.values())
        return {level: found[level] for level in self.table.head.levels[1:]}

    def as_json(self) -> dict[str, Any]:
        """Return it in the documented schema, but for its rows."""
        head = self.table.head
        return {
            "community": head.community,
            "audience": head.audience,
            "epoch": head.epoch,
            "version": head.version,
            "issued": stamp(head.issued),
            "expires": stamp(head.expires),
            "levels": list(head.levels),
            "counts": self.counts,
            "digest": self.table.digest,
            "signers": list(self.signers),
        }


def show(file: Path, domain: str, *, json: bool) -> None:
    """Show the table in *file*, or the level of one *domain* in it."""
    shown = _read(read(str(file)))
    if domain:
        name = normal(domain)
        level = shown.table.level_of(name)
        as_json("table show", ok=True, domain=name, level=level) if json else say(f"{name} has {level}")
    elif json:
        as_json("table show", ok=True, **shown.as_json(), rows=dict(shown.table.rows))
    else:
        _draw(shown)


def verify(where: Path, roots: Sequence[Path], pin: str, audience: str, *, json: bool) -> None:
    """Say whether an agent that pinned *pin* would believe what is *where*."""
    now = datetime.now(UTC)
    first, *others = (sealed_root(each)[0] for each in roots)
    trusted = Trusted.pinned(first, pin, now, audience="*" if audience == "*" else normal(audience))
    for raw in others:
        trusted.update_root(raw, now)
    if where.is_dir():
        refused = follow(trusted, lambda name, limit: _document(where, name, limit), now)
        standing, table = trusted.standing(now), trusted.table
        signers: tuple[str, ...] = ()
        if standing is not Standing.FRESH and not refused:
            refused = (NothingNamed("a document that is named is not there", mend="export it again"),)
    else:
        refused, shown = _alone(trusted.state, read(str(where)), now)
        table, signers = shown.table, shown.signers
    ok = not refused
    if json:
        told = None if table is None else Shown(table, signers).as_json()
        as_json("table verify", ok=ok, table=told, errors=[error_json(each) for each in refused])
    else:
        for error in refused:
            tell_error(error, error=False)
        if ok and table is not None:
            what = "the newest" if where.is_dir() else "signed by who may sign it; whether it is the newest, only a timestamp says"
            say(mark(good=True), f" version {table.head.version} for `{table.head.audience}` of {clean(table.head.community)}: {what}")
    finish(ok=ok)


def _alone(state: State, raw: bytes, now: datetime) -> tuple[tuple[ClearinghouseError, ...], Shown]:
    """Return why one table by itself would not be believed, and the table; its own word is taken for whose view it is."""
    shown = _read(raw)
    try:
        believing.check_alone(replace(state, audience=shown.table.head.audience), raw, now)
    except ClearinghouseError as error:
        return (error,), shown
    return (), shown


def _read(raw: bytes) -> Shown:
    """Return the table in *raw*, whose signatures hold and whose content is the one that its head names."""
    sealed, content = parted(raw, MAX_CONTENT_BYTES)
    envelope = opened(sealed, payload_type=TABLE, most=MAX_HEAD_BYTES)
    head = tables.read_payload(envelope.payload)
    if digest(content) != head.content:
        raise ContentMismatch("the content is not the one that the head names", mend="give the whole table, not a delta")
    return Shown(Table(head, digest(envelope.payload), tables.read_content(content, head.levels)), envelope.signers)


def _document(directory: Path, name: str, limit: int) -> bytes | None:
    """Return a published document of a directory, or a byte more than it may have."""
    try:
        with (directory / name).open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        return None


def _draw(shown: Shown) -> None:
    head = shown.table.head
    audience = "the whole community" if head.audience == "*" else head.audience
    say((f"table of {clean(head.community)} for {audience}", STRONG), f", epoch {head.epoch}, version {head.version}")
    say(f"from {stamp(head.issued)} until {stamp(head.expires)}", indent=2)
    say(f"signed by {', '.join(map(short, shown.signers))}", indent=2)
    for level, count in reversed(shown.counts.items()):
        say(f"{level}: {count} domain{'' if count == 1 else 's'}", indent=2)
    say(f"every other domain has {head.levels[0]}", indent=2)
