"""Secrets of our own: read from files that nobody else can read, and never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from clearinghouse.errors import BadSettings, UnsafeFile

MAX_SECRET_BYTES: Final = 1_024
"""Bytes of a component's secret; `init` makes one of 64."""

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not stop us


def read_secret(path: Path) -> str:
    """Return the secret in *path*, without the blanks around it.

    The checks are made on the open file, so nobody can put another one in its place meanwhile.
    Raises :class:`UnsafeFile` where somebody else could have read it, :class:`BadSettings` for no secret.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise BadSettings(f"there is no secret file `{path}`", mend="write the component's secret into it, mode 0600") from None
    except OSError as error:
        raise UnsafeFile(f"`{path}` cannot be read ({error.strerror})", mend="give the file itself, not a link, and own it") from None
    try:
        _check(path, os.fstat(descriptor))
        content = os.read(descriptor, MAX_SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    return _text(path, content)


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"`{path}` is not a regular file", mend="give the path of the secret file")
    if status.st_uid not in {os.geteuid(), 0}:
        raise UnsafeFile(f"`{path}` belongs to user {status.st_uid}", mend=f"chown {os.geteuid()} {path}")
    if status.st_mode & 0o077:
        raise UnsafeFile(f"`{path}` can be reached by others (mode {stat.S_IMODE(status.st_mode):04o})", mend=f"chmod 600 {path}")


def _text(path: Path, content: bytes) -> str:
    try:
        secret = content.decode().strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret or len(content) > MAX_SECRET_BYTES or not secret.isprintable():
        raise BadSettings(f"`{path}` holds no secret", mend=f"write one line of text into it, at most {MAX_SECRET_BYTES} bytes")
    return secret
