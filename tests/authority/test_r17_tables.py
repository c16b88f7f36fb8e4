"""R17 for published tables: one time for one update, ends that are exact, and a clock that was set back closes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clearinghouse.clearing.clear import ClockBehind
from clearinghouse.federation.trust.believing import SKEW
from clearinghouse.federation.trust.trusted import CLOCK_STEP, Standing, Trusted, follow
from tests.presses import MINUTE, NOW, Press

ROWS = {"a.example": "level-1"}
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def press() -> Press:
    press = Press()
    press.prints(ROWS)
    return press


def test_r17_a_timestamp_and_a_table_end_at_the_very_instant(press: Press) -> None:
    trusted = press.followed()
    stamp_ends, table_ends = press.now + 10 * MINUTE, press.now + timedelta(days=7)
    found = [trusted.standing(at) for at in (stamp_ends - INSTANT, stamp_ends, table_ends - INSTANT, table_ends)]
    assert found == [Standing.FRESH, Standing.STALE, Standing.STALE, Standing.EXPIRED]


@pytest.mark.parametrize("late, codes", [(-INSTANT, ()), (timedelta(), ("timestamp-expired",))], ids=["before", "at"])
def test_r17_what_ends_at_an_instant_is_refused_from_it_on(press: Press, late: timedelta, codes: tuple[str, ...]) -> None:
    assert tuple(each.code for each in follow(press.trusted(), press.fetch, press.now + 10 * MINUTE + late)) == codes


def test_r17_one_update_has_one_time(press: Press) -> None:
    """It spans the end of the timestamp: with the time at which it began, all of it counts."""
    began = press.now + 10 * MINUTE - INSTANT
    trusted = press.trusted()
    assert follow(trusted, press.fetch, began) == ()
    assert trusted.rows == ROWS
    assert trusted.standing(began + timedelta(seconds=1)) is Standing.STALE


@pytest.mark.parametrize("back, standing", [(CLOCK_STEP, Standing.FRESH), (CLOCK_STEP + INSTANT, Standing.EXPIRED)], ids=["a step", "more"])
def test_r17_a_clock_that_was_set_back_closes(press: Press, back: timedelta, standing: Standing) -> None:
    trusted = press.followed()
    assert trusted.standing(press.now - back) is standing
    if standing is Standing.EXPIRED:
        with pytest.raises(ClockBehind):
            trusted.update_timestamp(press.documents["community/timestamp"], press.now - back)


def test_r17_the_highest_time_is_kept_across_restarts(press: Press) -> None:
    again = Trusted.restored(press.followed().kept(), press.pin, audience="*")
    assert again.seen == press.now
    assert again.standing(press.now - timedelta(hours=1)) is Standing.EXPIRED


def test_r17_a_clock_that_ran_ahead_for_a_while_leaves_no_mark(press: Press) -> None:
    """Only a timestamp that is believed moves the highest time, so a clock of 2099 cannot close a server for good."""
    trusted = press.followed()
    assert [each.code for each in follow(trusted, press.fetch, NOW + timedelta(days=9_000))] == ["root-expired"]
    assert trusted.seen == press.now
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.standing(press.now) is Standing.FRESH


@pytest.mark.parametrize("ahead, codes", [(SKEW, ()), (SKEW + INSTANT, ("document-not-yet",))], ids=["a little", "more"])
def test_r17_a_publisher_may_be_ahead_by_what_clocks_differ(press: Press, ahead: timedelta, codes: tuple[str, ...]) -> None:
    now = press.now - ahead
    trusted = Trusted.pinned(press.first, press.pin, now, audience="*")
    assert tuple(each.code for each in follow(trusted, press.fetch, now)) == codes


def test_r17_an_hour_of_skew_is_refused_and_mended(press: Press) -> None:
    trusted = press.trusted()
    for off, code in ((timedelta(hours=1), "timestamp-expired"), (timedelta(hours=-1), "clock-behind")):
        assert [each.code for each in follow(trusted, press.fetch, press.now + off)] == [code]
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.rows == ROWS


def test_r17_a_first_start_with_a_clock_that_is_years_ahead_leaves_no_mark(press: Press) -> None:
    trusted = Trusted.pinned(press.first, press.pin, NOW + timedelta(days=200), audience="*")
    assert [each.code for each in follow(trusted, press.fetch, NOW + timedelta(days=200))] == ["timestamp-expired"]
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.standing(press.now) is Standing.FRESH
