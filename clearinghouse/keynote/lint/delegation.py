"""What a credential's holder may do with it, and for how long (authority rule R13)."""

from __future__ import annotations

from collections.abc import Iterator

from clearinghouse.keynote import syntax
from clearinghouse.keynote.clock import DATE, TIME
from clearinghouse.keynote.context import ACTION_AUTHORIZERS, POLICY
from clearinghouse.keynote.licensees import Anybody, met, resolve
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.principals import normal
from clearinghouse.keynote.lint.source import Source, compared
from clearinghouse.keynote.principals import is_key, short
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_UPPER = frozenset({"<", "<=", "=="})


def credentials(source: Source) -> Iterator[Advice]:
    """K601 and K602: credentials without an end, and those that can be passed on."""
    if not source.is_credential:
        return
    tests = [path.test for path in source.paths if path.clause.value is None or not _gives_nothing(path.clause)]
    if source.tree.conditions is None:
        tests = [syntax.Truth(value=True)]
    for test in tests:
        where = source.at("Authorizer") if source.tree.conditions is None else test
        if not ends(test, source.constants):
            yield source.advise("no-expiry", where, "this never ends", 'add a last day: `&& date < "20270101"`')
        if _can_delegate(source) and ACTION_AUTHORIZERS not in {node.name for node in source.attributes(test)}:
            message = "its holder may license others in turn, without end"
            mend = f'to prevent it add `&& {ACTION_AUTHORIZERS} == "..."` with the principal of the holder'
            yield source.advise("unbounded-delegation", where, message, mend)


def _can_delegate(source: Source) -> bool:
    """Tell whether a licensee can sign; a name that is no key cannot, and so passes nothing on."""
    names = [fold(node.name, source.constants) for node in nodes(source.tree.licensees) if isinstance(node, syntax.Principal)]
    return any(name is None or is_key(name) for name in names) or source.tree.licensees is None


def _gives_nothing(clause: syntax.Clause) -> bool:
    return clause.test == syntax.Truth(value=False)


def ends(test: syntax.Test, constants: dict[str, str]) -> bool:
    """Tell whether *test* can hold only up to some day."""
    match test:
        case syntax.And(tests):
            return any(ends(each, constants) for each in tests)
        case syntax.Or(tests):
            return all(ends(each, constants) for each in tests)
        case syntax.Not(syntax.TextRelation(relation, left, right)):
            opposite = {">": "<=", ">=": "<", "!=": "=="}.get(relation)
            return opposite is not None and ends(syntax.TextRelation(opposite, left, right), constants)  # type: ignore[arg-type]
        case syntax.IntegerRelation(relation, syntax.ToInteger(syntax.Attribute("date")), syntax.Integer()):
            return relation in _UPPER
        case _:
            parts = compared(test, constants)
            return parts is not None and parts[1].name in {DATE, TIME} and parts[0] in _UPPER


def desk_alone(source: Source, desk: str) -> Iterator[Advice]:
    """K605: the key that signs approvals meets the licensees of a policy by itself (authority rule R2)."""

    def principal(text: syntax.Text) -> str:
        return normal(fold(text, source.constants) or "")

    trusted = resolve(source.tree.licensees, principal)
    if source.authorizer == POLICY and not isinstance(trusted, Anybody) and met(trusted, {normal(desk)}):
        message = f"`{short(desk)}`, which signs approvals, is trusted here without anybody beside it"
        mend = 'license it beside whoever licenses the requester: `Licensees: "hub" && "desk"`'
        yield source.advise("desk-alone", source.at("Licensees"), message, mend)


def thresholds(source: Source) -> Iterator[Advice]:
    """K603: two people are wanted, and delegation lets one stand for both."""
    for node in nodes(source.tree.licensees):
        if not isinstance(node, syntax.Threshold) or node.k == 1:
            continue
        if all(ACTION_AUTHORIZERS in {name.name for name in source.attributes(path.test)} for path in source.paths) and source.paths:
            continue
        message = "several principals are wanted here, and they may all license one person to act for them"
        yield source.advise("threshold-by-proxy", node, message, f"test `{ACTION_AUTHORIZERS}` too where several people must act in person")
        return
