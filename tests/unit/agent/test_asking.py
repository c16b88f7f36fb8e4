"""When a member's agent is asked: one question for a pair at a time, pauses after a no, budgets, and never about itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clearinghouse.agent.asking.asker import outcome_of
from clearinghouse.agent.asking.when import (
    EACH_USER,
    FIRST_PAUSE,
    GRANTED_PAUSE,
    IN_ALL,
    LONGEST_PAUSE,
    MAX_REMEMBERED,
    MAX_WAITING,
    PENDING_PAUSE,
    SETTLING,
    Ask,
    Asking,
    Budgets,
    Matter,
    Outcome,
    Pair,
    Refuse,
    Release,
    matter_in,
)
from clearinghouse.agent.granting.answers import Answer
from clearinghouse.clearing.senders import Rate
from tests.world import NOON

PAIR = Pair("a.example", "b.example")
ANN = Matter(PAIR, "ann@a.example", "bob@b.example", "message", "peer")
EVENT = {
    "event": "refused",
    "held": "h1",
    "image": "a.example",
    "local": "a.example",
    "remote": "b.example",
    "user": "ann@a.example",
    "to": "bob@b.example",
    "kind": "message",
    "by": "peer",
    "text": "",
}
MEMBERS = frozenset({"b.example", "c.example"})
NO = Outcome(reason="no")
SECOND = timedelta(seconds=1)


@pytest.fixture
def asking() -> Asking:
    return Asking(frozenset({"agent.a.example"}), MEMBERS.__contains__)


def of(user: str = "ann", kind: str = "message") -> Matter:
    return Matter(PAIR, f"{user}@a.example", "bob@b.example", kind, "peer")


def test_a_held_stanza_becomes_one_question(asking: Asking) -> None:
    assert asking.hear(ANN, "h1", NOON) == (Ask(ANN),)
    assert asking.hear(ANN, "h2", NOON) == ()
    assert asking.answered(ANN, Outcome(granted=NOON + timedelta(hours=1)), NOON) == (Release("h1"), Release("h2"))
    assert asking.in_hand == 0


def test_a_refusal_reaches_the_user_with_its_reason(asking: Asking) -> None:
    asking.hear(ANN, "h1", NOON)
    assert asking.answered(ANN, NO, NOON) == (Refuse("h1", "no"),)


def test_where_nobody_is_asked_the_user_reads_the_first_reason(asking: Asking) -> None:
    """Whether somebody could be asked matters less to a user than why it was refused."""
    said = "level level-1 is not admitted here (table 1.2)"
    for event in (EVENT | {"remote": "x.example", "to": "bob@x.example"}, EVENT | {"to": "agent.a.example", "remote": "agent.a.example"}):
        found = matter_in(event | {"text": said})
        assert found is not None
        assert asking.hear(*found, NOON) == (Refuse("h1", said),)


def test_a_no_comes_after_the_reason_that_was_asked_about() -> None:
    found = matter_in(EVENT | {"text": "shut out by this site for the time being (table 1.2)"})
    assert found is not None
    answer = Answer("7f", "refused", "deny", "refused", reason="a.example does not grant this")
    said = "shut out by this site for the time being (table 1.2); a.example does not grant this (decision 7f)"
    assert outcome_of(answer, found[0]) == Outcome(reason=said)


def test_what_kept_us_from_asking_comes_after_the_first_reason(asking: Asking) -> None:
    asking.budgets = Budgets(each=Rate(0, 1))
    found = matter_in(EVENT | {"text": "not admitted\x07"})
    assert found is not None
    [step] = asking.hear(*found, NOON)
    assert isinstance(step, Refuse)
    assert step.reason.startswith("not admitted")
    assert step.reason.endswith("; too much was asked from here, try again later")


def test_another_user_of_the_same_pair_waits_for_the_turn(asking: Asking) -> None:
    asking.hear(ANN, "h1", NOON)
    assert asking.hear(of("carl"), "h2", NOON) == ()
    assert asking.hear(of("ann", kind="presence"), "h3", NOON) == ()
    assert asking.answered(ANN, NO, NOON) == (Refuse("h1", "no"), Ask(of("carl")))
    assert asking.answered(of("carl"), NO, NOON) == (Refuse("h2", "no"), Ask(of("ann", kind="presence")))
    assert asking.in_hand == 1


def test_other_pairs_do_not_wait(asking: Asking) -> None:
    asking.hear(ANN, "h1", NOON)
    other = Matter(Pair("a.example", "c.example"), "ann@a.example", "eve@c.example", "message", "peer")
    assert asking.hear(other, "h2", NOON) == (Ask(other),)


def test_pauses_after_refusals_double(asking: Asking) -> None:
    now, pause = NOON, FIRST_PAUSE
    for _ in range(8):
        assert asking.hear(ANN, "h", now) == (Ask(ANN),)
        asking.answered(ANN, NO, now)
        assert asking.hear(ANN, "h", now + pause - SECOND) == (Refuse("h", "no"),)
        now, pause = now + pause, min(2 * pause, LONGEST_PAUSE)


def test_where_a_person_decides_it_is_asked_again_in_minutes(asking: Asking) -> None:
    asking.hear(ANN, "h", NOON)
    asking.answered(ANN, Outcome(reason="a person decides", soon=True), NOON)
    assert asking.hear(ANN, "h", NOON + PENDING_PAUSE - SECOND) == (Refuse("h", "a person decides"),)
    assert asking.hear(ANN, "h", NOON + PENDING_PAUSE) == (Ask(ANN),)


def test_what_is_granted_is_sent_again_and_not_asked_again(asking: Asking) -> None:
    """The other server may not have heard of it yet."""
    asking.hear(ANN, "h0", NOON)
    asking.answered(ANN, Outcome(granted=NOON + timedelta(hours=1)), NOON)
    for number, seconds in enumerate(SETTLING, start=1):
        assert asking.hear(ANN, f"h{number}", NOON) == (Release(f"h{number}", seconds),)
    [last] = asking.hear(ANN, "h9", NOON)
    assert isinstance(last, Refuse)


def test_a_grant_that_does_not_help_is_asked_for_anew_and_more_seldom_each_time(asking: Asking) -> None:
    """It was withdrawn there, or opens something else than what we send."""
    now, pause, until = NOON, GRANTED_PAUSE, NOON + timedelta(days=9)
    for _ in range(12):
        assert asking.hear(ANN, "h", now) == (Ask(ANN),)
        asking.answered(ANN, Outcome(granted=until), now)
        [step] = asking.hear(ANN, "h", now + pause - SECOND)
        assert isinstance(step, Release)
        now, pause = now + pause, min(2 * pause, LONGEST_PAUSE)


def test_an_answer_of_another_kind_begins_anew(asking: Asking) -> None:
    asking.hear(ANN, "h", NOON)
    asking.answered(ANN, NO, NOON)
    asking.hear(ANN, "h", NOON + FIRST_PAUSE)
    asking.answered(ANN, Outcome(granted=NOON + timedelta(hours=1)), NOON + FIRST_PAUSE)
    assert asking.hear(ANN, "h", NOON + FIRST_PAUSE + GRANTED_PAUSE) == (Ask(ANN),)


def test_a_grant_that_has_ended_is_asked_for_anew(asking: Asking) -> None:
    asking.hear(ANN, "h0", NOON)
    asking.answered(ANN, Outcome(granted=NOON + 9 * SECOND), NOON)
    assert asking.hear(ANN, "h1", NOON + 9 * SECOND) == (Ask(ANN),)


def test_ten_thousand_random_subdomains_cause_no_request_and_leave_nothing_behind(asking: Asking) -> None:
    for number in range(10_000):
        remote = f"x{number}.b.example"
        matter = Matter(Pair("a.example", remote), "ann@a.example", f"u@{remote}", "message", "peer")
        [step] = asking.hear(matter, "h", NOON)
        assert isinstance(step, Refuse)
    assert asking.in_hand == 0
    assert asking.hear(ANN, "h", NOON) == (Ask(ANN),), "nor have they used up anybody's budget"


@pytest.mark.parametrize(
    "matter",
    [
        Matter(PAIR, "x@agent.a.example", "bob@b.example", "iq", "peer"),
        Matter(Pair("agent.a.example", "b.example"), "agent.a.example", "agent.b.example", "iq", "peer"),
    ],
)
def test_what_the_agent_itself_sends_is_never_asked_about(asking: Asking, matter: Matter) -> None:
    [step] = asking.hear(matter, "h", NOON)
    assert isinstance(step, Refuse)


def test_a_user_has_a_budget_and_so_have_all_together() -> None:
    asking = Asking(frozenset(), lambda _: True)

    def asks(user: str, number: int) -> bool:
        remote = f"d{number}.example"
        matter = Matter(Pair("a.example", remote), f"{user}@a.example", f"x@{remote}", "message", "peer")
        [step] = asking.hear(matter, "h", NOON)
        return isinstance(step, Ask)

    assert [asks("ann", number) for number in range(EACH_USER.burst + 5)].count(True) == EACH_USER.burst
    assert [asks(f"user{number}", 1_000 + number) for number in range(IN_ALL.burst)].count(True) == IN_ALL.burst - EACH_USER.burst


def test_budgets_come_back_with_time() -> None:
    budgets = Budgets(Rate(1, 1 / 60), Rate(9, 1))
    assert [budgets.take("ann", NOON), budgets.take("ann", NOON + 59 * SECOND), budgets.take("ann", NOON + 60 * SECOND)] == [
        True,
        False,
        True,
    ]
    assert not budgets.take("ann", NOON), "a clock that went back gives nothing"


def test_only_so_many_stanzas_wait_for_one_pair(asking: Asking) -> None:
    asking.hear(ANN, "h", NOON)
    steps = [asking.hear(of(f"user{number}"), "h", NOON) for number in range(MAX_WAITING)]
    assert steps[: MAX_WAITING - 1] == [()] * (MAX_WAITING - 1)
    assert isinstance(steps[-1][0], Refuse)


def test_answers_are_remembered_up_to_a_limit() -> None:
    many = Budgets(Rate(10**6, 1), Rate(10**6, 1))
    asking = Asking(frozenset(), lambda _: True, many)
    for number in range(MAX_REMEMBERED + 1):
        matter = of(f"user{number}")
        asking.hear(matter, "h", NOON)
        asking.answered(matter, NO, NOON)
    assert asking.hear(of("user0"), "h", NOON) == (Ask(of("user0")),), "the oldest is forgotten"
    assert asking.hear(of("user2"), "h", NOON) == (Refuse("h", "no"),)


# -- events -------------------------------------------------------------------------------------------------


def test_an_event_of_the_module_is_read() -> None:
    assert matter_in(EVENT) == (ANN, "h1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"held": 1},
        {"user": "ann@b.example"},
        {"user": "a.example"},
        {"to": "bob@c.example"},
        {"kind": "*"},
        {"kind": "stanza"},
        {"by": "nobody"},
        {"remote": "B.example", "to": "bob@B.example"},
    ],
    ids=str,
)
def test_an_event_that_is_not_right_is_none(wrong: dict[str, Any]) -> None:
    assert matter_in(EVENT | wrong) is None


@pytest.mark.parametrize("name", ["held", "local", "remote", "user", "to", "kind", "by"])
def test_an_event_with_less_is_none(name: str) -> None:
    assert matter_in({each: value for each, value in EVENT.items() if each != name}) is None
