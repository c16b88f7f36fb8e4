"""Files with a secret: read only if nobody but their owner, or root, could have read or written them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearinghouse.errors import BadSettings, UnsafeFile

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not stop us


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """What errors call the kind of file, what to do where there is none, and how many bytes one has at most."""

    kind: str
    mend: str
    most: int


def read_private(path: Path, wanted: PrivateFile) -> bytes:
    """Return the bytes of *path*; raises `UnsafeFile` where others can reach it, `BadSettings` for none or too many.

    The checks are made on the open file, so nobody can put another one in its place meanwhile.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise BadSettings(f"there is no {wanted.kind} `{path}`", mend=wanted.mend) from None
    except OSError as error:
        mend = f"give the {wanted.kind} itself, not a link, and own it"
        raise UnsafeFile(f"`{path}` cannot be read ({error.strerror})", mend=mend) from None
    try:
        _check(path, os.fstat(descriptor), wanted)
        content = os.read(descriptor, wanted.most + 1)
    finally:
        os.close(descriptor)
    if len(content) > wanted.most:
        raise BadSettings(f"`{path}` has more than {wanted.most} bytes", mend=f"a {wanted.kind} has at most {wanted.most}")
    return content


def _check(path: Path, status: os.stat_result, wanted: PrivateFile) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"`{path}` is not a regular file", mend=f"give the path of the {wanted.kind}")
    if status.st_uid not in {os.geteuid(), 0}:
        raise UnsafeFile(f"`{path}` belongs to user {status.st_uid}", mend=f"chown {os.geteuid()} {path}")
    if status.st_mode & 0o077:
        raise UnsafeFile(f"`{path}` can be reached by others (mode {stat.S_IMODE(status.st_mode):04o})", mend=f"chmod 600 {path}")
