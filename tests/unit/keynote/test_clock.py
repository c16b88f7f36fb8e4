"""When the clock changes an answer, by example (authority rule R17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from clearinghouse.keynote import Assertions, admit
from clearinghouse.keynote.clock import clock_attributes, instant_of

NOW = datetime(2026, 12, 30, 12, 0, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 31, tzinfo=UTC)
NEXT_SECOND = NOW + timedelta(seconds=1)


def stable_until(conditions: str, constants: str = "", now: datetime = NOW, **action: str) -> datetime | None:
    text = f'Authorizer: "POLICY"\nLicensees: "K"\nLocal-Constants: {constants}\nConditions: {conditions}\n'
    known = Assertions(policies=[admit(text.encode(), policy=True)])
    return known.query(authorizers=["K"], action=clock_attributes(now) | action, values=("deny", "allow")).stable_until


@pytest.mark.parametrize(
    "conditions,until",
    [
        ("true;", None),
        ('a == "1";', None),
        ('date < "20270101";', datetime(2027, 1, 1, tzinfo=UTC)),
        ('date <= "20270101";', datetime(2027, 1, 2, tzinfo=UTC)),
        ('date >= "20270101";', datetime(2027, 1, 1, tzinfo=UTC)),
        ('date > "20270101";', datetime(2027, 1, 2, tzinfo=UTC)),
        ('date == "20270101";', datetime(2027, 1, 1, tzinfo=UTC)),
        ('date != "20261230";', datetime(2026, 12, 31, tzinfo=UTC)),
        ('"20270101" > date;', datetime(2027, 1, 1, tzinfo=UTC)),
        ('"20270101" <= date;', datetime(2027, 1, 1, tzinfo=UTC)),
        ('"20270101" < date;', datetime(2027, 1, 2, tzinfo=UTC)),
        ('date < "20261230";', None),
        ('date < "20260101" || date > "20250101";', None),
        ('date < "2027";', datetime(2027, 1, 1, tzinfo=UTC)),
        ('date < "20270199";', datetime(2027, 2, 1, tzinfo=UTC)),
        ('date < "20270101235959";', datetime(2027, 1, 2, tzinfo=UTC)),
        ('date < "never";', None),
        ('date < "";', None),
        ('date < "99991231";', datetime(9999, 12, 31, tzinfo=UTC)),
        ('date <= "99991231";', None),
        ('time < "20261230120001";', NEXT_SECOND),
        ('time <= "20261230120000";', NEXT_SECOND),
        ('time < "20261231";', MIDNIGHT),
        ('time < "20270101000000" || date < "20261231";', MIDNIGHT),
        ('date < "20270101" -> { time < "20261230130000" -> "allow"; };', datetime(2026, 12, 30, 13, tzinfo=UTC)),
        ('!(date < "20270101");', datetime(2027, 1, 1, tzinfo=UTC)),
        ("date < until;", datetime(2027, 2, 1, tzinfo=UTC)),
        ('date < "2027" . "0301";', datetime(2027, 3, 1, tzinfo=UTC)),
        ("date < $name;", NEXT_SECOND),
        ("date < limit;", MIDNIGHT),
        ("time > limit;", NEXT_SECOND),
        ('date ~= "^2027";', MIDNIGHT),
        ("@date > 20270101;", MIDNIGHT),
        ('$what == "x";', NEXT_SECOND),
        ('$"other" == "x";', None),
        ('$"date" < "20270101";', MIDNIGHT),
        ("true -> date;", MIDNIGHT),
        ('date . "" < "20270101";', MIDNIGHT),
        ("date == date;", MIDNIGHT),
        ('Date < "20270101";', None),
    ],
)
def test_next_change(conditions: str, until: datetime | None) -> None:
    assert stable_until(conditions, 'until = "20270201"', limit="20270101") == until


def test_a_constant_of_that_name_is_no_clock() -> None:
    assert stable_until('date < "20270101";', 'date = "20260101"') is None
    assert stable_until('time == "x" || $a == "b";', 'time = "x"') == MIDNIGHT


def test_without_a_clock_nothing_changes() -> None:
    known = Assertions(policies=[admit(b'Authorizer: "POLICY"\nLicensees: "K"\nConditions: date < "20270101";\n', policy=True)])
    assert known.query(authorizers=["K"], action={}, values=("deny", "allow")).stable_until is None


def test_only_what_the_requesters_reach_counts() -> None:
    texts = (
        b'Authorizer: "POLICY"\nLicensees: "K"\nConditions: date < "20280101";\n',
        b'Authorizer: "x"\nLicensees: "y"\nConditions: date < "20270101";\n',
    )
    known = Assertions(policies=[admit(text, policy=True) for text in texts])
    for requester, year in (("K", 2028), ("y", 2027)):
        proof = known.query(authorizers=[requester], action=clock_attributes(NOW), values=("deny", "allow"))
        assert proof.stable_until == datetime(year, 1, 1, tzinfo=UTC)


def test_principals_that_the_clock_names_change_with_it() -> None:
    known = Assertions(policies=[admit(b'Authorizer: "POLICY"\nLicensees: date\n', policy=True)])
    proof = known.query(authorizers=["20261230"], action=clock_attributes(NOW), values=("deny", "allow"))
    assert (proof.value, proof.stable_until) == ("allow", MIDNIGHT)


@pytest.mark.parametrize(
    "action,instant",
    [
        ({"time": "20261230120000"}, NOW),
        ({"date": "20261230"}, NOW.replace(hour=0)),
        ({"time": "20261230120000", "date": "20200101"}, NOW),
        ({"time": "", "date": "20261230"}, NOW.replace(hour=0)),
        ({}, None),
        ({"time": "20261330120000"}, None),
        ({"date": "2026123"}, None),
        ({"date": "2026123x"}, None),
        ({"date": "00000101"}, None),
        ({"date": "²0261230"}, None),
    ],
)
def test_the_instant_that_an_action_states(action: dict[str, str], instant: datetime | None) -> None:
    assert instant_of(action) == instant


def test_the_clock_is_utc() -> None:
    east = datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert clock_attributes(east) == {"date": "20261231", "time": "20261231233000"}


def test_the_last_second_has_no_next() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert stable_until('time ~= "x" || date ~= "x";', now=last) is None
