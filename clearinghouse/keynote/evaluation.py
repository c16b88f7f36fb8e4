"""One assertion evaluated readably, for explanations: what each clause did and what it read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.conditions import Environment, Outcome, outcomes, text_of
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.numbers import RuntimeFault


@dataclass(frozen=True, slots=True)
class Reached:
    """An assertion whose licensees, at least in part, the requesters reach, evaluated readably.

    ``named`` are the attributes that name its principals, ``reads`` those and what its conditions read.
    """

    assertion: Admitted
    tree: syntax.Assertion
    level: int
    outcomes: tuple[Outcome, ...]
    reads: Mapping[str, str]
    named: Mapping[str, str]


def environment_of(context: Context, tree: syntax.Assertion) -> Environment:
    """Return a fresh environment for *tree*, with a budget of its own: explaining is work, too."""
    fresh = Context(context.requesters, context.action, context.scale, context.limits, Budget(context.budget.allowed))
    return Environment(fresh, dict(tree.constants))


def evaluated(context: Context, assertion: Admitted) -> Reached:
    """Return what the conditions of *assertion* do in this query."""
    tree = assertion.tree()
    named = named_by(context, tree)
    if tree.conditions is None:
        return Reached(assertion, tree, context.top, (), named, named)
    env = environment_of(context, tree)
    found = outcomes(tree.conditions, env)
    return Reached(assertion, tree, max((each.level for each in found), default=0), found, {**named, **env.reads}, named)


def named_by(context: Context, tree: syntax.Assertion) -> Mapping[str, str]:
    """Return the attributes that authorizer and licensees of *tree* read, with their values."""
    env = environment_of(context, tree)
    members = (node.name for node in syntax.nodes(tree.licensees) if isinstance(node, syntax.Principal))
    for text in (tree.authorizer, *members):
        with suppress(RuntimeFault):  # too long a text names nobody
            text_of(text, env)
    return env.reads
