"""Every document as a file, under the same name as everywhere else: for an air gap, and for any web server."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from clearinghouse.errors import BadSettings
from clearinghouse.runtime.federation.shelf import Shelf

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 10.0
"""Before what could not be written is tried again: somebody has to mount a disk, or make room."""

_OURS: Final = re.compile(r"root/\d+|revocations/\d+|[^/]+/(timestamp|table/\d+|delta/\d+|members/[0-9a-f]{64})")
"""What the names of documents look like; nothing else in a directory is ever removed."""


@dataclass(slots=True)
class Exporter:
    """Keeps *directory* what the shelf has."""

    directory: Path
    shelf: Shelf
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.shelf.heard.append(lambda _: self._news.set())
        self._news.set()

    async def run(self) -> None:
        """Write whatever is new, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            documents = {name: each.body for name, each in self.shelf.documents.items()}
            try:
                await asyncio.to_thread(export, documents, self.directory)
            except BadSettings as error:
                log.error("not_exported", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
                self._news.set()
                await asyncio.sleep(RETRY_SECONDS)


def export(documents: Mapping[str, bytes], directory: Path) -> int:
    """Make *directory* have exactly *documents*, each whole or not at all, timestamps last; return how many were written.

    So whoever copies it at any moment finds everything that a timestamp names, or an older timestamp.  Raises
    `BadSettings` where it cannot be written.
    """
    try:
        written = sum(_put(directory / name, documents[name]) for name in sorted(documents, key=_order))
        for old in _others(documents, directory):
            (directory / old).unlink(missing_ok=True)
    except OSError as error:
        raise BadSettings(
            f"`{directory}` cannot be written ({error.strerror})", mend="see that there is room, and that it is ours"
        ) from None
    return written


def _order(name: str) -> tuple[bool, str]:
    return name.endswith("/timestamp"), name


def _put(path: Path, body: bytes) -> bool:
    try:
        if path.read_bytes() == body:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return True


def _others(documents: Mapping[str, bytes], directory: Path) -> list[str]:
    every = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return [name for name in every if name not in documents and _OURS.fullmatch(name)]
