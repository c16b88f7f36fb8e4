"""Small files and small functions; beyond these sizes a split is due, not a higher number here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clearinghouse"
MODULES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES = 450
BODY_LINES = 40

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def bodies(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and lines of each function, from its first statement after the docstring to its last."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            statements = node.body[1:] if ast.get_docstring(node) else node.body
            if statements:
                yield node.name, (statements[-1].end_lineno or 0) - statements[0].lineno + 1


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_file_and_its_functions_are_small(module: Path) -> None:
    text = module.read_text()
    assert text.count("\n") <= FILE_LINES
    assert [(name, lines) for name, lines in bodies(ast.parse(text)) if lines > BODY_LINES] == []
