"""The pages of the documentation, cut into what can be checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [path for path in PAGES if "_build" not in path.parts]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w{}-]*)[^\n]*\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the line of the page on which the text begins."""

    language: str
    text: str
    line: int


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> Iterator[Block]:
    """Yield the blocks of a page in the given languages, in order."""
    text = path.read_text()
    for found in _FENCE.finditer(text):
        if found["language"] in languages:
            indent = len(found["indent"])
            body = "".join(row[indent:] if row.strip() else row for row in found["body"].splitlines(keepends=True))
            yield Block(found["language"], body, text.count("\n", 0, found.start("body")) + 1)


def table_rows(path: Path, *header: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of every table of a page whose heading is *header*; ``\\|`` is a bar."""
    inside = False
    for row in path.read_text().splitlines():
        cells = tuple(cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1])
        if cells == header:
            inside = True
        elif inside and cells and not set("".join(cells)) <= set("-: "):
            yield cells
        elif not cells:
            inside = False
