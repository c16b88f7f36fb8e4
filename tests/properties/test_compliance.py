"""Compliance values: the least fixpoint, whatever the order, and a proof that carries its value alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.errors import BudgetExhausted
from clearinghouse.keynote import Admitted, Assertions, Proof, admit, print_assertion, syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.conditions import Environment, evaluate
from clearinghouse.keynote.context import context_of
from clearinghouse.keynote.limits import Limits
from tests.properties import strategies as kn

QUESTIONS = kn.questions(kn.PRINCIPALS)
PATIENT = Limits(steps=10**9, chain=10**9)


def admitted(trees: Iterable[syntax.Assertion]) -> list[Admitted]:
    """Admit each tree over the trusted channel, where opaque principals may speak."""
    return [admit(print_assertion(tree).encode("latin-1"), policy=True) for tree in trees]


def ask(assertions: Sequence[Admitted] | Assertions, question: kn.Question, budget: Budget | None = None) -> Proof:
    known = assertions if isinstance(assertions, Assertions) else Assertions(policies=assertions, limits=PATIENT)
    return known.query(authorizers=question.authorizers, action=question.action, values=question.values, budget=budget)


# -- the definition of RFC 2704, section 5, computed the slow way ----------------------------------


def licensees_value(node: syntax.Licensees | syntax.Empty | None, value_of: dict[str, int], top: int) -> int:
    match node:
        case None:
            return top
        case syntax.Empty():
            return 0
        case syntax.Principal(syntax.Literal(name)):
            return value_of.get(name, 0)
        case syntax.AllOf(parts):
            return min(licensees_value(part, value_of, top) for part in parts)
        case syntax.AnyOf(parts):
            return max(licensees_value(part, value_of, top) for part in parts)
        case syntax.Threshold(k, members):
            return sorted((licensees_value(member, value_of, top) for member in members), reverse=True)[k - 1]
        case _:
            raise AssertionError(node)


def least_fixpoint(trees: Sequence[syntax.Assertion], question: kn.Question) -> int:
    """Start with the weakest value for everybody but the requesters, and raise values until none rises."""
    top = len(question.values) - 1
    context = context_of(question.authorizers, question.action, question.values, PATIENT)
    allowed = [evaluate(tree.conditions, Environment(context, {})) for tree in trees]
    value_of = dict.fromkeys(question.authorizers, top)
    before: dict[str, int] | None = None
    while value_of != before:
        before = dict(value_of)
        for tree, condition in zip(trees, allowed, strict=True):
            assert isinstance(tree.authorizer, syntax.Literal)
            name = tree.authorizer.text
            value_of[name] = max(value_of.get(name, 0), min(condition, licensees_value(tree.licensees, value_of, top)))
    return value_of.get("POLICY", 0)


@given(kn.delegations(), QUESTIONS)
def test_the_value_is_the_least_fixpoint(trees: list[syntax.Assertion], question: kn.Question) -> None:
    assert ask(admitted(trees), question).level == least_fixpoint(trees, question)


# -- what never matters, and what never lowers -----------------------------------------------------


@given(kn.delegations(), kn.delegations(), QUESTIONS)
def test_adding_assertions_never_lowers_the_value(
    trees: list[syntax.Assertion], more: list[syntax.Assertion], question: kn.Question
) -> None:
    assert ask(admitted([*trees, *more]), question).level >= ask(admitted(trees), question).level


@given(kn.delegations(), QUESTIONS, st.data())
def test_order_never_matters(trees: list[syntax.Assertion], question: kn.Question, data: st.DataObject) -> None:
    assertions = admitted(trees)
    shuffled = data.draw(st.permutations(assertions))
    other = kn.Question(tuple(data.draw(st.permutations(question.authorizers))), dict(reversed(question.action.items())), question.values)
    assert ask(shuffled, other).level == ask(assertions, question).level


@given(kn.delegations(), QUESTIONS)
def test_order_of_licensees_never_matters(trees: list[syntax.Assertion], question: kn.Question) -> None:
    turned = [syntax.Assertion(tree.authorizer, reversed_licensees(tree.licensees), tree.conditions) for tree in trees]
    assert ask(admitted(turned), question).level == ask(admitted(trees), question).level


def reversed_licensees(node: syntax.Licensees | syntax.Empty | None) -> syntax.Licensees | syntax.Empty | None:
    match node:
        case syntax.AllOf(parts):
            return syntax.AllOf(parts[::-1])
        case syntax.AnyOf(parts):
            return syntax.AnyOf(parts[::-1])
        case syntax.Threshold(k, members):
            return syntax.Threshold(k, members[::-1])
        case _:
            return node


@given(kn.delegations(), QUESTIONS)
def test_repeating_an_assertion_changes_nothing(trees: list[syntax.Assertion], question: kn.Question) -> None:
    once, again = admitted(trees), admitted(trees)
    assert ask([*once, *once, *again], question).level == ask(once, question).level


@given(kn.delegations(), QUESTIONS, st.sampled_from(kn.PRINCIPALS))
def test_another_requester_never_lowers_the_value(trees: list[syntax.Assertion], question: kn.Question, another: str) -> None:
    """Unless a condition tests who asks."""
    silent = [tree for tree in trees if not reads_requesters(tree)]
    more = kn.Question((*question.authorizers, another), question.action, question.values)
    assert ask(admitted(silent), more).level >= ask(admitted(silent), question).level


def reads_requesters(tree: syntax.Assertion) -> bool:
    """Tell whether the conditions can read `_ACTION_AUTHORIZERS`; `$` may name it."""
    found = list(syntax.nodes(tree.conditions))
    return syntax.Attribute("_ACTION_AUTHORIZERS") in found or any(isinstance(node, syntax.Indirect) for node in found)


# -- overlays and revocation -----------------------------------------------------------------------


def signed(trees: Iterable[syntax.Assertion]) -> list[Admitted]:
    """Admit each tree as a credential that its authorizer, one of `kn.KEYS`, has signed."""
    return [admit(kn.signed_by_its_authorizer(tree)) for tree in trees]


def between_keys(trees: Iterable[syntax.Assertion]) -> list[syntax.Assertion]:
    """Return the delegations among keys instead of names, without what `POLICY` says."""
    return [kn.with_keys(tree) for tree in trees if tree.authorizer != syntax.Literal("POLICY")]


@given(kn.delegations(), kn.delegations(), QUESTIONS, st.integers(0, 8))
def test_credentials_laid_over_count_as_if_they_were_loaded(
    policies: list[syntax.Assertion], trees: list[syntax.Assertion], question: kn.Question, loaded: int
) -> None:
    root = admitted(kn.with_keys(tree) for tree in policies)
    credentials = signed(between_keys(trees))
    asked = kn.Question(tuple(kn.KEYS[name].principal for name in question.authorizers), question.action, question.values)
    together = Assertions(policies=root, credentials=credentials, limits=PATIENT)
    laid_over = Assertions(policies=root, credentials=credentials[:loaded], limits=PATIENT).with_credentials(credentials)
    assert ask(laid_over, asked).level == ask(together, asked).level
    in_two = Assertions(policies=root, limits=PATIENT).with_credentials(credentials[:loaded]).with_credentials(credentials[loaded:])
    assert ask(in_two, asked).level == ask(together, asked).level


@given(kn.delegations(), QUESTIONS, st.data())
def test_without_ids_is_never_having_had_them(trees: list[syntax.Assertion], question: kn.Question, data: st.DataObject) -> None:
    assertions = admitted(trees)
    gone = set(data.draw(st.lists(st.sampled_from([each.id for each in assertions]))))
    fewer = Assertions(policies=assertions, limits=PATIENT).without(gone)
    assert ask(fewer, question).level == ask([each for each in assertions if each.id not in gone], question).level


@given(kn.delegations(), QUESTIONS, st.sets(st.sampled_from(kn.PRINCIPALS)))
def test_without_principals_is_replacing_every_use_of_them_by_nobody(
    trees: list[syntax.Assertion], question: kn.Question, gone: set[str]
) -> None:
    """Also as requesters, and also where `POLICY` names them (authority rule R15)."""
    renamed = kn.Question(tuple(name + "?" * (name in gone) for name in question.authorizers), question.action, question.values)
    silent = [tree for tree in trees if not reads_requesters(tree)]
    rest = [
        kn.renamed(tree, {name: name + "!" for name in gone})
        for tree in silent
        if tree.authorizer not in {syntax.Literal(name) for name in gone}
    ]
    revoked = Assertions(policies=admitted(silent), limits=PATIENT).without(principals=gone)
    assert ask(revoked, question).level == ask(admitted(rest), renamed).level


# -- the proof -------------------------------------------------------------------------------------


@given(kn.delegations(), QUESTIONS)
def test_the_chain_alone_gives_the_same_value(trees: list[syntax.Assertion], question: kn.Question) -> None:
    assertions = admitted(trees)
    proof = ask(assertions, question)
    carried = {link.id for link in proof.chain}
    assert ask([each for each in assertions if each.name in carried], question).level == proof.level


@given(kn.delegations(), QUESTIONS)
def test_the_chain_is_grounded_in_the_requesters(trees: list[syntax.Assertion], question: kn.Question) -> None:
    """Every principal that a link names is a requester or follows from other links, and never from itself."""
    proof = ask(admitted(trees), question)
    assert bool(proof.chain) == (proof.level > 0)
    assert grounded({link.authorizer: link.licensees for link in proof.chain}, set(question.authorizers))


def grounded(links: dict[str, tuple[str, ...]], known: set[str]) -> bool:
    """Tell whether every authorizer follows from *known* without leaning on itself."""
    before = -1
    while len(known) != before:
        before = len(known)
        known |= {authorizer for authorizer, licensees in links.items() if known.issuperset(licensees)}
    return known.issuperset(links)


@given(kn.delegations(), QUESTIONS)
def test_dropping_a_link_lowers_the_value_or_another_proof_is_found(trees: list[syntax.Assertion], question: kn.Question) -> None:
    known = Assertions(policies=admitted(trees), limits=PATIENT)
    proof = ask(known, question)
    for link in proof.chain:
        fewer = ask(known.without([bytes.fromhex(link.id)]), question)
        assert fewer.level <= proof.level
        assert link.id not in {each.id for each in fewer.chain}


@given(kn.delegations(), QUESTIONS)
def test_every_assertion_that_is_reached_and_gives_nothing_is_named(trees: list[syntax.Assertion], question: kn.Question) -> None:
    proof = ask(admitted(trees), question)
    named = {link.id for link in proof.chain} | {each.id for each in proof.skipped}
    assert all(each.assertion.name in named for each in proof.reached if each.level == 0)
    assert proof.as_json()["value"] == proof.value


@given(
    kn.delegations(dynamic=True),
    QUESTIONS,
    st.dictionaries(st.sampled_from(kn.NAMES), kn.names_of_principals | kn.words),
    st.fixed_dictionaries({"a": kn.names_of_principals}, optional={"b": kn.names_of_principals, "n": kn.words, "role": kn.words}),
)
def test_what_was_not_read_does_not_matter(
    trees: list[syntax.Assertion], question: kn.Question, action: dict[str, str], changed: dict[str, str]
) -> None:
    """So requesters and what was read are the key of a cache (authority rule R20)."""
    named = syntax.Assertion(syntax.Literal("POLICY"), syntax.Principal(syntax.Attribute("a")))
    known = Assertions(policies=admitted([*trees, named]), limits=PATIENT)
    proof = ask(known, kn.Question(question.authorizers, action, question.values))
    unread = {name: value for name, value in changed.items() if name not in proof.reads}
    assert ask(known, kn.Question(question.authorizers, action | unread, question.values)).level == proof.level


# -- budgets ---------------------------------------------------------------------------------------


@given(kn.delegations(), QUESTIONS, st.integers(0, 60), st.integers(0, 60))
def test_more_budget_never_gives_another_answer(trees: list[syntax.Assertion], question: kn.Question, steps: int, more: int) -> None:
    """No answer may become an answer; an answer never becomes another one, and never a denial."""
    known = Assertions(policies=admitted(trees), limits=PATIENT)
    wanted = ask(known, question).level  # compiles the patterns, whose cost is paid once
    try:
        level = ask(known, question, Budget(steps)).level
    except BudgetExhausted:
        return
    assert level == wanted
    assert ask(known, question, Budget(steps + more)).level == wanted
