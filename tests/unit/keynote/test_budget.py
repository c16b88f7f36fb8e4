"""Work is counted down before it is done; used up means no answer, never a denial (authority rule R21)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from clearinghouse.errors import BudgetExhausted, PeerError, Unavailable
from clearinghouse.keynote import Admissions, Assertions, admit
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.signing import sign

KEY = from_seed(bytes(32))
VALUES = ("deny", "allow")


def test_steps_are_taken_until_none_are_left() -> None:
    budget = Budget(3)
    budget.spend(2)
    budget.spend(1)
    assert (budget.allowed, budget.left) == (3, 0)
    with pytest.raises(BudgetExhausted, match="more than the 3 steps"):
        budget.spend(1)


def test_used_up_is_no_answer_and_nobodys_fault() -> None:
    assert issubclass(BudgetExhausted, Unavailable)
    assert not issubclass(BudgetExhausted, PeerError)
    assert (BudgetExhausted.exit_code, BudgetExhausted.http_status) == (3, 503)


def test_a_signature_is_paid_for() -> None:
    raw = sign(f'Authorizer: "{KEY.principal}"\nLicensees: "K"\n'.encode(), KEY)
    budget = Budget(1_000)
    admit(raw, budget=budget)
    assert budget.allowed - budget.left >= 40
    with pytest.raises(BudgetExhausted):
        admit(raw, budget=Budget(40))


def test_reading_is_paid_for_by_bytes_and_by_tokens() -> None:
    comment = b'Authorizer: "K"\nComment: ' + b"x" * 6_400
    plain = Budget(10_000)
    admit(comment, policy=True, budget=plain)
    assert plain.allowed - plain.left == 1 + len(comment) // 128
    tokens = Budget(10_000)
    admit(b'Authorizer: "K"\nLicensees: ' + b" || ".join(b'"a"' for _ in range(200)), policy=True, budget=tokens)
    assert tokens.allowed - tokens.left >= 5 * 399


def test_what_was_admitted_before_costs_nothing() -> None:
    raw = sign(f'Authorizer: "{KEY.principal}"\nLicensees: "K"\n'.encode(), KEY)
    admissions = Admissions()
    first = admissions.admit(raw, budget=Budget(1_000))
    assert admissions.admit(raw, budget=Budget(0)) is first


def test_one_budget_serves_a_whole_request() -> None:
    """Admission and query together, so that many credentials cost no more than one."""
    policy = admit(f'Authorizer: "POLICY"\nLicensees: "{KEY.principal}"\n'.encode(), policy=True)
    raw = sign(f'Authorizer: "{KEY.principal}"\nLicensees: "K"\nConditions: {"a == b; " * 100}\n'.encode(), KEY)
    budget = Budget(10_000)
    known = Assertions(policies=[policy]).with_credentials([admit(raw, budget=budget, learn=False)])
    after_admission = budget.left
    known.query(authorizers=["K"], action={}, values=VALUES, budget=budget)
    assert 0 < budget.left < after_admission < budget.allowed


def test_too_small_a_budget_raises_and_never_denies() -> None:
    chain = ["POLICY", *(f"p{number}" for number in range(10)), "K"]
    texts = [f'Authorizer: "{a}"\nLicensees: "{b}"\nConditions: x == "1";\n' for a, b in pairwise(chain)]
    known = Assertions(policies=[admit(text.encode(), policy=True) for text in texts])

    def value(steps: int) -> str:
        try:
            return known.query(authorizers=["K"], action={"x": "1"}, values=VALUES, budget=Budget(steps)).value
        except BudgetExhausted:
            return "no answer"

    answers = [value(steps) for steps in range(60)]
    enough = answers.index("allow")
    assert enough >= 11
    assert set(answers[:enough]) == {"no answer"}
    assert set(answers[enough:]) == {"allow"}


def test_a_step_that_was_not_there_is_not_given_back() -> None:
    budget = Budget(10)
    with pytest.raises(BudgetExhausted):
        budget.spend(11)
    with pytest.raises(BudgetExhausted):
        budget.spend(1)
