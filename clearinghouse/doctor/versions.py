"""The server modules of this package: their versions, as their own sources say them, and the files that a Prosody should have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from clearinghouse import enforcers
from clearinghouse.enforcers import prosody

_PLACES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "prosody": ("prosody/mod_clearinghouse/mod_clearinghouse.lua", re.compile(r'^VERSION\b[^=\n]*= "([^"\n]+)"', re.MULTILINE)),
    "ejabberd": ("ejabberd/src/clearinghouse.hrl", re.compile(r'^-define\(VERSION, <<"([^"\n]+)">>\)', re.MULTILINE)),
}


@cache
def packaged(server: str) -> str:
    """Return the version of our module for a kind of server; nothing for a kind that has none."""
    if server not in _PLACES:
        return ""
    name, pattern = _PLACES[server]
    found = pattern.search((Path(enforcers.__file__).parent / name).read_text())
    return found[1] if found else ""


def prosody_files(folders: Iterable[Path]) -> dict[str, str]:
    """Return what is wrong with the module's files below *folders*, where Prosody looks for modules, by their place."""
    wanted = list(prosody.files(prosody.FEDERATION))
    present = [folder for folder in folders if (folder / wanted[0][0]).parent.is_dir()]
    if not present:
        places = ", ".join(map(str, folders)) or "plugin_paths"
        return {places: f"`{prosody.FEDERATION}` is not there"}
    folder = present[0]
    found: dict[str, str] = {}
    for name, content in wanted:
        path = folder / name
        try:
            same = path.read_bytes() == content
        except OSError:
            found[str(path)] = "is not there"
            continue
        if not same:
            found[str(path)] = "is another file than the one of this package"
    return found
