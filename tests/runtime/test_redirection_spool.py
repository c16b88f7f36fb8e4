"""The spool of a redirect node: whatever stops the machine or fills the disk, what was answered is there, once and whole."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.runtime.redirection import journal, spool
from clearinghouse.runtime.redirection.spool import SpoolFull, opened
from clearinghouse.storage.changes import Decided, Journaled, Repeated
from clearinghouse.storage.journaled import journal_in, journal_text
from tests.storage.conftest import Decisions
from tests.storage.lasting import case_of
from tests.world import NOON

FILE_BYTES = 1 << 16
"""Bytes that no file of this process may have more of, where a test wants a full disk."""


def texts(path: Path) -> list[str | None]:
    with opened(path) as found:
        return [each.text for each in found.next(99)]


@contextmanager
def full_disk() -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "redirect.spool"


def test_what_is_appended_is_found_again_in_order_until_the_log_has_it(path: Path) -> None:
    with opened(path) as found:
        found.append(["one", "two"])
        found.append(["three"])
    assert path.stat().st_mode & 0o777 == 0o600
    with opened(path) as again:
        first, second = again.next(2)
        assert (first.text, second.text) == ("one", "two")
        again.take(first.end)
        assert [each.text for each in again.next(9)] == ["two", "three"]
    assert texts(path) == ["one", "two", "three"]  # a start looks at all again: the log knows what it has
    with opened(path) as last:
        last.take(last.next(9)[-1].end)
        assert last.empty
        assert path.read_bytes() == b""
        last.append(["four"])
        assert [each.text for each in last.next(9)] == ["four"]


def test_a_line_that_was_half_written_is_cut_off_wherever_it_ends(path: Path) -> None:
    with opened(path) as found:
        found.append(["whole"])
        whole = found.size
        found.append(["half"])
    raw = path.read_bytes()
    for end in range(whole, len(raw)):
        path.write_bytes(raw[:end])
        with opened(path) as found:
            assert [each.text for each in found.next(9)] == ["whole"]
            found.append(["next"])
        assert texts(path) == ["whole", "next"]


def test_a_spoilt_line_costs_itself_and_no_other(path: Path) -> None:
    with opened(path) as found:
        found.append(["one", "two", "three"])
    raw = path.read_bytes()
    for at in range(raw.index(b"\n") + 1, raw.rindex(b"three") - 10):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert texts(path) == ["one", None, "three"]


def test_a_full_disk_takes_nothing_by_halves_and_all_of_it_when_there_is_room(path: Path) -> None:
    with opened(path) as found:
        found.append(["x" * 40_000])
        with full_disk(), pytest.raises(SpoolFull, match="takes nothing") as refused:
            found.append(["small", "y" * 30_000])
        assert refused.value.code == "spool-full"
        assert path.stat().st_size == found.size  # what was half there is gone
        found.append(["after"])
    assert texts(path) == ["x" * 40_000, "after"]


def test_the_spool_has_a_size_that_it_does_not_exceed(path: Path) -> None:
    with opened(path, most=100) as found:
        found.append(["a" * 50])
        with pytest.raises(SpoolFull, match="is full"):
            found.append(["b" * 50])
        found.append(["c" * 10])
        with pytest.raises(SpoolFull):
            found.append(["d" * (spool.MAX_LINE_BYTES + 1)])
    assert texts(path) == ["a" * 50, "c" * 10]


def test_one_node_holds_a_spool_and_nobody_else_can_read_it(path: Path, tmp_path: Path) -> None:
    with opened(path), pytest.raises(BadSettings, match="another node"), opened(path):
        pass
    path.chmod(0o640)
    with pytest.raises(UnsafeFile, match="by others"), opened(path):
        pass
    with pytest.raises(BadSettings, match="cannot be opened"), opened(tmp_path / "nowhere" / "spool"):
        pass
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(BadSettings, match="cannot be opened"), opened(tmp_path / "link"):
        pass
    other = tmp_path / "other"
    other.touch(mode=0o600)
    other.write_bytes(bytes(spool._AT_ONCE + 1))
    with pytest.raises(BadSettings, match="is no spool"), opened(other):
        pass


ACTS = st.lists(
    st.one_of(st.lists(st.text("ab", max_size=3), min_size=1, max_size=3), st.integers(1, 4), st.just("reopen")),
    max_size=20,
)


@pytest.mark.parametrize("content", [b"-----BEGIN PRIVATE KEY-----\nMC4C\n", b"{}", b"[redirect]\n", b"0123abcz rest\n"])
def test_a_file_that_was_named_by_mistake_keeps_what_it_has(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(BadSettings, match="is no spool"), opened(path):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("torn", [b"", b"0123", b"0123abcd", b"0123abcd ", b"\0" * 100])
def test_a_spool_that_a_stopped_machine_has_left_is_one(path: Path, torn: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(torn)
    assert texts(path) == []
    assert path.read_bytes() == b""


@settings(deadline=None, max_examples=25)
@given(ACTS)
def test_a_spool_is_a_queue_that_a_restart_winds_back_and_never_shortens(acts: list[list[str] | int | str]) -> None:
    with TemporaryDirectory() as directory:
        path, held, taken = Path(directory) / "spool", list[str](), 0
        for act in acts:
            with opened(path) as found:
                taken = 0
                for each in (act, act):  # twice with one opening, then anew
                    if isinstance(each, list):
                        found.append(each)
                        held += each
                    elif isinstance(each, int) and (lines := found.next(each)):
                        assert [line.text for line in lines] == held[taken : taken + each]
                        found.take(lines[-1].end)
                        taken += len(lines)
                        held, taken = ([], 0) if taken == len(held) else (held, taken)
                assert [line.text for line in found.next(999)] == held[taken:]


def test_a_decision_is_the_same_after_it_has_waited() -> None:
    decide = Decisions()
    for made in (decide.granted(), decide.pending(), decide.refused(subid="7")):
        decided = Decided(made, timedelta(microseconds=412))
        text = journal_text(decided)
        assert "\n" not in text
        assert journal_in(text) == Journaled(decided.recorded())
        assert journal_text(journal_in(text)) == text
    again = Repeated("ab" * 8, "cd" * 8, NOON)
    assert journal_in(journal_text(again)) == again
    with pytest.raises(ValueError, match="cannot wait"):
        journal_text(Decided(made, opens=case_of(made)))


async def test_all_that_wait_for_the_disk_together_are_told_what_became_of_it(path: Path) -> None:
    async with journal.opened(path, 1_000) as found:
        await found.append([f"line {number}" for number in range(20)])
        with pytest.raises(SpoolFull):
            await found.append(["z" * 1_000])
        await found.append(["last"])
        assert not found.empty
        lines = await found.next()
        assert [each.text for each in lines][-2:] == ["line 19", "last"]
        await found.take(lines[-1].end)
        assert found.empty
