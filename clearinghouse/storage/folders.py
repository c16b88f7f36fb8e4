"""Reads policies and credentials from their folders: bytes, or why they may not be read.

Whoever can write a policy decides who is trusted, so a file or folder that anybody else can write is refused
(`clearinghouse.settings.ownership`), and so are links, devices and what is larger than any honest file.  Only
what changed is read again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeAlias

from clearinghouse.clearing.vocabulary import GROUPS
from clearinghouse.errors import BadSettings, ClearinghouseError, TooLarge, UnsafeFile
from clearinghouse.settings.ownership import foreign

CREDENTIALS: Final = ""
"""The group of files that hold credentials: they belong to no group of operations."""

SUFFIX: Final = ".kn"
"""What a file of assertions is called; every other file is left alone."""

MAX_FILE_BYTES: Final = 8 << 20
"""Bytes of one file; a thousand long credentials have 4 MB."""

MAX_FILES: Final = 200_000
"""Files of one folder; twice the number that the engine is measured with."""

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not stop us

Stamp: TypeAlias = tuple[int, int, int]
"""Time of the last change in nanoseconds (of content, name or mode), size, inode."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was when its folder was looked at, or a folder that counts for nothing because of a *problem*."""

    group: str
    path: Path
    stamp: Stamp
    problem: ClearinghouseError | None = field(default=None, compare=False)


Look: TypeAlias = tuple[Entry, ...]
"""Everything that a look into the folders found; equal looks mean that nothing has changed."""


@dataclass(frozen=True, slots=True)
class FileRead:
    """One file: its *name* in messages, its group, its bytes or why they may not be read."""

    name: str
    group: str
    content: bytes | ClearinghouseError


@dataclass(slots=True)
class Folders:
    """The directory of policies, with one folder for each group of operations, and that of credentials."""

    policies: Path
    credentials: Path
    _known: dict[Entry, FileRead] = field(default_factory=dict)

    def look(self) -> Look:
        """Return what lies in the folders, without reading it; never raises."""
        return (*_policies(self.policies), *_credentials(self.credentials))

    def read(self, look: Look) -> tuple[FileRead, ...]:
        """Return every file of *look*; one that is unchanged is the same object as before."""
        self._known = {entry: self._known.get(entry) or _read(entry) for entry in look}
        return tuple(self._known.values())


def _read(entry: Entry) -> FileRead:
    name = f"{entry.path.parent.name}/{entry.path.name}"
    shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in name)
    return FileRead(shown, entry.group, entry.problem or _content(entry.path))


def _content(path: Path) -> bytes | ClearinghouseError:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        return UnsafeFile(f"it cannot be read ({error.strerror})", mend="put the file itself there, not a link, and let us read it")
    try:
        return _refusal(os.fstat(descriptor)) or os.read(descriptor, MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def _refusal(status: os.stat_result) -> ClearinghouseError | None:
    if not stat.S_ISREG(status.st_mode):
        return UnsafeFile("it is not a regular file", mend="put a file of assertions there")
    if fault := foreign(status):
        return UnsafeFile(f"it {fault.fact}", mend=f"{fault.mend}, and read what it says now")
    if status.st_size > MAX_FILE_BYTES:
        return TooLarge(f"it has {status.st_size} bytes", mend=f"a file of assertions has at most {MAX_FILE_BYTES}")
    return None


def _policies(folder: Path) -> Iterator[Entry]:
    """Yield the policies in *folder*, and what lies there and belongs to no group."""
    try:
        refused = _unsafe(folder)
        entries = [] if refused else sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        mend = "make it, with a folder for each group of operations, or name another in [policies]"
        refused, entries = BadSettings(f"this folder cannot be read ({error.strerror})", mend=mend), []
    if refused:
        yield _problem(folder, CREDENTIALS, refused)
        return
    for entry in entries:
        if problem := _misplaced(entry):
            yield _problem(folder / entry.name, CREDENTIALS, problem)
    for group in GROUPS:
        if group in {entry.name for entry in entries}:  # a group without a folder has no policies
            yield from _files(folder / group, group)


def _credentials(folder: Path) -> Iterator[Entry]:
    if os.path.lexists(folder):
        yield from _files(folder, CREDENTIALS)
    else:
        yield _problem(folder, CREDENTIALS, BadSettings("there is no such folder", mend="make it, or name another in [credentials]"))


def _files(folder: Path, group: str) -> Iterator[Entry]:
    """Yield the files of assertions in *folder*, in order, or why none of them counts."""
    try:
        refused = _unsafe(folder)
        names = [] if refused else sorted(entry.name for entry in os.scandir(folder) if _is_assertions(entry.name))
    except OSError as error:
        refused, names = UnsafeFile(f"this folder cannot be read ({error.strerror})", mend="let us read it"), []
    if refused:
        yield _problem(folder, group, refused)
    if len(names) > MAX_FILES:
        yield _problem(folder, group, TooLarge(f"it has {len(names)} files", mend=f"put several assertions into one; {MAX_FILES} are read"))
    for name in names[:MAX_FILES]:
        yield Entry(group, folder / name, _stamp(folder / name), _misnamed(name))


def _unsafe(folder: Path) -> ClearinghouseError | None:
    """Return why nothing in *folder* counts; raises ``OSError`` where it cannot be looked at."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return UnsafeFile("this is no folder", mend="put the folder itself there, not a link")
    if fault := foreign(status):
        return UnsafeFile(f"this folder {fault.fact}", mend=f"{fault.mend}, and read what lies in it now")
    return None


def _misnamed(name: str) -> ClearinghouseError | None:
    if name.isprintable() and "\\" not in name:  # which stands for what cannot be shown
        return None
    return UnsafeFile("its name is not of printable UTF-8 without backslashes", mend="give it another name")


def _is_assertions(name: str) -> bool:
    return name.endswith(SUFFIX) and not name.startswith(".")  # editors keep hidden copies


def _stamp(path: Path) -> Stamp:
    try:
        status = path.lstat()
    except OSError:
        return 0, 0, 0  # gone this very moment; reading it says so
    return status.st_ctime_ns, status.st_size, status.st_ino


def _problem(path: Path, group: str, problem: ClearinghouseError) -> Entry:
    return Entry(group, path, _stamp(path), problem)


def _misplaced(entry: os.DirEntry[str]) -> ClearinghouseError | None:
    """Return what is wrong with something in the directory of policies that belongs to no group."""
    if _is_assertions(entry.name):
        mend = f"move it into the folder of its group: {', '.join(GROUPS)}"
        return BadSettings("a policy outside the group folders counts nowhere", mend=mend)
    if entry.name in GROUPS or entry.name.startswith("."):
        return None
    if entry.is_symlink():
        return UnsafeFile("a link counts for nothing", mend="put the folder of a group itself there, or remove it")
    if not _is_folder(entry):
        return None
    close = get_close_matches(entry.name, GROUPS, n=1)
    mend = f"did you mean `{close[0]}`?" if close else f"the groups are {', '.join(GROUPS)}"
    return BadSettings("this folder is no group of operations", mend=mend)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # gone this very moment
