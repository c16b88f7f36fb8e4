"""What `make bench` relies on; nothing here is timed."""

from __future__ import annotations

import pytest

from clearinghouse.keynote import Limits, Proof, admit
from tests.benchmarks.community import DEPTHS, FACTS, VALUES, Chain, members
from tests.benchmarks.federation import Federation, Turned, queried
from tests.benchmarks.fleet import measured
from tests.benchmarks.hostile import answered, base, explained
from tests.benchmarks.hostile_inputs import INPUTS
from tests.benchmarks.measure import Effort, Side, WrongAnswer, race
from tests.benchmarks.report import Goal
from tests.benchmarks.tables import Elements, Lists, Published, table_of

LIMITS = Limits()
ONCE = Effort(rounds=1, batch_seconds=0.0, crowd=1, repeats=1)
ANSWERS = {*VALUES, "budget-exhausted", "too-large", "bad-query", *(f"{value}, budget-exhausted" for value in VALUES)}


def test_a_wrong_answer_is_not_timed() -> None:
    with pytest.raises(WrongAnswer, match="`two` answers 2 instead of 1"):
        race([Side("two", lambda: 2, 1)], ONCE)


def test_each_side_has_a_median() -> None:
    assert set(race([Side("one", lambda: 1, 1), Side("two", lambda: 2, 2)], ONCE)) == {"one", "two"}


@pytest.mark.parametrize(
    "goal, verdict",
    [
        (Goal("g", "at least", 5.0, 5.0), "reached"),
        (Goal("g", "at least", 5.0, 4.0), "missed by 20%"),
        (Goal("g", "at most", 2.0, 2.0), "reached"),
        (Goal("g", "at most", 2.0, 2.5), "missed by 25%"),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_goals(goal: Goal, verdict: str) -> None:
    assert goal.verdict == verdict


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_link_of_a_chain_counts(depth: int) -> None:
    chain = Chain(depth)
    assertions = chain.loaded(tuple(map(admit, members(3))))
    assert assertions.query(authorizers=chain.requesters, action=FACTS, values=VALUES).value == "allow"
    for name in FACTS:
        wrong = FACTS | {name: "6000" if name == "port" else "1"}
        assert assertions.query(authorizers=chain.requesters, action=wrong, values=VALUES).value == "deny"


@pytest.mark.parametrize("audits, levels", [(False, {"level-1"}), (True, {"level-2", "level-3"})])
def test_every_member_of_the_federation_has_the_level_that_a_query_gives(audits: bool, levels: set[str]) -> None:  # noqa: FBT001 - as it is measured
    federation = Federation(300, audits=audits)
    rows = federation.book().rows()
    assert [rows[each.domain] for each in federation.members[:100]] == queried(federation, 100)()
    assert (len(rows), set(rows.values())) == (300, levels)
    assert len(Federation(300, narrowed=True).book().rows()) == 300


def test_the_same_hundred_credentials_change_each_time() -> None:
    federation = Federation(300)
    book = federation.book()
    book.rows()
    turned = Turned(federation, book)
    assert [turned.change() for _ in range(3)] == [50, 50, 50]


def test_every_hostile_request_is_within_the_limits_and_answered() -> None:
    assertions = base()
    for name, make in INPUTS.items():
        request = make()
        sizes = [len(raw) for raw in request.credentials]
        assert len(sizes) <= LIMITS.assertions, name
        assert max(sizes) <= LIMITS.assertion_bytes, name
        assert sum(sizes) <= LIMITS.request_bytes, name
        answer = answered(assertions, request)
        assert isinstance(answer, Proof) or answer in ANSWERS, name
        assert explained(answer) in ANSWERS, name


def test_a_table_as_xml_is_the_same_table() -> None:
    rows = table_of(200)
    assert Lists(rows).rows() == Elements(rows).rows() == rows
    assert Lists(rows).read() == Elements(rows).read() == 200


def test_a_published_table_is_received_whole_and_by_delta() -> None:
    published = Published(300)
    whole, by_delta = published.trusted.copy(), published.trusted.copy()
    whole.update_table(published.table, published.press.now)
    by_delta.update_delta(published.delta, published.press.now)
    assert published.trusted.rows == published.rows
    assert whole.rows == by_delta.rows == published.after


async def test_every_agent_of_a_fleet_applies_every_change() -> None:
    assert len(await measured(rounds=2, count=3, size=5)) == 6
