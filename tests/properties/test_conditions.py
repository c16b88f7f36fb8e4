"""The compiled function of a condition is the readable evaluator, only faster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.keynote import parse, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.compiler import Constants, Function
from clearinghouse.keynote.conditions import Environment, evaluate
from clearinghouse.keynote.context import Context, context_of
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.reader import read
from clearinghouse.keynote.shapes import Shaped, Shapes, interpreted
from tests.properties import strategies as kn

LIMITS = Limits()
QUESTIONS = kn.questions(("K", "xmpp:a@b.example", "L"))


def context_for(question: kn.Question) -> Context:
    return context_of(question.authorizers, question.action, question.values, LIMITS, Budget(10**9))


def compiled(raw: bytes, shapes: Shapes, names: dict[str, str]) -> tuple[Function, Constants]:
    """Return what admission would run for the conditions in *raw*."""
    reading = read(raw, shapes, learn=True, limits=LIMITS, budget=Budget(10**9))
    if isinstance(reading.conditions, Shaped):
        return reading.conditions.shape.function, reading.conditions.constants(names)
    assert reading.conditions is not None
    return interpreted(reading.conditions, names)


def readable(raw: bytes, question: kn.Question) -> int:
    """Return the level that the readable evaluator gives."""
    tree = parse(raw)
    return evaluate(tree.conditions, Environment(context_for(question), dict(tree.constants)))


@given(kn.programs, kn.constants, QUESTIONS)
def test_compiled_and_readable_give_the_same_level(
    program: syntax.Program, constants: tuple[tuple[str, str], ...], question: kn.Question
) -> None:
    raw = kn.assertion_of(program, constants=constants)
    function, values = compiled(raw, Shapes(), dict(constants))
    assert function(context_for(question), values) == readable(raw, question)


@given(kn.programs, st.data(), QUESTIONS)
def test_a_known_shape_computes_with_the_literals_of_the_text_at_hand(
    program: syntax.Program, data: st.DataObject, question: kn.Question
) -> None:
    shapes = Shapes()
    first = kn.assertion_of(program)
    compiled(first, shapes, {})
    second = data.draw(kn.with_other_literals(first, spare=False))
    function, values = compiled(second, shapes, {})
    assert function(context_for(question), values) == readable(second, question)


@given(kn.tests, QUESTIONS)
def test_a_clause_is_true_false_or_faulty_in_both(test: syntax.Test, question: kn.Question) -> None:
    """Both branches end in a value, so a clause that raises is told from one that is false."""
    both = syntax.Program((syntax.Clause(test, None), syntax.Clause(syntax.Not(test), syntax.Literal(question.values[-1]))))
    raw = kn.assertion_of(both)
    function, values = compiled(raw, Shapes(), {})
    assert function(context_for(question), values) == readable(raw, question)


@given(kn.programs, kn.words)
def test_no_literal_enters_generated_source(program: syntax.Program, word: str) -> None:
    """Two programs of one shape share one function object, whatever their literals say."""
    shapes = Shapes()
    clause = syntax.Clause(syntax.TextRelation("==", syntax.Attribute("a"), syntax.Literal(word)), None)
    other = syntax.Clause(syntax.TextRelation("==", syntax.Attribute("a"), syntax.Literal("fixed")), None)
    one, _ = compiled(kn.assertion_of(syntax.Program((*program.clauses, clause))), shapes, {})
    two, _ = compiled(kn.assertion_of(syntax.Program((*program.clauses, other))), shapes, {})
    assert one is two or len(shapes) == 0


@given(kn.programs, QUESTIONS)
def test_evaluation_reads_what_it_depends_on(program: syntax.Program, question: kn.Question) -> None:
    """Changing an attribute that was not read changes nothing (authority rule R20)."""
    raw = kn.assertion_of(program)
    tree = parse(raw)
    env = Environment(context_for(question), {})
    level = evaluate(tree.conditions, env)
    changed = {name: value if name in env.reads else value + "x" for name, value in question.action.items()}
    added = {name: "x" for name in kn.NAMES if name not in env.reads and name not in changed}
    other = kn.Question(question.authorizers, changed | added, question.values)
    assert readable(raw, other) == level
