"""From bytes to the tree: bindings, worlds, literals (``tests/data``), and what a tree holds (RFC 2704, 4)."""

from __future__ import annotations

import threading

import pytest

from clearinghouse.errors import BudgetExhausted, MalformedAssertion, TooLarge
from clearinghouse.keynote import parse, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.parser import parse_body
from tests.data import Case, each

A, B = syntax.Attribute("a"), syntax.Attribute("b")


def conditions(body: str) -> syntax.Program:
    program = parse(f'Authorizer: "K"\nConditions: {body}\n'.encode()).conditions
    assert program is not None
    return program


def licensees(body: str) -> syntax.Licensees | syntax.Empty | None:
    return parse(f'Authorizer: "K"\nLicensees: {body}\n'.encode()).licensees


@each("bindings")
def test_binding(case: Case) -> None:
    assert conditions(case["conditions"]) == conditions(case["means"])


@each("types")
def test_types(case: Case) -> None:
    raw = f'Authorizer: "K"\nConditions: {case["conditions"]}\n'.encode()
    if case["legal"]:
        assert parse(raw).conditions is not None
    else:
        with pytest.raises(MalformedAssertion):
            parse(raw)


@each("literals")
def test_literal(case: Case) -> None:
    raw = f"Authorizer: {case['written']}\n".encode()
    if "octets" in case:
        assert parse(raw).authorizer == syntax.Literal(case["octets"])
    else:
        with pytest.raises(MalformedAssertion):
            parse(raw)


# -- the tree --------------------------------------------------------------------------------------


def test_every_field_of_an_assertion() -> None:
    raw = b"""KeyNote-Version: "2"
Comment: the hub speaks
  for the operator
Local-Constants: HUB = "ed25519-hex:00" ROOM = "incidents"
Authorizer: HUB
Licensees: "a" && ("b" || 2-of("c", "d", "c"))
Conditions: topic == ROOM -> "allow";
Signature: "sig-ed25519-hex:" . "00"
"""
    tree = parse(raw)
    assert tree == syntax.Assertion(
        authorizer=syntax.Attribute("HUB"),
        licensees=syntax.AllOf(
            (
                named("a"),
                syntax.AnyOf((named("b"), syntax.Threshold(2, (named("c"), named("d"), named("c"))))),
            )
        ),
        conditions=syntax.Program(
            (syntax.Clause(syntax.TextRelation("==", syntax.Attribute("topic"), syntax.Attribute("ROOM")), syntax.Literal("allow")),)
        ),
        constants=(("HUB", "ed25519-hex:00"), ("ROOM", "incidents")),
        comment="the hub speaks\n  for the operator",
        version=True,
        signature=syntax.Join((syntax.Literal("sig-ed25519-hex:"), syntax.Literal("00"))),
    )
    assert tree.raw == raw
    assert raw[tree.signed_start : tree.signed_end] == raw.partition(b"Signature")[0]


def named(name: str) -> syntax.Principal:
    return syntax.Principal(syntax.Literal(name))


def test_only_authorizer_is_mandatory() -> None:
    assert parse(b'Authorizer: "K"') == syntax.Assertion(syntax.Literal("K"))


def test_a_missing_field_is_none_and_an_empty_one_is_empty() -> None:
    tree = parse(b'Authorizer: "K"\nLicensees:\nConditions: # nothing\nLocal-Constants:\nComment:\n')
    assert tree.licensees == syntax.Empty()
    assert tree.conditions == syntax.Program(())
    assert tree.constants == ()
    assert tree.comment == ""
    assert parse(b'Authorizer: "K"\n').licensees is None


def test_a_run_of_one_operator_is_one_node() -> None:
    parts = tuple(syntax.TextRelation("==", syntax.Attribute(name), syntax.Literal("1")) for name in "abc")
    assert conditions('a == "1" && (b == "1" && c == "1");').clauses[0].test == syntax.And(parts)
    assert conditions('(a == "1" || b == "1") || c == "1";').clauses[0].test == syntax.Or(parts)
    assert licensees('"a" || ("b" || "c")') == syntax.AnyOf((named("a"), named("b"), named("c")))
    assert conditions("a . (b . a) == a;").clauses[0].test == syntax.TextRelation("==", syntax.Join((A, B, A)), A)


def test_and_binds_tighter_than_or_among_licensees() -> None:
    assert licensees('"a" || "b" && "c"') == syntax.AnyOf((named("a"), syntax.AllOf((named("b"), named("c")))))


def test_principals_are_full_texts() -> None:
    wanted = syntax.AnyOf(
        (
            syntax.Principal(syntax.Join((syntax.Literal("a"), B))),
            syntax.Principal(syntax.Indirect(A)),
            syntax.Threshold(1, (syntax.Principal(syntax.Join((A, B))),)),
        )
    )
    assert licensees('"a" . b || $a || 1-OF((a) . b)') == wanted


@pytest.mark.parametrize("body", ['2-of ("a","b")', '2-OF("a" , "b")', '2-of\n ("a",\n # two\n "b")'])
def test_layouts_of_a_threshold(body: str) -> None:
    assert licensees(body) == syntax.Threshold(2, (named("a"), named("b")))


@pytest.mark.parametrize(
    "body", ['2 -of("a","b")', '2- of("a","b")', '2-off("a","b")', '2-of"a"', '-1-of("a")', 'k-of("a")', '1.0-of("a")']
)
def test_what_is_no_threshold(body: str) -> None:
    with pytest.raises(MalformedAssertion):
        licensees(body)


def test_literals_are_numbered_as_they_are_written() -> None:
    program = conditions('a == "x" && @b == 7 -> "y"; &c < 1.5 -> { "z" == d; };')
    found = [node for node in syntax.nodes(program) if isinstance(node, syntax.Literal | syntax.Integer | syntax.Float)]
    assert [node.slot for node in found] == [0, 1, 2, 3, 4]


def test_clauses_know_their_place() -> None:
    raw = b'Authorizer: "K"\nConditions: a == "x";\n  (b == "y") -> { @c == 1; };\n'
    program = parse(raw).conditions
    assert program is not None
    first, second = program.clauses
    assert raw[first.start : first.end] == b'a == "x"'
    assert raw[second.start : second.end].startswith(b'(b == "y")')
    assert isinstance(second.value, syntax.Program)
    assert raw[second.value.clauses[0].start :].startswith(b"@c == 1;")


def test_a_body_is_parsed_on_its_own() -> None:
    assert parse_body("Conditions", 'a == "x";') == conditions('a == "x";')
    with pytest.raises(MalformedAssertion) as told:
        parse_body("Conditions", "\n a = b;")
    assert (told.value.line, told.value.column) == (2, 4)


# -- limits and threads ----------------------------------------------------------------------------


def test_budget_is_spent_by_the_token_before_the_work() -> None:
    raw = b'Authorizer: "K"\nConditions: ' + b"true; " * 100 + b"\n"
    budget = Budget(10_000)
    parse(raw, budget=budget)
    assert 200 * 5 <= budget.allowed - budget.left <= 300 * 5
    with pytest.raises(BudgetExhausted):
        parse(raw, budget=Budget(700))


def test_too_many_bytes_are_not_looked_at() -> None:
    with pytest.raises(TooLarge, match="8193 bytes"):
        parse(b"\0" * 8_193)
    with pytest.raises(MalformedAssertion):
        parse(b"\0" * 8_192)
    with pytest.raises(TooLarge):
        parse(b'Authorizer: "K"\n', limits=Limits(assertion_bytes=15))


def test_threads_do_not_share_a_parser() -> None:
    texts = [f'Authorizer: "K"\nConditions: a == "{number}" && b == "{number}";\n'.encode() for number in range(40)]
    trees: list[syntax.Assertion] = []
    lock = threading.Lock()

    def read(mine: list[bytes]) -> None:
        for text in mine:
            tree = parse(text)
            with lock:
                trees.append(tree)

    threads = [threading.Thread(target=read, args=(texts[part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {tree.raw: tree for tree in trees} == {text: parse(text) for text in texts}
