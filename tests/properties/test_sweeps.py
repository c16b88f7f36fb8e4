"""A loop over many subjects gives each what its own condition gives, and what is read without a request is what is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.keynote import Admitted, admit, print_assertion, syntax
from clearinghouse.keynote.clock import next_change
from clearinghouse.keynote.context import Context, context_of
from clearinghouse.keynote.evaluation import evaluated
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.sweeps import sweep_of
from clearinghouse.keynote.uses import clock_of, uses_of
from tests.properties import strategies as kn

PATIENT = Limits(steps=10**9)
SUBJECTS = ("a", "b", "role", "7", "")

compared = st.builds(
    syntax.TextRelation, st.sampled_from(("==", "!=", "<", ">=")), kn.literals, st.sampled_from(kn.NAMES).map(syntax.Attribute)
)
tests = st.recursive(
    compared | st.booleans().map(syntax.Truth),
    lambda inner: (
        inner.map(syntax.Not)
        | st.lists(inner, min_size=2, max_size=3).map(lambda found: syntax.And(tuple(found)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda found: syntax.Or(tuple(found)))
    ),
    max_leaves=4,
)
clauses = st.builds(syntax.Clause, tests, st.none() | st.sampled_from(kn.VALUES).map(syntax.Literal) | kn.attributes)
comparing = st.lists(clauses, max_size=3).map(lambda found: syntax.Program(tuple(found)))


def admitted(program: syntax.Program, constants: tuple[tuple[str, str], ...], author: str = "x") -> Admitted:
    tree = syntax.Assertion(syntax.Literal(author), syntax.Principal(syntax.Literal("K")), program, constants)
    return admit(print_assertion(tree).encode("latin-1"), policy=True)


def asked(action: dict[str, str], values: Sequence[str]) -> Context:
    return context_of(["K"], action, values, PATIENT)


def level(assertion: Admitted, context: Context) -> int:
    return context.top if assertion.function is None else assertion.function(context, assertion.constants)


@given(st.lists(st.tuples(comparing | kn.programs, kn.constants), min_size=1, max_size=3), kn.actions, kn.value_sets)
def test_a_sweep_is_asking_one_by_one(
    programs: list[tuple[syntax.Program, tuple[tuple[str, str], ...]]], action: dict[str, str], values: list[str]
) -> None:
    own = tuple(admitted(*each, author=f"x{number}") for number, each in enumerate(programs))
    sweep = sweep_of(tuple(each.function for each in own if each.function is not None), "role")
    if sweep is None:
        return
    wanted = {}
    for subject in SUBJECTS:
        context = asked(action | {"role": subject}, values)
        wanted[subject] = tuple(part for each in own for part in (each.authorizer, level(each, context)))
    outcomes = {each: each for each in wanted.values()}
    assert sweep(asked(action, values), dict.fromkeys(SUBJECTS, own), outcomes) == list(wanted.values())


@given(comparing, kn.constants)
def test_whatever_only_compares_is_swept(program: syntax.Program, constants: tuple[tuple[str, str], ...]) -> None:
    found = admitted(program, constants)
    specials = any(isinstance(node, syntax.Attribute) and node.name.startswith("_") for node in syntax.nodes(program))
    assert specials or found.function is None or sweep_of((found.function,), "role") is not None


@given(kn.programs, kn.constants, kn.actions, kn.value_sets)
def test_what_is_read_is_among_what_can_be_read(
    program: syntax.Program, constants: tuple[tuple[str, str], ...], action: dict[str, str], values: list[str]
) -> None:
    found = admitted(program, constants)
    uses = uses_of(found)
    read = set(evaluated(asked(action, values), found).reads)
    assert uses.anything or read <= uses.attributes | uses.specials


@given(kn.programs, kn.constants)
def test_the_clock_is_read_as_the_tree_says(program: syntax.Program, constants: tuple[tuple[str, str], ...]) -> None:
    found, now = admitted(program, constants), datetime(2026, 11, 20, tzinfo=UTC)
    ours, theirs = clock_of(found), found.clock_use()
    assert ours.tick == theirs.tick
    assert sorted(ours.comparisons) == sorted(theirs.comparisons)
    assert next_change(ours, now) == next_change(theirs, now)
