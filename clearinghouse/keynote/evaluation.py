"""One assertion evaluated readably, for explanations: what each clause did and what it read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.conditions import Environment, Outcome, outcomes
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.credential import Admitted


@dataclass(frozen=True, slots=True)
class Reached:
    """An assertion whose licensees, at least in part, the requesters reach, evaluated readably."""

    assertion: Admitted
    tree: syntax.Assertion
    level: int
    outcomes: tuple[Outcome, ...]
    reads: Mapping[str, str]


def environment_of(context: Context, tree: syntax.Assertion) -> Environment:
    """Return a fresh environment for *tree*, with a budget of its own: explaining is work, too."""
    fresh = Context(context.requesters, context.action, context.scale, context.limits, Budget(context.budget.allowed))
    return Environment(fresh, dict(tree.constants))


def evaluated(context: Context, assertion: Admitted) -> Reached:
    """Return what the conditions of *assertion* do in this query."""
    tree = assertion.tree()
    if tree.conditions is None:
        return Reached(assertion, tree, context.top, (), {})
    env = environment_of(context, tree)
    found = outcomes(tree.conditions, env)
    return Reached(assertion, tree, max((each.level for each in found), default=0), found, dict(env.reads))
