"""R17: a grant ends when the clock could change the answer; a clock that is behind grants nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import LeavePending
from clearinghouse.clearing.facts import LONGEST_VALIDITY
from clearinghouse.clearing.policies import ClockAsNumber, check_policy
from clearinghouse.keynote import admit
from tests.world import NOON, Community, assertion, plain, request

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def ends_with(where: str, *, validity: int | None = None, cap: timedelta = timedelta(days=90)) -> datetime | None:
    sim = Community()
    sim.desk.cap = cap
    sim.policy("ann@a.example", f'topic == "incidents" && ({where})' if where else 'topic == "incidents"')
    return sim.asks("ann@a.example", validity=validity).ends


@pytest.mark.parametrize(
    "where, until",
    [
        ('date < "20261201"', datetime(2026, 12, 1, tzinfo=UTC)),
        ('"20261201" > date', datetime(2026, 12, 1, tzinfo=UTC)),
        ('date <= "20261130"', datetime(2026, 12, 1, tzinfo=UTC)),
        ('date == "20261120"', MIDNIGHT),
        ('date != "20261122"', datetime(2026, 11, 22, tzinfo=UTC)),
        ('!(date >= "20261201")', datetime(2026, 12, 1, tzinfo=UTC)),
        ('time < "20261120180000"', datetime(2026, 11, 20, 18, tzinfo=UTC)),
        ('time <= "20261120175959"', datetime(2026, 11, 20, 18, tzinfo=UTC)),
        ('date < "202612"', datetime(2026, 12, 1, tzinfo=UTC)),
        ('date < "20270101" && date < "20261201"', datetime(2026, 12, 1, tzinfo=UTC)),
        ('date < "20261201" || date > "20261225"', datetime(2026, 12, 1, tzinfo=UTC)),
        ('date ~= "^202611"', MIDNIGHT),
        ("@date < 20261201", MIDNIGHT),
        ('(date . "") < "20261201"', MIDNIGHT),
        ('$"date" < "20261201"', None),
        ('time ~= "^20261120"', NOON + timedelta(seconds=1)),
        ('date > "20260101"', None),
    ],
)
def test_r17_a_grant_ends_at_the_first_instant_at_which_the_clock_could_change_it(where: str, until: datetime | None) -> None:
    ends = ends_with(where)
    assert ends is not None
    if until is not None:
        assert ends == until
    else:
        assert NOON < ends <= NOON + timedelta(days=90)


@pytest.mark.parametrize(
    "validity, until, cap, ends",
    [
        (3_600, "", 90, NOON + timedelta(hours=1)),
        (3_600, "20261121", 90, NOON + timedelta(hours=1)),
        (86_400, "20261121", 90, MIDNIGHT),
        (86_400, "20261121", 0.25, NOON + timedelta(hours=6)),
        (None, "20261121", 90, MIDNIGHT),
        (None, "", 90, NOON + timedelta(days=90)),
        (None, "", 10_000, NOON + timedelta(seconds=LONGEST_VALIDITY)),
        (1, "20261121", 90, NOON + timedelta(seconds=1)),
    ],
)
def test_r17_the_earliest_of_three_ends_counts(validity: int | None, until: str, cap: float, ends: datetime) -> None:
    assert ends_with(f'date < "{until}"' if until else "", validity=validity, cap=timedelta(days=cap)) == ends


def test_r17_a_credential_anywhere_on_the_chain_ends_the_grant(sim: Community) -> None:
    sim.policy("hub", 'topic == "incidents"')
    sim.delegate("hub", "sector", until="20261225")
    sim.delegate("sector", "ann@a.example", until="20261224")
    assert sim.asks("ann@a.example").ends == datetime(2026, 12, 24, tzinfo=UTC)


def test_r17_what_begins_later_ends_a_weaker_grant_so_that_it_is_looked_at_again() -> None:
    sim = Community(levels=("deny", "level-1", "level-2"))
    sim.policy("a.example", value="level-1", operation="federate")
    sim.policy("a.example", 'date >= "20261201"', value="level-2", operation="federate")
    first = sim.asks("a.example", "federate")
    assert (first.value, first.ends) == ("level-1", datetime(2026, 12, 1, tzinfo=UTC))
    sim.sleep(days=11)
    assert sim.asks("a.example", "federate").value == "level-2"


@settings(max_examples=60)
@given(
    st.sampled_from(["date", "time"]),
    st.sampled_from(["<", "<=", "=="]),
    st.integers(0, 20 * 86_400),
    st.sampled_from([4, 6, 8, 10, 12, 14]),
)
def test_r17_at_its_end_and_not_before_the_answer_changes(clock: str, relation: str, seconds: int, digits: int) -> None:
    literal = (NOON + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S")[:digits]
    sim = Community()
    sim.policy("ann@a.example", f'topic == "incidents" && {clock} {relation} "{literal}"')
    first = sim.asks("ann@a.example")
    if first.outcome is not Outcome.GRANTED:
        return
    assert first.ends is not None
    sim.now = first.ends - timedelta(seconds=1)
    assert sim.asks("ann@a.example").value == "allow"
    sim.now = first.ends
    if first.ends < NOON + timedelta(days=90):
        assert sim.asks("ann@a.example").value == "deny"


def test_r17_only_grants_end(sim: Community) -> None:
    sim.policy("ann@a.example", 'topic == "incidents" && date < "20261201"', value="ask")
    assert sim.asks("ann@a.example").ends is None
    assert sim.asks("eve@c.example").ends is None


# -- the period -------------------------------------------------------------------------------------------


def test_r17_the_period_is_always_set_and_the_longest_where_none_is_asked_for(sim: Community) -> None:
    """Unset it would read as 0, and `@ValidityPeriod <= 86400` would hold of a grant without end."""
    where = "@ValidityPeriod <= 86400"
    assert plain([assertion("POLICY", "ann@a.example", where)], "ann@a.example", {}).value == "allow", "the hole"
    sim.policy("ann@a.example", f'topic == "incidents" && {where}')
    assert sim.asks("ann@a.example").value == "deny"
    assert [sim.asks("ann@a.example", validity=seconds).value for seconds in (86_400, 86_401)] == ["allow", "deny"]


def test_r17_a_period_is_never_claimed_only_asked_for(sim: Community) -> None:
    sim.policy("ann", operation="approve")
    assert sim.asks("ann", "approve", claims={"ValidityPeriod": "1"}).reason.code == "malformed-request"


# -- `@time` ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    ["@time < 2000000000", '@time > 1 && topic == "x"', "@(time) >= 0", '@("" . time) > 0', '@$"time" > 0', "1 + @time > 0", "-@time < 0"],
)
def test_r17_time_as_a_number_is_refused_when_loaded(where: str) -> None:
    raw = assertion("POLICY", "ann@a.example", f'operation == "subscribe" && {where}')
    assert plain([raw], "ann@a.example", {"operation": "subscribe", "topic": "x"}).value == "deny", "a clause that would never hold"
    with pytest.raises(ClockAsNumber, match="does not fit KeyNote's 32-bit integers") as refused:
        check_policy(admit(raw, policy=True), "topics")
    assert (refused.value.code, refused.value.line) == ("clock-as-number", 3)


def test_r17_a_date_fits_and_so_does_time_as_a_float() -> None:
    for where in ("@date < 20270101", "&time < 20270101000000.0"):
        check_policy(admit(assertion("POLICY", "ann@a.example", f'operation == "subscribe" && {where}'), policy=True), "topics")


# -- the clock --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))], ids=str)
def test_r17_the_clock_is_utc_wherever_the_machine_stands(zone: timezone) -> None:
    sim = Community(NOON.astimezone(zone))
    sim.policy("ann@a.example", 'topic == "incidents" && date == "20261120" && time == "20261120120000"')
    assert sim.asks("ann@a.example").ends == NOON + timedelta(seconds=1)


def test_r17_a_clock_that_is_behind_grants_nothing_and_denies_nothing(sim: Community) -> None:
    sim.policy("ann@a.example", 'topic == "incidents" && date < "20261121"')
    sim.sleep(days=1)
    assert sim.asks("ann@a.example").value == "deny"
    sim.sleep(days=-1)
    decision = sim.asks("ann@a.example")
    assert (decision.outcome, decision.value, decision.reason.code) == (Outcome.UNANSWERED, "deny", "clock-behind")
    assert isinstance(sim.journal.story[-1], LeavePending)
    assert "set the clock right" in decision.reason.text


def test_r17_the_highest_time_is_that_of_any_decision_and_outlives_the_desk(sim: Community) -> None:
    sim.sleep(days=2)
    sim.asks("eve@c.example", without=["topic"])
    later = Community()
    later.policy("ann@a.example", 'topic == "incidents"')
    later.desk.ledger = sim.journal
    assert rule(request("ann@a.example"), later.ready(), now=NOON).reason.code == "clock-behind"
    assert rule(request("ann@a.example"), later.ready(), now=NOON + timedelta(days=2)).outcome is Outcome.GRANTED


@pytest.mark.parametrize(
    "back, outcome", [(0.0, Outcome.GRANTED), (1.0, Outcome.GRANTED), (1.001, Outcome.UNANSWERED), (3_600.0, Outcome.UNANSWERED)]
)
def test_r17_time_synchronisation_may_step_back_a_second(sim: Community, back: float, outcome: Outcome) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"')
    sim.asks("ann@a.example")
    sim.sleep(seconds=-back)
    assert sim.asks("ann@a.example").outcome is outcome
