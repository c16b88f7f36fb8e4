"""Accounts of work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.clearing.senders import Account, Rate, SenderBudgets
from clearinghouse.errors import BudgetExhausted

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EACH, TOGETHER = Rate(1_000, 10), Rate(2_000, 100)


def budgets() -> SenderBudgets:
    return SenderBudgets(each=EACH, together=TOGETHER, share=100)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_new_sender_has_all_of_its_account() -> None:
    assert budgets().allowance("ann", NOW) == 1_000


def test_work_is_paid_for_and_comes_back_with_time() -> None:
    senders = budgets()
    senders.charge("ann", 900, NOW)
    assert [senders.allowance("ann", after(seconds)) for seconds in (0, 10, 90, 9_000)] == [100, 200, 1_000, 1_000]


def test_who_has_used_it_up_waits() -> None:
    senders = budgets()
    senders.charge("ann", 1_500, NOW)
    with pytest.raises(BudgetExhausted, match="some seconds"):
        senders.allowance("ann", after(50))
    assert senders.allowance("ann", after(60)) == 100
    assert senders.allowance("bob", NOW) == 1_000


def test_in_a_storm_everybody_has_a_share_and_no_more() -> None:
    senders = budgets()
    for n in range(2):
        senders.charge(f"eve-{n}", 1_000, NOW)
    assert senders.allowance("ann", NOW) == 100
    senders.charge("ann", 60, NOW)
    assert senders.allowance("ann", NOW) == 40
    senders.charge("ann", 40, NOW)
    with pytest.raises(BudgetExhausted):
        senders.allowance("ann", NOW)
    assert senders.allowance("bob", NOW) == 100
    assert senders.allowance("ann", after(2)) == 920, "the storm is over"


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    account = Account(EACH, NOW)
    account.charge(500, NOW)
    account.charge(0, after(-100))
    assert account.left(NOW) == 500
    assert account.left(after(-1)) == 500


def test_ten_thousand_senders_are_remembered() -> None:
    senders = budgets()
    for n in range(10_050):
        senders.charge(f"eve-{n}", 1, NOW)
    assert len(senders._accounts) == 10_000


def test_explanations_have_an_account_of_their_own() -> None:
    senders = SenderBudgets()
    assert [senders.explains(30_000, NOW) for _ in range(3)] == [True, True, False]
    assert senders.explains(30_000, after(3))
    assert senders.allowance("ann", NOW) == 50_000


@given(st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 200))))
def test_an_account_never_holds_more_than_its_burst_nor_gives_more_than_its_rate(work: list[tuple[int, int]]) -> None:
    account, now, spent = Account(EACH, NOW), NOW, 0
    for steps, seconds in work:
        now += timedelta(seconds=seconds)
        left = account.left(now)
        assert left <= EACH.burst
        taken = min(steps, max(0, left))
        account.charge(taken, now)
        spent += taken
        assert spent <= EACH.burst + EACH.per_second * (now - NOW).total_seconds()
