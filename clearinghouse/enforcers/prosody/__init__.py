"""Our modules for Prosody (Lua), and what is needed to put them where that server looks for modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODULE: Final = "mod_pubsub_authorize"
"""For a broker: lets the clearinghouse rule on subscriptions.  Prosody's name of it, after ``mod_``, goes into
``modules_enabled``, and a folder of the whole name holds its files."""

FEDERATION: Final = "mod_clearinghouse"
"""For a server that federates: lets pass what an agent's image says."""


def files(module: str = MODULE) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of *module*: the path below a folder of ``plugin_paths``, and the content."""
    for path in sorted((Path(__file__).parent / module).glob("*.lua")):
        yield Path(module, path.name), path.read_bytes()
