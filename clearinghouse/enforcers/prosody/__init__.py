"""Our module for Prosody (Lua), and what is needed to put it where that server looks for modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODULE: Final = "mod_pubsub_authorize"
"""What Prosody calls it (without ``mod_``, in ``modules_enabled``), and the folder that holds its files."""


def files() -> Iterator[tuple[Path, bytes]]:
    """Yield the files of the module: the path below a folder of ``plugin_paths``, and the content."""
    for path in sorted(Path(__file__).parent.glob("*.lua")):
        yield Path(MODULE, path.name), path.read_bytes()
