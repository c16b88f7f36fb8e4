"""Which assertions may be loaded as policy: the rules that need the vocabulary (R1, R11, R17).

KeyNote itself would take them; each breaks a promise of the clearinghouse, and is refused with
the line to mend.  What these rules accept is a little less than what could be proven to be safe:
a policy is read by people, and should say plainly what it grants.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import ClassVar

from clearinghouse.clearing.snapshot import foreign_to, licensed
from clearinghouse.clearing.vocabulary import COMMON, NOBODY, SENSITIVE, Door, Operation, operations_of
from clearinghouse.errors import BadPolicy, MalformedAssertion
from clearinghouse.keynote import POLICY, Admitted, syntax
from clearinghouse.keynote.context import ACTION_AUTHORIZERS, MAX_TRUST, MIN_TRUST, VALUES
from clearinghouse.keynote.licensees import Anybody, met
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.principals import normalise, short
from clearinghouse.keynote.texts import fold

_OPERATION = syntax.Attribute("operation")
_LISTED = re.compile(r"\^(?:([a-z-]+)|\(([a-z-]+(?:\|[a-z-]+)*)\))\$\Z")
"""`^name$` and `^(name|name)$`: the patterns that list operations."""
_SPECIALS = (ACTION_AUTHORIZERS, MAX_TRUST, MIN_TRUST, VALUES)
_CAPTURE = re.compile(r"_[0-9]+\Z")


class _Broken(MalformedAssertion):
    """A rule of authority that an assertion breaks, with its place."""


class OperationNotTested(_Broken):
    """A clause of POLICY does not say which operations it grants (rule R1)."""

    code: ClassVar[str] = "operation-not-tested"


class UnknownAttribute(_Broken):
    """A policy reads what no door supplies for the operation (rule R11)."""

    code: ClassVar[str] = "unknown-attribute"


class HiddenAttribute(_Broken):
    """A local constant has the name of an attribute, so that tests of it test nothing (rule R1)."""

    code: ClassVar[str] = "hidden-attribute"


class UnnamedPrincipal(_Broken):
    """A policy leaves it to the request who speaks, or who is trusted (rule R1)."""

    code: ClassVar[str] = "unnamed-principal"


class ValueFromRequest(_Broken):
    """A clause lets the request name the value that it gets (rule R8)."""

    code: ClassVar[str] = "value-from-request"


class ClockAsNumber(_Broken):
    """``@time`` does not fit 32 bits, so its clause would never hold (rule R17)."""

    code: ClassVar[str] = "clock-as-number"


class DeskAlone(BadPolicy):
    """POLICY trusts the desk's key without anybody beside it: what it approves would outlive the requester's own licence (rule R2)."""

    code: ClassVar[str] = "desk-alone"


def check_policy(assertion: Admitted, group: str, *, desk: str = "") -> None:
    """Refuse an assertion of the trusted channel that breaks a rule; raises MalformedAssertion or BadPolicy.

    *desk* is the principal that signs approvals, empty where there is none.
    """
    operations = operations_of(group)
    policy = _Policy(assertion, assertion.tree(), {each.name: each for each in operations})
    check_desk(assertion, desk)
    policy.check_constants()
    policy.check_principals(anybody=group not in SENSITIVE)
    policy.check_conditions(said=assertion.authorizer == POLICY and len(operations) > 1)


def check_desk(assertion: Admitted, desk: str) -> None:
    """R2: the shape that works is `Licensees: "hub" && "desk"`; raises `DeskAlone` for any that the desk meets by itself."""
    trusted = assertion.trusted_by
    if not desk or assertion.authorizer != POLICY or trusted is None or isinstance(trusted, Anybody):
        return
    if met(trusted, {normalise(desk)}):
        mend = 'license it beside whoever licenses the requester: `Licensees: "hub" && "desk"`'
        raise DeskAlone(f"`{short(desk)}`, the desk's key, is licensed alone", mend=mend)


def check_separation(policies: Mapping[str, Collection[Admitted]], shared: Collection[str]) -> Iterator[tuple[Admitted, BadPolicy]]:
    """Yield the policies of `people` and `publish` that license a key of another group (rule R1).

    *shared* are the principals, in normal form, that the settings allow in several groups.
    """
    for group in SENSITIVE & policies.keys():
        elsewhere = foreign_to(group, policies, shared)
        for assertion in policies[group]:
            both = sorted(elsewhere.intersection(licensed(assertion)))
            if both:
                text, mend = f"`{both[0]}` is licensed in the group `{group}` and in another", "use a key of its own for each"
                yield assertion, BadPolicy(text, mend=f"{mend}, or name it in `shared_keys`")


@dataclass(frozen=True)
class _Policy:
    """One assertion, and the operations of its group by name."""

    assertion: Admitted
    tree: syntax.Assertion
    group: Mapping[str, Operation]

    @property
    def constants(self) -> dict[str, str]:
        return dict(self.tree.constants)

    def check_constants(self) -> None:
        """R1: a constant named `operation` would make `operation == "subscribe"` true of every question."""
        for name, _ in self.tree.constants:
            if name in COMMON or any(name in operation.attributes for operation in self.group.values()):
                raise self._broken(
                    HiddenAttribute, name, f"the constant `{name}` hides the attribute of that name", "give the constant another name"
                )

    def check_principals(self, *, anybody: bool) -> None:
        """R1: who speaks, and who is trusted, stands in the policy."""
        for node in syntax.nodes((self.tree.authorizer, self.tree.licensees)):
            if isinstance(node, syntax.Indirect) or (isinstance(node, syntax.Attribute) and node.name not in self.constants):
                name = node.name if isinstance(node, syntax.Attribute) else "$"
                mend = "put a principal in quotation marks, or define it in Local-Constants"
                raise self._broken(UnnamedPrincipal, name, f"`{name}` leaves it to the request who this is", mend)
        if self.tree.licensees is None and self.tree.conditions is None:
            raise BadPolicy("an Authorizer alone would trust anybody with everything", mend="add Licensees and Conditions")
        if self.tree.licensees is None and not anybody:
            raise BadPolicy("a policy without Licensees would let anybody govern", mend="name the people or the keys")

    def check_conditions(self, *, said: bool) -> None:
        """R1, R11 and R17: each clause says what it grants, and reads only what is known then."""
        if self.tree.conditions is None:
            if said:
                raise BadPolicy(
                    "a policy without Conditions would grant every operation of its group", mend=f"test `operation`: {self._names()}"
                )
            return
        for clause in self.tree.conditions.clauses:
            self._check_clause(clause, frozenset(self.group), said=said)

    def _check_clause(self, clause: syntax.Clause, granted: frozenset[str], *, said: bool, read: frozenset[str] = frozenset()) -> None:
        tested = self._tested(clause.test)
        inner = clause.value.clauses if isinstance(clause.value, syntax.Program) else ()
        if said and tested is None and not inner:
            mend = f'add `operation == "..." &&`; this group has {self._names()}'
            raise self._broken(OperationNotTested, clause, "this clause does not say which operation it grants", mend)
        self._check_test(clause.test, granted, clause)
        left, needed = granted if tested is None else granted & tested, read | self._needed(clause.test, clause)
        self._check_doors(clause, left, needed)
        for each in inner:
            self._check_clause(each, left, said=said and tested is None, read=needed)
        if isinstance(clause.value, syntax.Text):
            self._check_value(clause.value, clause)

    def _check_doors(self, clause: syntax.Clause, granted: frozenset[str], needed: frozenset[str]) -> None:
        """R11: some door supplies everything that the clause needs, and to whom the assertion trusts."""
        for operation in (self.group[name] for name in sorted(granted)):
            left = operation.doors()
            if Door.UNPROVEN in left and self._trusts_nobody:
                left = frozenset({Door.UNPROVEN})
            for name in sorted(needed & operation.attributes.keys()):
                if not left & operation.attributes[name].doors:
                    where = ", ".join(sorted(left))
                    text = f"`{from_octets(name)}` is not supplied where the rest is known: at the {where} door"
                    raise self._broken(UnknownAttribute, clause, text, "write a clause, or a policy, for each door", name)
                left &= operation.attributes[name].doors

    @cached_property
    def _trusts_nobody(self) -> bool:
        """Whether peers that have proven nothing meet the Licensees by themselves."""
        trusted = self.assertion.trusted_by
        return trusted is not None and not isinstance(trusted, Anybody) and met(trusted, {NOBODY})

    def _needed(self, test: syntax.Test, clause: syntax.Clause) -> frozenset[str]:
        """Return attributes without which *test* cannot hold; of alternatives, none."""
        match test:
            case syntax.And(tests):
                return frozenset[str]().union(*(self._needed(each, clause) for each in tests))
            case syntax.Or() | syntax.Not(syntax.And() | syntax.Or()):
                return frozenset()
            case _:
                return frozenset(self._reads(test, clause))

    def _tested(self, test: syntax.Test) -> frozenset[str] | None:
        """Return the operations for which alone *test* can hold, ``None`` where it does not plainly say."""
        match test:
            case syntax.And(tests):
                said = [found for each in tests if (found := self._tested(each)) is not None]
                return frozenset.intersection(*said) if said else None
            case syntax.Or(tests):
                each_says = [self._tested(each) for each in tests]
                return None if None in each_says else frozenset[str]().union(*(each for each in each_says if each))
            case syntax.TextRelation("==", left, right) if _OPERATION in {left, right}:
                name = fold(right if left == _OPERATION else left, self.constants)
                return None if name is None else frozenset({name})
            case syntax.Match(text, pattern) if text == _OPERATION:
                listed = _LISTED.match(fold(pattern, self.constants) or "")
                return frozenset((listed[1] or listed[2]).split("|")) if listed else None
            case syntax.Truth(value=False):
                return frozenset()
            case _:
                return None

    def _check_test(self, test: syntax.Test, granted: frozenset[str], clause: syntax.Clause) -> None:
        tested = self._tested(test)
        for name in sorted((tested or frozenset()) - self.group.keys()):
            raise self._broken(
                OperationNotTested, clause, f"`{from_octets(name)}` is no operation of this group", _nearest(name, self.group)
            )
        left = granted if tested is None else granted & tested
        match test:
            case syntax.And(tests) | syntax.Or(tests):
                for each in tests:
                    self._check_test(each, left, clause)
            case syntax.Not(inner):
                self._check_test(inner, left, clause)
            case _:
                self._check_reads(test, left, clause)

    def _check_reads(self, term: syntax.Term, granted: frozenset[str], clause: syntax.Clause) -> None:
        for name in self._reads(term, clause):
            for operation in sorted(granted):
                if name not in self.group[operation].attributes:
                    text = f"no door supplies `{from_octets(name)}` for `{operation}`"
                    raise self._broken(UnknownAttribute, clause, text, _nearest(name, self.group[operation].attributes), name)
        for node in syntax.nodes(term):
            if isinstance(node, syntax.ToInteger) and "time" in self._reads(node, clause):
                text, mend = "`@time` does not fit KeyNote's 32-bit integers", 'compare it as text: `time < "20270101000000"`'
                raise self._broken(ClockAsNumber, clause, text, mend, "time")

    def _reads(self, term: syntax.Term, clause: syntax.Clause) -> list[str]:
        """Return the action attributes that *term* reads; refuse special ones that do not exist."""
        found = []
        for node in syntax.nodes(term):
            name = node.name if isinstance(node, syntax.Attribute) else None
            if isinstance(node, syntax.Indirect):
                name = fold(node.term, self.constants)
                if name is None:
                    raise self._broken(
                        UnknownAttribute, clause, "`$` leaves it to the request which attribute is read", "write its name", "$"
                    )
            if name is None or name in self.constants or name in _SPECIALS or _CAPTURE.match(name):
                continue
            if name.startswith("_"):
                raise self._broken(
                    UnknownAttribute, clause, f"KeyNote has no attribute `{from_octets(name)}`", _nearest(name, _SPECIALS), name
                )
            found.append(name)
        return found

    def _check_value(self, value: syntax.Text, clause: syntax.Clause) -> None:
        if fold(value, self.constants) is None and not (isinstance(value, syntax.Attribute) and value.name in {MAX_TRUST, MIN_TRUST}):
            raise self._broken(ValueFromRequest, clause, "the request would name the value that it gets", 'write the value: `-> "allow"`')

    def _names(self) -> str:
        return ", ".join(self.group)

    def _broken(self, kind: type[_Broken], place: syntax.Clause | str, message: str, mend: str, name: str = "") -> _Broken:
        """Return the error at a clause, or at the first mention of a name in it or in the whole text."""
        text = self.assertion.raw.decode("latin-1")
        start, end, word = (place.start, place.end, name) if isinstance(place, syntax.Clause) else (0, len(text), place)
        at = malformed(text, max(start, text.find(word, start, end)), message, mend, len(word) or 1)
        return kind(at.message, mend=at.mend, line=at.line, column=at.column, source=at.source, caret=at.caret, width=at.width)


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(sorted(known))}"
