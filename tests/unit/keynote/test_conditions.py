"""Conditions: what they give (``tests/data/evaluation.toml``), what they read, and why they failed."""

from __future__ import annotations

import pytest

from clearinghouse.errors import BudgetExhausted
from clearinghouse.keynote import Assertions, admit, parse, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.compiler import TooDeep, compile_program
from clearinghouse.keynote.conditions import Environment, Outcome, evaluate, outcomes
from clearinghouse.keynote.context import Context, context_of
from clearinghouse.keynote.limits import Limits
from tests.data import Case, each

VALUES = ("deny", "ask", "allow")


def text_of(case: Case) -> bytes:
    rows = ['Authorizer: "POLICY"', 'Licensees: "K"']
    if "constants" in case:
        rows.append(f"Local-Constants: {case['constants']}")
    if "conditions" in case:
        rows.append(f"Conditions: {case['conditions']}")
    return ("\n".join(rows) + "\n").encode()


def program_of(conditions: str) -> syntax.Program:
    program = parse(f'Authorizer: "K"\nConditions: {conditions}\n'.encode()).conditions
    assert program is not None
    return program


def context(action: dict[str, str] | None = None, *, limits: Limits | None = None, budget: int = 10_000) -> Context:
    return context_of(["K"], action or {}, VALUES, limits or Limits(), Budget(budget))


def evaluated(conditions: str, **action: str) -> tuple[Outcome, ...]:
    return outcomes(program_of(conditions), Environment(context(action), {}))


@each("evaluation")
def test_compiled_evaluation(case: Case) -> None:
    assertions = Assertions(policies=[admit(text_of(case), policy=True)])
    assert assertions.query(authorizers=["K"], action=case.get("action", {}), values=VALUES).value == case["want"]


@each("evaluation")
def test_readable_evaluation(case: Case) -> None:
    tree = parse(text_of(case))
    env = Environment(context(case.get("action")), dict(tree.constants))
    assert VALUES[evaluate(tree.conditions, env)] == case["want"]


# -- outcomes --------------------------------------------------------------------------------------


def test_outcomes_tell_what_became_of_each_clause() -> None:
    held, failed, faulty, odd = evaluated('a == "1" -> "ask"; a == "2"; 1/0 == @a; true -> "perhaps";', a="1")
    assert (held.level, held.held, held.path) == (1, True, (1,))
    assert (failed.level, failed.held, failed.fault) == (0, False, "")
    assert (faulty.level, faulty.held, faulty.fault) == (0, False, "division by zero")
    assert (odd.level, odd.held, odd.said) == (0, True, "perhaps")


def test_outcomes_of_a_block_are_numbered_below_its_clause() -> None:
    _, outer = evaluated('false; true -> { false; true -> "ask"; };')
    assert [inner.path for inner in outer.inner] == [(2, 1), (2, 2)]
    assert outer.level == 1


def test_reads_are_those_of_the_clause_alone() -> None:
    first, second = evaluated('a == "1" && b == "2"; c == "3" -> { d == "4" -> e; };', a="0", c="3", d="4", e="ask")
    assert first.reads == {"a": "0"}
    assert second.reads == {"c": "3", "d": "4", "e": "ask"}


def test_special_attributes_are_read_and_constants_are_not() -> None:
    env = Environment(context({"a": "1"}), {"b": "2"})
    evaluate(program_of('_ACTION_AUTHORIZERS == "K" && b == "2" && _7 == "" && _NONE == "" && gone == "";'), env)
    assert env.reads == {"_ACTION_AUTHORIZERS": "K", "gone": ""}


@pytest.mark.parametrize(
    "conditions,reason",
    [
        ("1/0 == 1;", "division by zero"),
        ("1%0 == 1;", "modulo by zero"),
        ("2147483647 + 1 == 1;", "an integer does not fit 32 bits"),
        ("10.0^400.0 > 1.0;", "a number does not fit a double"),
        ('a ~= "(b";', "without its"),
        ('a ~= "\\\\d";', "write `[0-9]`"),
        ("a . a == a;", "`attribute_bytes`"),
    ],
)
def test_faults_have_a_reason(conditions: str, reason: str) -> None:
    (outcome,) = evaluated(conditions, a="x" * 10_000)
    assert reason in outcome.fault


# -- work ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "conditions,steps",
    [('a . a == "";', 250), ("@a == 0;", 125), ("&a < 0.0;", 125), ('a ~= "(x+)*y";', 250), ("true; true; true;", 3)],
)
def test_work_that_grows_with_a_text_is_paid_for(conditions: str, steps: int) -> None:
    program = program_of(conditions)
    asked = context({"a": "0" * 8_000})
    evaluate(program, Environment(asked, {}))
    assert asked.budget.allowed - asked.budget.left >= steps
    with pytest.raises(BudgetExhausted):
        evaluate(program, Environment(context({"a": "0" * 8_000}, budget=steps - 1), {}))


def test_a_text_is_not_built_beyond_its_limit() -> None:
    limits = Limits(attribute_bytes=10)
    program = program_of('a . b == "0123456789" && a . b . "" == "0123456789";')
    assert evaluate(program, Environment(context({"a": "01234", "b": "56789"}, limits=limits), {})) == 2
    assert outcomes(program, Environment(context({"a": "01234", "b": "567890"}, limits=limits), {}))[0].fault


def test_an_error_in_a_value_costs_its_clause_alone() -> None:
    first, second = evaluated('true -> a . a; true -> "ask";', a="x" * 10_000)
    assert (first.level, first.held, second.level) == (0, False, 1)


# -- what is compiled ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "conditions",
    ["!" * 35 + "true;", "(" * 10 + "@a" + " + 1" * 35 + ")" * 10 + " == 0;", "$" * 35 + 'a == "";', "-" * 35 + "&a < 1.0;"],
)
def test_what_is_nested_too_deep_is_interpreted(conditions: str) -> None:
    with pytest.raises(TooDeep):
        compile_program(program_of(conditions), (), 40)
    policy = admit(f'Authorizer: "POLICY"\nLicensees: "K"\nConditions: {conditions}\n'.encode(), policy=True)
    proof = Assertions(policies=[policy]).query(authorizers=["K"], action={}, values=VALUES)
    assert proof.level == evaluate(program_of(conditions), Environment(context(), {}))


def test_blocks_nested_too_deep_are_interpreted() -> None:
    conditions = "true -> { " * 12 + 'true -> "ask";' + " };" * 12
    with pytest.raises(TooDeep):
        compile_program(program_of(conditions), (), 1)
    assert evaluate(program_of(conditions), Environment(context(), {})) == 1


def test_a_compiled_function_sees_no_builtins() -> None:
    function = compile_program(program_of("a == b;"), (), 0)
    assert function.__globals__["__builtins__"] == {}
