"""What the clearinghouse believes, made of files (pure; rule R16).

Each assertion is judged by itself: one that is broken is left out and named, and never keeps another from
counting.  One that was good before it was broken stays in use as it was, until it is mended or taken away,
as long as it plainly is the same one: it still names the same parties.  What is taken away stops counting at
once, whatever else is wrong in its file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, TypeAlias, TypeVar

from clearinghouse.clearing.policies import check_policy, check_separation
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import GROUPS
from clearinghouse.errors import BadPolicy, ClearinghouseError, MalformedAssertion
from clearinghouse.keynote import Admissions, Admitted, Limits, Refused, split_assertions
from clearinghouse.keynote.fields import split_fields
from clearinghouse.storage.folders import CREDENTIALS, FileRead

_T = TypeVar("_T", bound=Hashable)
_Parties: TypeAlias = tuple[tuple[str, str], ...]
"""Label and body of each field that says who trusts whom."""
_PARTIES: Final = frozenset({"Local-Constants", "Authorizer", "Licensees"})


@dataclass(frozen=True, slots=True)
class Piece:
    """One assertion of a file: where it begins, its bytes, what counts of it, and what is wrong with it.

    With both ``counts`` and ``error`` it is broken now, and what it was before stays in use.
    """

    line: int
    raw: bytes
    counts: Admitted | None
    error: ClearinghouseError | None = None


@dataclass(frozen=True, slots=True)
class FileHeld:
    """One file and its assertions; ``error`` where the file itself may not be read."""

    read: FileRead
    pieces: tuple[Piece, ...]
    error: ClearinghouseError | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An assertion or file that was left out: line and column count in the file, from 1.

    ``kept`` says that what stood there before stays in use.
    """

    file: str
    line: int
    column: int
    error: ClearinghouseError
    kept: bool = False

    def __str__(self) -> str:
        """Return place, fact and mend on one line."""
        place = f"{self.file}, line {self.line}, column {self.column}" if self.line else self.file
        mend = f": {self.error.mend}" if self.error.mend else ""
        return f"{place}: {self.error.message}{mend}{'; its last good content stays in use' if self.kept else ''}"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything that was loaded; ``snapshot`` is what decisions are made from."""

    files: Mapping[tuple[str, str], FileHeld] = field(default_factory=dict)
    policies: Mapping[str, tuple[Admitted, ...]] = field(default_factory=dict)
    credentials: tuple[Admitted, ...] = ()
    problems: tuple[Problem, ...] = ()
    shared_keys: tuple[str, ...] = ()
    snapshot: Snapshot = field(default_factory=lambda: Snapshot.of({}, ()))

    def admitted(self) -> Iterator[Admitted]:
        """Yield every assertion that counts."""
        yield from chain(*self.policies.values(), self.credentials)

    def believing(
        self,
        credentials: Iterable[Admitted] = (),
        *,
        desk: str = "",
        withdrawn: Iterable[bytes] = (),
        revoked: Iterable[str] = (),
        below: Iterable[str] = (),
    ) -> Holdings:
        """Return what is held with *credentials* added, and a snapshot of it less what is revoked (rule R15).

        *desk* is the principal that signs approvals; ``""``: the one that was given before.  Nothing that was taken
        away from this one's snapshot is taken away from the new one's unless it is named again.
        """
        every = (*self.credentials, *credentials)
        refused = [Refused(each.file, index, each.error) for index, each in enumerate(self.problems)]
        snapshot = Snapshot.of(
            self.policies,
            every,
            refused=refused,
            withdrawn=withdrawn,
            revoked=revoked,
            below=below,
            shared=self.shared_keys,
            desk=desk or self.snapshot.desk,
        )
        return replace(self, credentials=every, snapshot=snapshot)


@dataclass(slots=True)
class Loader:
    """Judges assertions by the settings; what it has admitted once it need not check again.

    ``desk`` is the principal that signs approvals: a policy may not license it alone (rule R2).
    """

    admissions: Admissions = field(default_factory=Admissions)
    limits: Limits = field(default_factory=Limits)
    shared_keys: tuple[str, ...] = ()
    desk: str = ""

    def load(self, files: Iterable[FileRead], before: Holdings) -> Holdings:
        """Return what *files* say; *before* is what was loaded when they were read last."""
        held = {(read.group, read.name): self._file(read, before.files.get((read.group, read.name))) for read in files}
        policies = {group: tuple(_counting(held.values(), group)) for group in GROUPS}
        mixed = {id(assertion): error for assertion, error in check_separation(policies, self.shared_keys)}
        problems = tuple(_problems(held.values(), mixed))
        policies = {group: tuple(each for each in found if id(each) not in mixed) for group, found in policies.items()}
        credentials = tuple(_counting(held.values(), CREDENTIALS))
        return Holdings(held, policies, credentials, problems, self.shared_keys).believing(desk=self.desk)

    def _file(self, read: FileRead, before: FileHeld | None) -> FileHeld:
        if before is not None and before.read is read:
            return before
        if isinstance(read.content, ClearinghouseError):
            kept = () if before is None else (replace(each, error=None) for each in before.pieces)
            return FileHeld(read, tuple(each for each in kept if each.counts), read.content)
        found = split_assertions(read.content)
        pieces = [self._piece(read, line, raw, alone=len(found) == 1) for line, raw in found]
        return FileHeld(read, tuple(pieces if before is None else _with_last_good(pieces, before.pieces)))

    def _piece(self, read: FileRead, line: int, raw: bytes, *, alone: bool) -> Piece:
        policy = read.group != CREDENTIALS
        try:
            # A credential was written by somebody else, who may have meant to make us work.
            admitted = self.admissions.admit(raw, policy=policy, limits=Limits.local() if policy else self.limits)
            if policy:
                check_policy(admitted, read.group, desk=self.desk)
        except ClearinghouseError as error:
            return Piece(line, raw, None, _in_file(error, line))
        named = copy(admitted)  # the same bytes may stand in several files
        named.source = read.name if alone else f"{read.name}:{line}"
        return Piece(line, raw, named)


def _counting(files: Iterable[FileHeld], group: str) -> Iterator[Admitted]:
    return (each.counts for file in files if file.read.group == group for each in file.pieces if each.counts is not None)


def _with_last_good(now: Sequence[Piece], before: Sequence[Piece]) -> list[Piece]:
    """Return *now* with what broken pieces were before.

    A piece is what it was where its text is the same, or where of all that went and came it alone has the same
    parties.  In any other case something may have been taken away, and nobody can say that it was not this one.
    """
    if all(each.error is None for each in now):
        return list(now)
    old, new = {each.raw for each in before}, {each.raw for each in now}
    same = _only((each.raw, each) for each in before)
    gone = _only((_parties(each), each) for each in before if each.raw not in new)
    came = _only((_parties(each), each) for each in now if each.raw not in old)
    stayed = _only((each.raw, each) for each in now)
    return [_last_good(each, same.get(each.raw) if each.raw in stayed else None, came, gone) for each in now]


def _last_good(now: Piece, same: Piece | None, came: Mapping[_Parties, Piece], gone: Mapping[_Parties, Piece]) -> Piece:
    if now.error is None:
        return now
    parties = _parties(now)
    before = gone.get(parties) if parties and came.get(parties) is now else same
    return now if before is None else replace(now, counts=before.counts)


def _only(found: Iterable[tuple[_T, Piece]]) -> dict[_T, Piece]:
    """Return the pieces whose key no other has."""
    pairs = list(found)
    often = Counter(key for key, _ in pairs)
    return {key: piece for key, piece in pairs if often[key] == 1}


def _parties(piece: Piece) -> _Parties:
    """Return who trusts whom, as it is written: of what counts, or else of the broken text."""
    raw = piece.counts.raw if piece.counts else piece.raw
    fields, _ = split_fields(raw.decode("latin-1"))
    return tuple((each.label, fields.body(each).strip()) for each in fields.fields if each.label in _PARTIES)


def _in_file(error: ClearinghouseError, line: int) -> ClearinghouseError:
    """Return *error* with lines that count in the file, of which the assertion begins on *line*."""
    if not isinstance(error, MalformedAssertion):
        return error
    others = tuple(each for each in (_in_file(other, line) for other in error.others) if isinstance(each, MalformedAssertion))
    moved = copy(error)
    moved.line, moved.others = error.line + line - 1, others
    return moved


def _problems(files: Iterable[FileHeld], mixed: Mapping[int, BadPolicy]) -> Iterator[Problem]:
    for file in files:
        if file.error is not None:
            yield Problem(file.read.name, 0, 0, file.error, kept=bool(file.pieces))
        for each in file.pieces:
            error = each.error or mixed.get(id(each.counts))
            if isinstance(error, MalformedAssertion):
                yield Problem(file.read.name, error.line, error.column, error, kept=each.counts is not None)
            elif error is not None:
                yield Problem(file.read.name, each.line, 1, error, kept=each.error is not None and each.counts is not None)
