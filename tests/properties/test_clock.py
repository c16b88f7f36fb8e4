"""`stable_until`: the clock changes no answer before it, and every answer only at it (authority rule R17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from clearinghouse.keynote import Assertions, Proof, admit, print_assertion, syntax
from clearinghouse.keynote.clock import clock_attributes, clock_use, instant_of, next_change
from clearinghouse.keynote.limits import Limits
from tests.properties import strategies as kn

START = datetime(2026, 12, 30, 23, 59, 57, tzinfo=UTC)
SECOND = timedelta(seconds=1)
VALUES = ("deny", "ask", "allow")
PATIENT = Limits(steps=10**9)

offsets = st.integers(-3, 12) | st.integers(-90_000, 90_000) | st.integers(-400, 400).map(lambda days: days * 86_400)
instants = offsets.map(lambda seconds: START + timedelta(seconds=seconds))
stamps = st.one_of(
    instants.map(lambda at: at.strftime("%Y%m%d")),
    instants.map(lambda at: at.strftime("%Y%m%d%H%M%S")),
    st.sampled_from(("", "2", "2027", "202612310", "20261231x", "99999999", "20261301")),
)
clocks = st.sampled_from((syntax.Attribute("date"), syntax.Attribute("time")))
relations = st.sampled_from(("==", "!=", "<", ">", "<=", ">="))

comparisons = st.builds(syntax.TextRelation, relations, clocks, stamps.map(syntax.Literal))
comparisons |= st.builds(syntax.TextRelation, relations, stamps.map(syntax.Literal), clocks)
comparisons |= st.builds(syntax.TextRelation, relations, clocks, st.just(syntax.Attribute("until")))
odd_uses: st.SearchStrategy[syntax.Test] = st.one_of(
    st.builds(syntax.TextRelation, relations, clocks, clocks),
    st.builds(syntax.Match, clocks, st.sampled_from(("3$", "^2027", "(58|59)$", "00$")).map(syntax.Literal)),
    st.builds(syntax.TextRelation, relations, st.just(syntax.Indirect(syntax.Literal("time"))), stamps.map(syntax.Literal)),
    st.builds(
        syntax.IntegerRelation, st.just("=="), st.just(syntax.ToInteger(syntax.Attribute("date"))), st.just(syntax.Integer(20261231))
    ),
)


def combined(parts: st.SearchStrategy[syntax.Test]) -> st.SearchStrategy[syntax.Test]:
    return st.one_of(parts, parts.map(syntax.Not), st.lists(parts, min_size=2, max_size=3).map(lambda found: syntax.Or(tuple(found))))


def programs_over(parts: st.SearchStrategy[syntax.Test]) -> st.SearchStrategy[syntax.Program]:
    clause = st.builds(syntax.Clause, combined(parts), st.sampled_from((None, syntax.Literal("ask"), syntax.Literal("allow"))))
    return st.lists(clause, min_size=1, max_size=3).map(lambda clauses: syntax.Program(tuple(clauses)))


def ask(assertions: Assertions, now: datetime, *authorizers: str) -> Proof:
    return assertions.query(authorizers=authorizers or ("K",), action=clock_attributes(now), values=VALUES)


def holding(program: syntax.Program, until: str) -> Assertions:
    policy = admit(kn.assertion_of(program, constants=(("until", until),)), policy=True)
    return Assertions(policies=[policy], limits=PATIENT)


@given(programs_over(comparisons), stamps, instants, st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_the_value_is_constant_until_then(program: syntax.Program, until: str, now: datetime, places: list[float]) -> None:
    """Sampled from now to the second before; compared with a literal the instant is exact."""
    assertions = holding(program, until)
    proof = ask(assertions, now)
    end = proof.stable_until or now + timedelta(days=2_000)
    assert end > now
    last = int((end - now).total_seconds()) - 1
    for second in {0, 1, 2, last - 1, last, *(int(place * last) for place in places)}:
        if 0 <= second <= last:
            assert ask(assertions, now + second * SECOND).level == proof.level


@given(programs_over(comparisons), stamps, instants)
def test_every_change_of_value_is_foretold(program: syntax.Program, until: str, now: datetime) -> None:
    """Walking from one `stable_until` to the next ends, and meets every value that a walk by days and seconds meets."""
    assertions = holding(program, until)
    steps = {now: ask(assertions, now).level}
    at: datetime | None = now
    while at is not None:
        proof = ask(assertions, at)
        steps[at] = proof.level
        at = proof.stable_until
        assert len(steps) < 100
    for days in (*range(0, 900, 7), 1, 2, 3):
        instant = now + timedelta(days=days)
        assert ask(assertions, instant).level == steps[max(step for step in steps if step <= instant)]
    for seconds in range(20):
        instant = now + seconds * SECOND
        assert ask(assertions, instant).level == steps[max(step for step in steps if step <= instant)]


@given(kn.delegations(), st.data(), instants)
def test_a_delegation_changes_only_when_foretold(trees: list[syntax.Assertion], data: st.DataObject, now: datetime) -> None:
    """Also where the clock opens a way to principals that nobody reached before."""
    timed = [
        syntax.Assertion(tree.authorizer, tree.licensees, data.draw(st.none() | programs_over(comparisons)), (("until", "20270101"),))
        for tree in trees
    ]
    assertions = Assertions(policies=[admit(print_assertion(tree).encode("latin-1"), policy=True) for tree in timed], limits=PATIENT)
    proof = ask(assertions, now, "p0", "p1")
    ahead = [now + seconds * SECOND for seconds in range(20)] + [now + timedelta(days=days) for days in (1, 2, 3, 30, 200, 401, 900)]
    for instant in sorted(ahead):
        if proof.stable_until is not None and proof.stable_until <= instant:
            break
        assert ask(assertions, instant, "p0", "p1").level == proof.level


@given(programs_over(comparisons | odd_uses), stamps, instants)
def test_any_other_use_of_the_clock_is_looked_at_again_at_its_next_tick(program: syntax.Program, until: str, now: datetime) -> None:
    assertions = holding(program, until)
    at, level = now, ask(assertions, now).level
    for seconds in range(1, 12):
        instant = now + seconds * SECOND
        proof = ask(assertions, at)
        if proof.stable_until is not None and proof.stable_until <= instant:
            at, level = instant, ask(assertions, instant).level
        assert ask(assertions, instant).level == level


@given(st.text(kn.OCTETS, max_size=3).map(lambda text: "2026" + text), instants)
@example("99991231", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
def test_no_text_and_no_instant_is_beyond_it(text: str, now: datetime) -> None:
    node = syntax.TextRelation("==", syntax.Attribute("time"), syntax.Attribute("date"))
    use = clock_use(syntax.And((node, syntax.TextRelation("<", syntax.Attribute("date"), syntax.Literal(text)))), {})
    found = next_change(use, now)
    assert found is None or found > now


@given(instants)
def test_attributes_state_their_instant(now: datetime) -> None:
    assert instant_of(clock_attributes(now)) == now
    assert instant_of({"date": clock_attributes(now)["date"]}) == now.replace(hour=0, minute=0, second=0)
