from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clearinghouse.ledger.audit import MAX_PROBLEMS, Report, verify
from clearinghouse.ledger.book import MAX_LINE_BYTES, Binder, NothingSigned, Page, bound, checkpoint_line, page_line
from clearinghouse.ledger.entry import Opening
from tests.unit.ledger.logs import LOG, OTHER, checkpoint, export, row, rows

LOG_ROWS = rows(12)
WHOLE = export(LOG_ROWS, 0, 5, 12)
PLACES = (
    "header",
    "checkpoint 1",
    *(f"entry {n}" for n in range(5)),
    "checkpoint 2",
    *(f"entry {n}" for n in range(5, 12)),
    "checkpoint 3",
)


def check(*lines: bytes, earlier: tuple[bytes, ...] = ()) -> Report:
    return verify(lines, log_key=LOG.principal, earlier=earlier)


def found(report: Report) -> list[tuple[str, str]]:
    return [(each.code, each.place) for each in report.problems]


def test_a_whole_log_holds() -> None:
    report = check(*WHOLE.lines)
    assert report.ok
    assert (report.origin, report.size, report.erased, report.checkpoints) == ("hub.example", 12, 0, 3)
    assert report.last is not None
    assert report.last.size == 12


@given(st.integers(0, len(WHOLE.raw) - 1), st.integers(1, 255))
@example(len(WHOLE.raw) - 1, 1)
@example(0, 2)
def test_any_byte_that_changes_is_named(at: int, by: int) -> None:
    raw = bytearray(WHOLE.raw)
    raw[at] ^= by
    report = check(*split(bytes(raw)))
    assert report.problems
    place = PLACES[WHOLE.raw[:at].count(b"\n")]
    assert report.problems[0].place == place
    assert {each.place for each in report.problems} == {place}


def split(raw: bytes) -> list[bytes]:
    return [each + b"\n" for each in raw.split(b"\n")[:-1]] + ([raw.rpartition(b"\n")[2]] if not raw.endswith(b"\n") else [])


def test_every_byte_of_a_line_end_and_of_the_beginnings_is_named() -> None:
    """What machines find last: bytes that tear or join lines, or hide what kind of line it is."""
    begin = 0
    for line, place in zip(WHOLE.lines, PLACES, strict=True):
        for at in (*range(begin, begin + 20), begin + len(line) - 1):
            for by in (WHOLE.raw[at] ^ 0x0A, 1, 0x20, 0x80):
                raw = WHOLE.raw[:at] + bytes([WHOLE.raw[at] ^ by]) + WHOLE.raw[at + 1 :]
                if raw != WHOLE.raw:
                    assert {each.place for each in check(*split(raw)).problems} == {place}, (at, by)
        begin += len(line)


@given(st.integers(0, len(WHOLE.raw) - 1))
def test_a_truncated_tail_fails(end: int) -> None:
    codes = {each.code for each in check(*split(WHOLE.raw[:end])).problems}
    assert codes == {"truncated"}


def test_a_tail_that_is_cut_at_a_checkpoint_fails_with_its_header_and_without() -> None:
    lines = WHOLE.lines[:8]
    assert found(check(*lines)) == [("truncated", "header")]
    lines = (WHOLE.lines[0].replace(b":12}", b":5}"), *lines[1:])
    assert check(*lines).ok, "an older export is a good one, unless somebody knows better"
    assert found(check(*lines, earlier=(checkpoint(LOG_ROWS, 12),))) == [("truncated", "earlier 1")]


@pytest.mark.parametrize("at", [2, 4, 8, 14])
def test_a_missing_entry_is_named(at: int) -> None:
    assert found(check(*WHOLE.lines[:at], *WHOLE.lines[at + 1 :]))[0] in {("missing", PLACES[at]), ("misplaced", PLACES[at + 1])}


def test_the_last_entry_missing_before_a_checkpoint_is_told_there() -> None:
    assert found(check(*WHOLE.lines[:6], *WHOLE.lines[7:])) == [("misplaced", "checkpoint 2")]


def test_entries_twice_or_in_another_order_are_named() -> None:
    lines = WHOLE.lines
    assert found(check(*lines[:4], lines[3], *lines[4:])) == [("repeated", "entry 2")]
    assert found(check(*lines[:3], lines[4], lines[3], *lines[5:])) == [("missing", "entry 1")]
    assert found(check(*lines[:8], lines[7], *lines[8:])) == [("repeated", "checkpoint 3")]
    assert found(check(lines[0], lines[0], *lines[1:])) == [("malformed", "entry 0")]


def test_another_entry_in_good_form_is_found_at_the_next_checkpoint() -> None:
    forged = page_line(Page.of(*row(3, about="another")))
    report = check(*WHOLE.lines[:5], forged, *WHOLE.lines[6:])
    assert found(report) == [("wrong-root", "checkpoint 2")]
    assert "entries 0 to 4" in report.problems[0].text


def test_a_changed_entry_does_not_hide_the_next_one() -> None:
    lines = list(WHOLE.lines)
    for at in (3, 10):
        lines[at] = lines[at].replace(b"2026-11-20", b"2026-11-21")
    assert found(check(*lines)) == [("changed", "entry 1"), ("changed", "entry 7")]


def test_an_erased_entry_holds() -> None:
    log = [(entry, None if entry.number in {2, 7} else opening) for entry, opening in LOG_ROWS]
    report = check(*export(log, 12).lines)
    assert report.ok
    assert (report.erased, report.unexplained) == (2, True), "no entry says that they were erased"


def test_a_record_without_its_salt_is_no_erased_one() -> None:
    line = WHOLE.lines[2]
    begin = line.index(b',"salt"')
    assert found(check(*WHOLE.lines[:2], line[:begin] + b"}\n", *WHOLE.lines[3:])) == [("malformed", "entry 0")]


def test_another_record_is_named() -> None:
    entry, opening = LOG_ROWS[3]
    assert opening is not None
    log = [*LOG_ROWS[:3], (entry, Opening(opening.salt, b'{"about":"nothing"}')), *LOG_ROWS[4:]]
    assert found(check(*export(log, 12).lines)) == [("changed", "entry 3")]


def test_a_history_that_its_own_key_signed_anew_is_a_fork_to_whoever_kept_a_checkpoint() -> None:
    other = [*LOG_ROWS[:4], *rows(12, about="another")[4:]]
    lines = export(other, 5, 12).lines
    assert check(*lines).ok
    assert check(*lines, earlier=(checkpoint(LOG_ROWS, 4),)).ok
    for size in range(5, 13):
        assert found(check(*lines, earlier=(checkpoint(LOG_ROWS, 4), checkpoint(LOG_ROWS, size)))) == [("log-fork", "earlier 2")]


def test_every_earlier_checkpoint_of_the_same_history_holds() -> None:
    assert check(*WHOLE.lines, earlier=tuple(checkpoint(LOG_ROWS, size) for size in range(13))).ok


def test_a_signature_by_somebody_else_is_none() -> None:
    lines = (*WHOLE.lines[:-1], checkpoint_line(checkpoint(LOG_ROWS, 12, key=OTHER)))
    assert found(check(*lines)) == [("bad-signature", "checkpoint 3")]
    assert found(check(*WHOLE.lines, earlier=(checkpoint(LOG_ROWS, 5, key=OTHER),))) == [("bad-signature", "earlier 1")]


def test_another_log_of_the_same_key_is_another_log() -> None:
    lines = (*WHOLE.lines[:-1], checkpoint_line(checkpoint(LOG_ROWS, 12, origin="other.example")))
    assert found(check(*lines)) == [("wrong-log", "checkpoint 3")]
    assert found(check(*WHOLE.lines, earlier=(checkpoint(LOG_ROWS, 5, origin="other.example"),))) == [("wrong-log", "earlier 1")]


def test_entries_beyond_the_last_checkpoint_are_not_exported() -> None:
    assert export(LOG_ROWS, 5).lines[-1] == checkpoint_line(checkpoint(LOG_ROWS, 5))
    assert check(*export(LOG_ROWS, 5).lines).ok


def test_a_log_without_a_checkpoint_is_not_exported() -> None:
    with pytest.raises(NothingSigned):
        list(bound(LOG_ROWS, ()))


def test_checkpoints_come_in_any_order_and_several_may_cover_the_same() -> None:
    sealed = [checkpoint(LOG_ROWS, 12, later=9), checkpoint(LOG_ROWS, 3), checkpoint(LOG_ROWS, 12)]
    report = check(*bound(LOG_ROWS, sealed))
    assert report.ok
    assert report.last is not None
    assert report.last.at.second == 21


def test_an_empty_file_and_an_empty_log() -> None:
    assert found(check()) == [("truncated", "header")]
    assert check(*export([], 0).lines).ok


def test_a_line_without_end_is_refused() -> None:
    assert found(check(WHOLE.lines[0], b"x" * (MAX_LINE_BYTES + 1))) == [("too-large", "entry 0")]


def test_a_report_names_no_more_than_it_says() -> None:
    log = rows(MAX_PROBLEMS + 20)
    lines = [line.replace(b"2026-11-20", b"2026-11-21") for line in export(log, len(log)).lines[:-1]]
    assert len(check(*lines, export(log, len(log)).lines[-1]).problems) == MAX_PROBLEMS


def test_lines_are_judged_as_they_come() -> None:
    """A million entries need no more memory than ten: nothing is asked for before what is there is done with."""
    asked = []

    def lines() -> Iterator[bytes]:
        binder = Binder([checkpoint(LOG_ROWS, 12)])
        yield from binder.header()
        for number, each in enumerate(LOG_ROWS):
            asked.append(number)
            yield from binder.bind(Page.of(*each))

    source = lines()
    assert list(islice(source, 3))
    assert asked == [0, 1]
    assert replace(check(*lines()), problems=()).size == 12


HOSTILE = (
    b"",
    b"\n",
    b"{}\n",
    b"[" * 5_000 + b"\n",
    b'{"entry":' * 2_000 + b"\n",
    b'{"entry":{},"leaf":""}\n',
    b'{"checkpoint":{}}\n',
    b"\xff\n",
)


@given(st.lists(st.one_of(st.sampled_from(WHOLE.lines), st.sampled_from(HOSTILE), st.binary(max_size=80)), max_size=24))
def test_any_lines_at_all_give_a_report_and_only_the_log_itself_holds(lines: list[bytes]) -> None:
    needless = {WHOLE.lines[1], WHOLE.lines[7]}  # checkpoints before the last one
    if check(*lines).ok:
        assert [each for each in lines if each not in needless] == [each for each in WHOLE.lines if each not in needless]


@given(st.permutations(range(len(WHOLE.lines))), st.integers(1, 3))
def test_no_other_order_holds(order: list[int], swaps: int) -> None:
    lines = list(WHOLE.lines)
    for one, other in zip(order[:swaps], order[swaps : 2 * swaps], strict=True):
        lines[one], lines[other] = lines[other], lines[one]
    assert not check(*lines).ok
