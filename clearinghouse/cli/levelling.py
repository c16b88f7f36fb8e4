"""What the commands about levels do, apart from their options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from json import loads
from pathlib import Path
from typing import Any, Final

from clearinghouse.clearing.wire import stamp
from clearinghouse.cli import level_pictures, reading
from clearinghouse.cli.drawing import draw
from clearinghouse.cli.loading import Loaded
from clearinghouse.cli.output import Located, as_json, clean, error_json, finish, tell_error
from clearinghouse.cli.serve import DEFAULT_CONFIG
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.levels.advice import OnlyLive, only_live
from clearinghouse.federation.levels.book import COMMUNITY, LevelBook, Scale, judge, request_about
from clearinghouse.federation.names import normal
from clearinghouse.federation.published.members import read_member, read_payload
from clearinghouse.keynote import Admissions
from clearinghouse.settings import Settings, read_settings
from clearinghouse.storage.folders import Folders
from clearinghouse.storage.holdings import Holdings, Loader

_LEVELS: Final = "deny,level-1,level-2,level-3"
_MAX_COLUMNS: Final = 40
"""Audiences shown beside each other; a terminal has room for fewer, a file for these."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A member, as far as its level depends on it."""

    domain: str
    keys: tuple[str, ...] = ()


def members_of(files: Iterable[str], names: Iterable[str]) -> tuple[Listed, ...]:
    """Return the members in *files* and those that are named; of two records of one domain the later one counts."""
    found = {each.domain: each for file in files for each in _listed(file)}
    found |= {name: found.get(name, Listed(name)) for name in map(normal, names)}
    if not found:
        raise BadSettings("no member is named", mend="name domains, or give a file of members: `--members FILE`")
    return tuple(found.values())


def one_of(files: Iterable[str], name: str) -> Listed:
    """Return one member, with the keys of its record where *files* have it."""
    wanted = normal(name)
    return next((each for file in files for each in _listed(file) if each.domain == wanted), Listed(wanted))


def _listed(file: str) -> Iterator[Listed]:
    raw = reading.read(file)
    if (answer := _answer(raw)) is not None:
        yield from (Listed(normal(str(each["domain"])), tuple(map(str, each["keys"]))) for each in answer)
        return
    for number, line in enumerate(raw.splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            if not text.startswith(b"{"):
                yield Listed(normal(text.decode("utf-8", "replace")))
                continue
            member = read_member(text).member if b'"payloadType"' in text else read_payload(text)
        except ClearinghouseError as error:
            raise Located(error, f"{reading.name_of(file)}:{number}") from None
        if not member.removed:
            yield Listed(member.domain, member.keys)


def _answer(raw: bytes) -> list[dict[str, Any]] | None:
    """Return the members in what ``member list --json`` has printed; ``None`` where it is something else."""
    try:
        found = loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("command") != "member list" or not isinstance(found.get("members"), list):
        return None
    return [each for each in found["members"] if isinstance(each, dict) and isinstance(each.get("keys"), list) and "domain" in each]


@dataclass(frozen=True, slots=True)
class Where:
    """Where policies and credentials lie, whose they are, and the time; settings say what options do not."""

    config: Path
    policies: Path | None
    credentials: Path | None
    levels: str | None
    community: str | None
    now: str | None

    def but(self, policies: Path | None, credentials: Path | None, now: str | None) -> Where:
        """Return this with what is given in place of what it has."""
        if policies is None and credentials is None and now is None:
            raise BadSettings("there is nothing to compare with", mend="give `--to-policies`, `--to-credentials` or `--to-now`")
        return replace(self, policies=policies or self.policies, credentials=credentials or self.credentials, now=now or self.now)

    def believed(self) -> Believed:
        """Load what lies there; raises `BadSettings` where no policy for levels is left."""
        known = read_settings(self.config) if self.config != DEFAULT_CONFIG or self.config.exists() else None
        folders = Folders(self._policies(known), self._credentials(known))
        held = _loader(known).load(folders.read(folders.look()), Holdings())
        problems = tuple(Located(each.error, f"{each.file}:{each.line}" if each.line else each.file) for each in held.problems)
        if not held.policies.get("federate"):
            for problem in problems:
                if problem.where.startswith("federate/") or not folders.policies.is_dir():
                    raise problem
            mend = f"put one into `{clean(str(folders.policies / 'federate'))}`"
            raise BadSettings("there is no policy for levels", mend=mend)
        return Believed(held, problems, self._scale(known), reading.instant(self.now))

    def _policies(self, known: Settings | None) -> Path:
        return self.policies or (known.policies.directory if known else Path("policies"))

    def _credentials(self, known: Settings | None) -> Path:
        return self.credentials or (known.credentials.directory if known else Path("credentials"))

    def _scale(self, known: Settings | None) -> Scale:
        levels = reading.values(self.levels or _LEVELS) if self.levels or known is None else known.levels
        return Scale(self.community or (known.community if known else "community"), levels)


def _loader(known: Settings | None) -> Loader:
    if known is None:
        return Loader()
    return Loader(Admissions(allow_legacy=known.allow_legacy_signatures), known.limits, known.shared_keys)


@dataclass(frozen=True, slots=True)
class Believed:
    """What was loaded, and for when."""

    held: Holdings
    problems: tuple[Located, ...]
    scale: Scale
    now: datetime

    def book(self, members: Iterable[Listed]) -> LevelBook:
        """Return the levels of *members*."""
        return LevelBook(self.held.snapshot, members, self.scale, now=self.now)

    def advice(self) -> tuple[OnlyLive, ...]:
        """Return the assertions that say less in a table than at a connection."""
        return tuple(only_live((*self.held.policies["federate"], *self.held.credentials)))

    def tell(self) -> None:
        """Print what was left out, and what counts in no table."""
        for problem in self.problems:
            tell_error(problem)
        for each in self.advice():
            level_pictures.advice(each)

    def as_json(self) -> dict[str, Any]:
        """Return it in the documented schema."""
        return {
            "community": self.scale.community,
            "levels": list(self.scale.levels),
            "now": stamp(self.now),
            "only_live": [
                {"id": each.assertion.name, "source": each.assertion.source, "names": list(each.names)} for each in self.advice()
            ],
            "errors": [error_json(problem) for problem in self.problems],
        }


def show(where: Where, members: Sequence[Listed], audiences: Sequence[str], *, pairs: bool, json: bool) -> None:
    """Show the level of each of *members* for each of *audiences*."""
    believed = where.believed()
    book = believed.book(members)
    wanted = _audiences([each.domain for each in members] if pairs else audiences)
    if json:
        views = {each: {"rows": book.rows(each), "flaws": _flaws(book, each)} for each in wanted}
        until = book.stable_until
        told = {"members": [each.domain for each in members], "audiences": views, "stable_until": stamp(until) if until else None}
        as_json("levels show", ok=True, **believed.as_json(), **told)
        return
    if len(wanted) > _MAX_COLUMNS:
        raise BadSettings(f"{len(wanted)} audiences do not fit beside each other", mend="name some with `--audience`, or take `--json`")
    believed.tell()
    level_pictures.table(book, [each.domain for each in members], wanted, believed.scale)


def diff(before: Where, after: Where, members: Sequence[Listed], audiences: Sequence[str], *, threshold: int | None, json: bool) -> None:
    """Show what changes; status 1 where it is more than *threshold*."""
    old, new = before.believed(), after.believed()
    books = old.book(members), new.book(members)
    changes = {each: list(_changed(books, each, old.scale, new.scale)) for each in _audiences(audiences)}
    count = sum(map(len, changes.values()))
    ok = threshold is None or count <= threshold
    if json:
        told = {each: [dict(zip(("domain", "before", "after"), row, strict=True)) for row in rows] for each, rows in changes.items()}
        as_json("levels diff", ok=ok, before=old.as_json(), after=new.as_json(), changes=told, count=count)
    else:
        new.tell()
        level_pictures.changes(changes, old.scale)
    finish(ok=ok)


def _changed(books: tuple[LevelBook, LevelBook], audience: str, *scales: Scale) -> Iterator[tuple[str, str, str]]:
    before, after = (book.rows(audience) for book in books)
    lowest, other = (scale.levels[0] for scale in scales)
    for domain in sorted({**before, **after}):
        found = before.get(domain, lowest), after.get(domain, other)
        if found[0] != found[1]:
            yield domain, *found


def explain(where: Where, member: Listed, audience: str, *, everything: bool, json: bool) -> None:
    """Draw why a member has its level."""
    believed = where.believed()
    (view,) = _audiences([audience])
    judged = judge(request_about(member.domain, member.keys, view), believed.held.snapshot, believed.scale, now=believed.now)
    ok = judged.level != believed.scale.levels[0]
    proof = judged.proven.proof if judged.proven else None
    if json:
        reason = {"code": judged.reason.code, "text": judged.reason.text} if judged.reason else None
        told = {"domain": member.domain, "audience": view, "level": judged.level, "reason": reason}
        as_json("levels explain", ok=ok, **told, proof=proof.as_json() if proof else None, **believed.as_json())
    else:
        level_pictures.headline(member.domain, view, judged)
        if proof is not None:
            admitted = (*believed.held.policies["federate"], *believed.held.credentials)  # other groups have no say here
            loaded = Loaded(believed.held.snapshot.assertions("federate"), admitted, believed.problems, {})
            draw(proof, loaded, believed.scale.levels, everything=everything)
    finish(ok=ok)


def _audiences(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(COMMUNITY if each == COMMUNITY else normal(each) for each in given)) or (COMMUNITY,)


def _flaws(book: LevelBook, audience: str) -> dict[str, dict[str, str]]:
    return {domain: {"code": reason.code, "text": reason.text} for domain, reason in book.flaws(audience).items()}
