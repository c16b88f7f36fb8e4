"""Which assertions may be loaded as policy: the rules that need the vocabulary (R1, R11, R17).

KeyNote itself would take them; each breaks a promise of the clearinghouse, and is refused with
the line to mend.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from clearinghouse.clearing.vocabulary import Operation, operations_of
from clearinghouse.errors import BadPolicy, MalformedAssertion
from clearinghouse.keynote import POLICY, Admitted, syntax
from clearinghouse.keynote.licensees import principals
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.syntax import nodes

SENSITIVE = frozenset({"people", "publish"})
"""Groups whose keys no other group may license, unless the settings name the key (rule R1)."""


def check_policy(assertion: Admitted, group: str) -> None:
    """Refuse an assertion of the trusted channel that breaks a rule; raises MalformedAssertion or BadPolicy."""
    operations = operations_of(group)
    tree = assertion.tree()
    if assertion.authorizer == POLICY and len(operations) > 1:
        _check_operation(assertion, tree, operations)
    _check_attributes(assertion, tree, operations, group)
    _check_clock(assertion, tree)


def _check_operation(assertion: Admitted, tree: syntax.Assertion, operations: tuple[Operation, ...]) -> None:
    """R1: in a group with several operations, every clause of POLICY says which it grants."""
    names = ", ".join(each.name for each in operations)
    clauses = tree.conditions.clauses if tree.conditions else ()
    if tree.conditions is None:
        raise BadPolicy(
            "a policy without Conditions would grant every operation of its group", mend=f"test `operation`; this group has {names}"
        )
    for clause in clauses:
        if not _requires(clause.test, "operation"):
            raise _at(
                assertion,
                clause.start,
                "this clause does not say which operation it grants",
                f'add `operation == "..." &&`; this group has {names}',
            )


def _requires(test: syntax.Test, name: str) -> bool:
    """Say whether *test* can only hold when it has compared *name* with something."""
    match test:
        case syntax.And(tests):
            return any(_requires(each, name) for each in tests)
        case syntax.Or(tests):
            return all(_requires(each, name) for each in tests)
        case syntax.TextRelation("==", left, right):
            return syntax.Attribute(name) in {left, right}
        case syntax.Match(text, _):
            return text == syntax.Attribute(name)
        case _:
            return False


def _check_attributes(assertion: Admitted, tree: syntax.Assertion, operations: tuple[Operation, ...], group: str) -> None:
    """R11: a policy reads only what some door can supply for an operation of its group."""
    known = {name for operation in operations for name in operation.attributes}
    constants = {name for name, _ in tree.constants}
    for name in sorted(_names(tree) - known - constants):
        if name.startswith("_"):
            continue
        raise _at(assertion, _offset(assertion, name), f"no door supplies `{name}` in the group `{group}`", _nearest(name, known))


def _names(tree: syntax.Assertion) -> set[str]:
    return {node.name for node in nodes((tree.authorizer, tree.licensees, tree.conditions)) if isinstance(node, syntax.Attribute)}


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else "see the attributes reference; a name in quotation marks is a text"


def _check_clock(assertion: Admitted, tree: syntax.Assertion) -> None:
    """R17: `@time` overflows 32 bits, so its clause would never hold."""
    for node in nodes(tree.conditions):
        if isinstance(node, syntax.ToInteger) and node.term == syntax.Attribute("time"):
            raise _at(
                assertion,
                _offset(assertion, "time"),
                "`@time` does not fit KeyNote's 32-bit integers",
                'compare it as text: `time < "20270101000000"`',
            )


def check_separation(policies: Mapping[str, Collection[Admitted]], shared: Collection[str]) -> Iterator[tuple[Admitted, BadPolicy]]:
    """Yield the policies of `people` and `publish` that license a key of another group (rule R1).

    *shared* are the principals, in normal form, that the settings allow in several groups.
    """
    for group in SENSITIVE & policies.keys():
        elsewhere = {name for other, loaded in policies.items() if other != group for each in loaded for name in _licensed(each)}
        for assertion in policies[group]:
            both = sorted(set(_licensed(assertion)) & elsewhere - set(shared))
            if both:
                yield (
                    assertion,
                    BadPolicy(
                        f"`{both[0]}` is licensed in the group `{group}` and in another",
                        mend="use a key of its own for each, or name it in `shared_keys`",
                    ),
                )


def _licensed(assertion: Admitted) -> Iterator[str]:
    return iter(()) if assertion.trusted_by is None else principals(assertion.trusted_by)


def _at(assertion: Admitted, offset: int, message: str, mend: str) -> MalformedAssertion:
    return malformed(assertion.raw.decode("latin-1"), offset, message, mend)


def _offset(assertion: Admitted, name: str) -> int:
    return max(0, assertion.raw.find(name.encode("latin-1")))
