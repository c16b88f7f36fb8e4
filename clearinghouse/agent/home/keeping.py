"""The agent's state directory: files that are whole or as before, whatever ends us or fills the disk.

A file is written beside its place, synchronised, and renamed over it.  Documents are stored under their digest, and
an index that is replaced last says which of them are the state: so a small change is a small write.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from clearinghouse.errors import BadSettings, Unavailable, UnsafeFile
from clearinghouse.federation.published.documents import digest
from clearinghouse.keynote.private_files import PrivateFile, read_private
from clearinghouse.settings.ownership import foreign

MAX_STATE_BYTES: Final = 1 << 28
"""Bytes of one file of the state: the list of 100,000 members has 200 MB."""

_WANTED: Final = PrivateFile("file of the agent's state", "start the agent: it makes it", MAX_STATE_BYTES)
_INDEX: Final = "index.json"


class StateUnavailable(Unavailable):
    """The state directory takes nothing, as on a full disk; what it holds stays whole."""

    code: ClassVar[str] = "state-unavailable"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The directory at *path*, mode 0700, of one agent."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> StateDirectory:
        """Return the directory, made where it is missing; raises `UnsafeFile` where others could write in it."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            fault = foreign(path.stat())
        except OSError as error:
            raise BadSettings(f"the state directory `{path}` cannot be made ({error.strerror})", mend="name another: `state`") from None
        if fault:
            raise UnsafeFile(f"the state directory `{path}` {fault.fact}", mend=fault.mend)
        return cls(path)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the directory for one process; raises `BadSettings` while another one does.  The kernel lets go when we die."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                mend = "end the agent that runs, or name another `state`"
                raise BadSettings(f"another process works in `{self.path}`", mend=mend) from None
            yield
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Make *content* the file *name*, durable when this returns; raises `StateUnavailable`, and then it is as before."""
        path = self.path / name
        beside = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            beside.replace(path)
            _synchronise(path.parent)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise StateUnavailable(f"`{path}` cannot be written ({error.strerror})", mend="make room on the disk of `state`") from None

    def read(self, name: str) -> bytes | None:
        """Return the file *name*, or ``None`` where there is none; raises `UnsafeFile`."""
        path = self.path / name
        if not os.path.lexists(path):
            return None
        return read_private(path, _WANTED)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Make *content* the file *name*; see `write`."""
        self.write(name, json.dumps(content, separators=(",", ":"), sort_keys=True).encode("ascii"))

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return the object in the file *name*; ``None`` for none, and for one that something has spoilt."""
        raw = self.read(name)
        try:
            found = None if raw is None else json.loads(raw)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    # -- documents

    def keep(self, folder: str, documents: Mapping[str, bytes]) -> None:
        """Make *documents* all that *folder* holds; see `write`.  Those that it has already are not written again."""
        index = {name: digest(raw) for name, raw in documents.items()}
        for name, raw in documents.items():
            if not (self.path / folder / index[name]).exists():
                self.write(f"{folder}/{index[name]}", raw)
        self.write_json(f"{folder}/{_INDEX}", index)
        self._sweep(folder, {_INDEX, *index.values()})

    def kept(self, folder: str) -> dict[str, bytes]:
        """Return the documents that `keep` kept; those that are damaged are left out."""
        index = self.read_json(f"{folder}/{_INDEX}") or {}
        found = {name: self.read(f"{folder}/{each}") for name, each in index.items()}
        return {name: raw for name, raw in found.items() if raw is not None and digest(raw) == index[name]}

    def _sweep(self, folder: str, wanted: set[str]) -> None:
        with suppress(OSError):
            for each in os.scandir(self.path / folder):
                if each.name not in wanted:
                    os.unlink(each.path)  # noqa: PTH108 - of an entry, not of a path


def _synchronise(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
