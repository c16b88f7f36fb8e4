"""How deep a stanza is, measured without recursion: deep ones end the process of whoever recurses."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element

MAX_DEPTH: Final = 64
"""Elements inside each other.  A form in a stanza needs 5; slixmpp breaks near 900."""


def too_deep(stanza: Element, limit: int = MAX_DEPTH) -> bool:
    """Whether elements of *stanza* are nested more than *limit* levels deep, the stanza itself being level 1."""
    level = [stanza]
    for _ in range(limit):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True
