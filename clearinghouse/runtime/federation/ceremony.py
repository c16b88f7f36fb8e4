"""What the key ceremony left in the root directory: root metadata by generation, and what the revoker signed by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import structlog

from clearinghouse.clearing.dsse import REVOCATIONS, ROOT, opened
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.errors import BadSettings, ClearinghouseError, OperatorError, UnsafeFile
from clearinghouse.federation.published import revocations, roots
from clearinghouse.federation.published.documents import MAX_REVOCATIONS_BYTES, MAX_ROOT_BYTES, digest
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.trust.trusted import Trusted
from clearinghouse.settings.ownership import foreign

log = structlog.get_logger(__name__)

MAX_FILES: Final = 10_000
"""Files of one root directory that are looked at; a root a year and a set a week make 60 in a year."""

_ROOT: Final = re.compile(r"([1-9][0-9]{0,14})\.json")
_REVOCATIONS: Final = re.compile(r"revocations-([1-9][0-9]{0,14})\.json")
_T = TypeVar("_T")


class NoRoot(OperatorError):
    """There is no root metadata that tables could be published under."""

    code: ClassVar[str] = "no-root"


@dataclass(frozen=True, slots=True)
class Signed:
    """A sealed document and the number that it has."""

    number: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What the directory has: root metadata by generation, without a gap from the first, and the newest revocation set by hand."""

    roots: tuple[tuple[Root, bytes], ...] = ()
    revocations: tuple[RevocationSet, bytes] | None = None

    @property
    def root(self) -> Root:
        """The newest root metadata; raises `NoRoot`."""
        if not self.roots:
            raise NoRoot("there is no root metadata", mend="make it in a key ceremony, and put it into `root_directory` as `1.json`")
        return self.roots[-1][0]


@dataclass(slots=True)
class Ceremony:
    """Reads *directory* for *community*, again when anything in it has changed."""

    directory: Path
    community: str
    _look: tuple[tuple[str, int, int], ...] = ()
    _found: Found = field(default_factory=Found)

    def found(self, now: datetime) -> Found:
        """Return what is there; what is broken is named and left out, and ends the line of roots there."""
        look = _look_at(self.directory)
        if look != self._look:
            self._look, self._found = look, self._read(look, now)
        return self._found

    def _read(self, look: tuple[tuple[str, int, int], ...], now: datetime) -> Found:
        names = [name for name, _, _ in look]
        line = _believed([*_line(self.directory, names, self.community)], now)
        sets = sorted(_numbered(names, _REVOCATIONS), reverse=True)
        read = (_read(self.directory / name, number, _revocation_set, self.community) for number, name in sets)
        return Found(tuple(line), next((each for each in read if each is not None), None))


def _look_at(directory: Path) -> tuple[tuple[str, int, int], ...]:
    try:
        with os.scandir(directory) as entries:
            found = [(entry.name, entry.stat()) for entry, _ in zip(entries, range(MAX_FILES), strict=False)]
    except OSError:
        return ()
    return tuple(sorted((name, status.st_mtime_ns, status.st_size) for name, status in found))


def _believed(line: list[tuple[Root, bytes]], now: datetime) -> Iterator[tuple[Root, bytes]]:
    """Yield the roots that an agent would believe one after the other: what it refuses must not be what we publish under."""
    trusted: Trusted | None = None
    for root, sealed in line:
        try:
            if trusted is None:
                pin = digest(roots.written(root))
                trusted = Trusted.pinned(sealed, pin, now, audience=EVERYTHING, community=root.community)
            else:
                trusted.update_root(sealed, now)
        except ClearinghouseError as error:
            log.error("root_not_believed", generation=root.generation, reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
            return
        yield root, sealed


def _line(directory: Path, names: list[str], community: str) -> Iterator[tuple[Root, bytes]]:
    for wanted, (number, name) in enumerate(sorted(_numbered(names, _ROOT)), 1):
        found = _read(directory / name, number, _root, community)
        if number != wanted or found is None:
            log.error("root_left_out", file=name, reason="a generation before it is missing or broken", mend="put every generation there")
            return
        yield found


def _numbered(names: list[str], form: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    return ((int(found[1]), name) for name in names if (found := form.fullmatch(name)))


def _read(path: Path, number: int, read: Callable[[bytes, str], tuple[int, _T]], community: str) -> tuple[_T, bytes] | None:
    try:
        raw = _bytes(path)
        stated, found = read(raw, community)
        if stated != number:
            raise BadSettings(f"`{path.name}` is number {stated}", mend="name the file after the number that stands in it")
    except (ClearinghouseError, OSError) as error:
        mend = error.mend if isinstance(error, ClearinghouseError) else "check the file"
        log.error("root_file_left_out", file=path.name, reason=str(error), mend=mend)  # noqa: TRY400 - the mend, not the frames
        return None
    return found, raw


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        if fault := foreign(os.fstat(file.fileno())):
            raise UnsafeFile(f"`{path}` {fault.fact}", mend=fault.mend)
        return file.read(max(MAX_ROOT_BYTES, MAX_REVOCATIONS_BYTES) + 1).strip()


def _root(raw: bytes, community: str) -> tuple[int, Root]:
    found = roots.read_payload(opened(raw, payload_type=ROOT, most=MAX_ROOT_BYTES).payload)
    _check(found.community, community)
    return found.generation, found


def _revocation_set(raw: bytes, community: str) -> tuple[int, RevocationSet]:
    found = revocations.read_payload(opened(raw, payload_type=REVOCATIONS, most=MAX_REVOCATIONS_BYTES).payload)
    _check(found.community, community)
    return found.version, found


def _check(found: str, community: str) -> None:
    if found != community:
        raise BadSettings(f"the file is of the community `{found}`", mend=f"this one is `{community}`")
