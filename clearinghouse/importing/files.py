"""The bytes of inputs, within limits, and the files that a configuration includes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from clearinghouse.errors import BadSettings, TooLarge
from clearinghouse.keynote.principals import shown

MOST_BYTES: Final = 32 << 20
"""Bytes of one input: a million domains, one a line, have 20 MB; a million rows of the largest public list have 30."""

MOST_INCLUDED: Final = 256
"""Files that one configuration includes, in all: Debian's folders `conf.d` hold a file for each host."""


MOST_NAME: Final = 4_096
"""Characters of a file's name that are shown; longer ones do not exist on Linux."""


def read_bytes(path: Path) -> bytes:
    """Return what is in a file; raises `BadSettings` for none, `TooLarge` beyond `MOST_BYTES`."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadSettings(f"`{_name(path)}` is no file", mend="name a file")
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "its name is none"
        raise BadSettings(f"`{_name(path)}` cannot be read ({reason})", mend="check its name and its mode") from None
    if len(data) > MOST_BYTES:
        raise TooLarge(f"`{_name(path)}` has more than {MOST_BYTES} bytes", mend="split it")
    return data


def _name(path: Path) -> str:
    return shown(str(path).encode("utf-8", "replace").decode("latin-1"), MOST_NAME)


def text_of(data: bytes) -> str:
    """Return bytes as text, whatever they are: what is no UTF-8 becomes U+FFFD, which no domain has."""
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


@dataclass(slots=True)
class Files:
    """Reads a configuration with what it includes: each file once, and not more than `MOST_INCLUDED`."""

    read: list[str] = field(default_factory=list)

    def open(self, path: Path) -> str | None:
        """Return the text of a file, or ``None`` where it was read already or is one too many."""
        try:
            name = str(path.resolve())
        except (OSError, ValueError, RuntimeError):  # a NUL byte, a circle of links
            raise BadSettings(f"`{_name(path)}` is no file's name", mend="name a file") from None
        if name in self.read or len(self.read) > MOST_INCLUDED:
            return None
        text = text_of(read_bytes(path))
        self.read.append(name)
        return text


def included(pattern: str, beside: Path) -> Iterator[Path]:
    """Yield the files that ``Include`` names: relative to the file that includes, `*` and `?` in the last part."""
    path = beside.parent / pattern
    if not set("*?") & set(path.name):
        yield path
        return
    try:
        beside_it = sorted(path.parent.iterdir())
    except (OSError, ValueError):
        return
    yield from (each for each in beside_it if not each.name.startswith(".") and fnmatchcase(each.name, path.name))
