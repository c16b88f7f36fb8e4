"""Missing steps tell the truth: who does what they say reaches the value that they name."""

from __future__ import annotations

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from clearinghouse.keynote import Admitted, Assertions, Missing, Proof, admit, print_assertion, syntax
from clearinghouse.keynote.limits import Limits
from tests.properties import strategies as kn

PATIENT = Limits(steps=10**9, chain=10**9)
EQUALITY = re.compile(r'`(\w+) == "(\w*)"` failed')
QUESTIONS = kn.questions(kn.PRINCIPALS)


def admitted(*trees: syntax.Assertion) -> list[Admitted]:
    return [admit(print_assertion(tree).encode("latin-1"), policy=True) for tree in trees]


def equals(name: str, wanted: str) -> syntax.Test:
    return syntax.TextRelation("==", syntax.Attribute(name), syntax.Literal(wanted))


def ask(assertions: Assertions, action: dict[str, str]) -> Proof:
    return assertions.query(authorizers=["K"], action=action, values=["deny", "ask", "allow"])


short = st.sampled_from(("", "x", "y", "z"))


@given(st.dictionaries(st.sampled_from(kn.NAMES), short, min_size=2), st.dictionaries(st.sampled_from(kn.NAMES), short))
def test_setting_what_failed_reaches_the_value(wanted: dict[str, str], action: dict[str, str]) -> None:
    test = syntax.And(tuple(equals(name, value) for name, value in wanted.items()))
    assertions = Assertions(policies=[admit(kn.assertion_of(syntax.Program((syntax.Clause(test, None),))), policy=True)])
    proof = ask(assertions, action)
    failed = {name for name, value in wanted.items() if action.get(name, "") != value}
    if not failed:
        assert proof.missing == ()
        return
    (missing,) = proof.missing
    told = {found[1]: found[2] for step in missing.steps if (found := EQUALITY.match(step.text))}
    assert told.keys() == failed
    assert missing.value == "allow"
    assert ask(assertions, action | told).value == "allow"


@given(kn.delegations(), QUESTIONS)
def test_granting_what_is_missing_reaches_the_value(trees: list[syntax.Assertion], question: kn.Question) -> None:
    proof = Assertions(policies=admitted(*trees), limits=PATIENT).query(
        authorizers=question.authorizers, action=question.action, values=question.values
    )
    assert bool(proof.missing) != proof.strongest  # `POLICY` can always license the requester itself
    for missing in proof.missing:
        assert question.values.index(missing.value) > proof.level
        check_licences(trees, question, missing)


def check_licences(trees: list[syntax.Assertion], question: kn.Question, missing: Missing) -> None:
    assume(all(step.kind == "licence" for step in missing.steps))
    licences = [
        syntax.Assertion(syntax.Literal(step.authorizer), syntax.Principal(syntax.Literal(step.licensee))) for step in missing.steps
    ]
    granted = Assertions(policies=admitted(*trees, *licences), limits=PATIENT).query(
        authorizers=question.authorizers, action=question.action, values=question.values
    )
    assert granted.level >= question.values.index(missing.value)
