"""The reference pages are what the code says."""

from __future__ import annotations

import doctest
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from clearinghouse import keynote
from clearinghouse.cli.scenario_run import run_file
from clearinghouse.keynote import Limits
from tests.docs.pages import ROOT, blocks, table_rows

PYTHON_API = ROOT / "docs/reference/python-api.md"


def test_the_attributes_page_is_made_from_the_vocabulary() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/attributes.py", "--check"], check=False)
    assert done.returncode == 0, "run `python docs/attributes.py`"


def test_the_limits_are_those_of_the_engine() -> None:
    strangers, local = Limits(), Limits.local()
    page = {
        row[0].strip("`"): row[1:3] for row in table_rows(ROOT / "docs/reference/limits.md", "limit", "strangers", "own files", "of what")
    }
    assert page == {each.name: (f"{getattr(strangers, each.name):,}", f"{getattr(local, each.name):,}") for each in fields(Limits)}


def test_the_python_examples_are_true() -> None:
    text = "".join(block.text for block in blocks(PYTHON_API, "pycon"))
    example = doctest.DocTestParser().get_doctest(text, {}, "python-api.md", str(PYTHON_API), 0)
    told: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.append)
    assert results.attempted > 10
    assert results.failed == 0, "".join(told)


def test_the_python_page_names_everything_that_is_public() -> None:
    text = PYTHON_API.read_text()
    assert [name for name in keynote.__all__ if f"`{name}" not in text and f"keynote.{name}" not in text] == []


def test_the_scenario_file_on_the_page_passes(tmp_path: Path) -> None:
    for folder in ("policies/demo", "credentials"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (block,) = blocks(ROOT / "docs/how-to/test-policies.md", "toml")
    file = tmp_path / "policies/demo/page.toml"
    file.write_text(block.text)
    assert [result.failures for result in run_file(file)] == [(), ()]


def test_each_rule_has_a_line_and_tests() -> None:
    rules = [row[0].split()[0] for row in table_rows(ROOT / "docs/reference/rules.md", "rule", "says")]
    assert rules == [f"R{number}" for number in range(1, 23)]
    tested = {path.name[6:8] for path in (ROOT / "tests/authority").glob("test_r*.py")}
    assert tested == {f"{number:02}" for number in range(1, 23)}
