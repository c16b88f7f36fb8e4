"""Files that are written once: the only copy of something that others rely on is never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from clearinghouse.cli.output import clean
from clearinghouse.errors import BadSettings


def write_new(path: Path, data: bytes) -> None:
    """Create *path* with *data*, readable by all; raises `BadSettings` where something is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise BadSettings(f"`{clean(str(path))}` exists already", mend="choose another name, it is never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
