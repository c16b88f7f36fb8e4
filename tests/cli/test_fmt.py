"""``fmt``."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, Command

UNTIDY = '# one\n\n\nauthorizer:"a"\nlicensees: "b"||"c"\n\n\n\n# two\nAuthorizer: "b" # why\nlicensees:"c"\n# end'
TIDY = '# one\n\nAuthorizer: "a"\nLicensees: "b" || "c"\n\n# two\nAuthorizer: "b" # why\nLicensees: "c"\n# end\n'


@pytest.fixture
def untidy(desk: Path) -> Path:
    file = desk / "untidy.kn"
    file.write_text(UNTIDY)
    file.chmod(0o640)
    return file


def test_a_file_is_laid_out_in_place(run: Command, untidy: Path) -> None:
    first = run("fmt", "untidy.kn")
    assert (first.status, first.out) == (0, "")
    assert "untidy.kn: laid out" in first.err
    assert untidy.read_text() == TIDY
    assert untidy.stat().st_mode & 0o777 == 0o640
    assert run("fmt", "untidy.kn", "topic.kn").err == ""
    assert list(untidy.parent.glob(".*")) == []


def test_check_and_diff_write_nothing(run: Command, untidy: Path) -> None:
    check = run("fmt", "--check", "untidy.kn", "topic.kn")
    assert (check.status, check.out) == (1, "untidy.kn: is not in its form\n")
    diff = run("fmt", "--diff", "untidy.kn")
    assert diff.status == 0
    assert '+Authorizer: "a"' in diff.out.splitlines()
    assert run("fmt", "--check", "--diff", "untidy.kn").status == 1
    assert untidy.read_text() == UNTIDY


def test_standard_input_and_text_go_to_standard_output(run: Command) -> None:
    assert run("fmt", "-", given=UNTIDY).out == TIDY
    assert run("fmt", 'licensees:"b"\nauthorizer:"a"').out == 'Authorizer: "a"\nLicensees: "b"\n'
    assert run("fmt", "--check", "-", given=TIDY).status == 0


def test_a_broken_or_signed_file_stays_as_it_is(run: Command, desk: Path, untidy: Path) -> None:
    before = {name: (desk / name).read_bytes() for name in ("broken.kn", "ann.kn")}
    found = run("fmt", "broken.kn", "ann.kn", "absent.kn", "untidy.kn")
    assert found.status == 2
    for said in ("did you mean `Licensees:`?", "would break the signature", "`absent.kn` cannot be read"):
        assert said in found.err
    assert {name: (desk / name).read_bytes() for name in before} == before
    assert untidy.read_text() == TIDY


def test_positions_count_from_the_beginning_of_the_file(run: Command) -> None:
    [error] = run("fmt", "-", "--json", given=POLICY + '\n\nAuthorizer: "x"\nLicensee: "y"\n').json["errors"]
    assert (error["file"], error["line"]) == ("standard input", 10)


def test_a_file_that_cannot_be_replaced(run: Command, desk: Path) -> None:
    folder = desk / "loop"
    folder.symlink_to("loop")
    assert run("fmt", "loop").status == 2


def test_what_could_not_be_written_is_not_called_laid_out(run: Command, untidy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), descriptor)

    monkeypatch.setattr(os, "fsync", full)
    found = run("fmt", "untidy.kn")
    assert found.status == 2
    assert "laid out" not in found.err
    assert "it cannot be written (No space left on device)" in found.err
    assert untidy.read_text() == UNTIDY


def test_a_link_stays_a_link(run: Command, desk: Path, untidy: Path) -> None:
    (desk / "link.kn").symlink_to("untidy.kn")
    assert run("fmt", "link.kn").status == 0
    assert (desk / "link.kn").is_symlink()
    assert untidy.read_text() == TIDY


def test_json(run: Command, untidy: Path) -> None:
    told = run("fmt", "--check", "untidy.kn", "topic.kn", "--json").json
    assert [(each["file"], each["changed"]) for each in told["files"]] == [("untidy.kn", True), ("topic.kn", False)]
    assert told["files"][0]["text"] == TIDY
    assert told["ok"] is False
    assert untidy.read_text() == UNTIDY
