"""Secrets of our own: read from files that nobody else can read, and never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clearinghouse.errors import BadSettings
from clearinghouse.keynote.private_files import PrivateFile, read_private

MAX_SECRET_BYTES: Final = 1_024
"""Bytes of a component's secret; `init` makes one of 64."""

_WANTED: Final = PrivateFile("secret file", "write the component's secret into it, mode 0600", MAX_SECRET_BYTES)


def read_secret(path: Path) -> str:
    """Return the secret in *path*, without the blanks around it.

    Raises :class:`UnsafeFile` where somebody else could have read it, :class:`BadSettings` for no secret.
    """
    try:
        secret = read_private(path, _WANTED).decode().strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret or not secret.isprintable():
        raise BadSettings(f"`{path}` holds no secret", mend=f"write one line of text into it, at most {MAX_SECRET_BYTES} bytes")
    return secret
