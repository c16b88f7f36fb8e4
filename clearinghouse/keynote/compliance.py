"""Compliance values: the least fixpoint, from the requesters upward (RFC 2704, section 5).

Principals are settled from the strongest level down, and at each level in the order in which they
were reached.  The first level at which `POLICY` is settled is the answer, and nothing that the
requesters do not reach is ever looked at: the cost follows the delegations below them, not what is
loaded.  Cycles need no care, because a principal is settled once, at the strongest level that any
chain gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.chain import Settled
from clearinghouse.keynote.conditions import Environment, text_of
from clearinghouse.keynote.context import POLICY, Context, context_of, octets_of
from clearinghouse.keynote.credential import Admitted, Refused
from clearinghouse.keynote.index import Held, Index
from clearinghouse.keynote.licensees import Nobody, Quorum, met, principals, resolve
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.principals import normalise
from clearinghouse.keynote.proof import Proof

Waiting = dict[int, list[tuple[str, Admitted | None]]]
"""Level -> principals that wait to be settled at it, in order, each with the assertion that reaches it."""

_NOBODY: Mapping[str, int] = MappingProxyType({})


class Assertions:
    """An immutable set of admitted assertions that answers queries.

    Sets are values: :meth:`with_credentials` and :meth:`without` give new ones that share
    everything with the old.
    """

    __slots__ = ("_held", "_limits", "_unusual")

    def __init__(
        self,
        *,
        policies: Iterable[Admitted] = (),
        credentials: Iterable[Admitted] = (),
        refused: Sequence[Refused] = (),
        limits: Limits | None = None,
    ) -> None:
        """Index the assertions; *refused* are named in every proof as skipped."""
        admitted = (*_of_channel(policies, policy=True), *_of_channel(credentials, policy=False))
        self._held = Held((Index.of(admitted),), refused=tuple(refused))
        self._limits = limits or Limits()
        self._unusual = any(layer.dynamic or layer.anybody for layer in self._held.layers)

    def _with(self, held: Held) -> Assertions:
        made = object.__new__(Assertions)
        made._held = held
        made._limits = self._limits
        made._unusual = any(layer.dynamic or layer.anybody for layer in held.layers)
        return made

    @classmethod
    def holding(cls, held: Held, limits: Limits | None = None) -> Assertions:
        """Return a set that looks at *held* as it is."""
        return cls(limits=limits)._with(held)  # noqa: SLF001 - its own

    def __iter__(self) -> Iterator[Admitted]:
        """Yield every assertion once that has not been taken away."""
        found = dict.fromkeys(assertion for layer in self._held.layers for assertion in layer)
        return (assertion for assertion in found if assertion.id not in self._held.withdrawn)

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What was not admitted, and why."""
        return self._held.refused

    def with_credentials(self, credentials: Iterable[Admitted], *, refused: Sequence[Refused] = ()) -> Assertions:
        """Return a set with *credentials* laid over this one; the cost is theirs alone."""
        held = self._held
        layer = Index.of(_of_channel(credentials, policy=False), held.layers)
        return self._with(replace(held, layers=(*held.layers, layer), refused=(*held.refused, *refused)))

    def over(self, other: Assertions) -> Assertions:
        """Return a set of what this one and *other* hold, which shares the indexes of both; an assertion belongs in one of them."""
        mine, theirs = self._held, other._held
        if not any(map(_holds, theirs.layers)):
            return self
        held = Held(
            (*mine.layers, *theirs.layers),
            mine.withdrawn | theirs.withdrawn,
            mine.revoked | theirs.revoked,
            (*mine.refused, *theirs.refused),
            len(mine.layers) + len(theirs.layers),
        )
        return self._with(held)

    def without(self, ids: Iterable[bytes] = (), *, principals: Iterable[str] = ()) -> Assertions:
        """Return a set in which the assertions named by *ids*, and every use of *principals*, are gone."""
        held, withdrawn = self._held, frozenset(ids)
        if isinstance(principals, str) or not all(isinstance(each, bytes) for each in withdrawn):
            raise TypeError("ids are bytes, and principals a list: anything else would revoke nothing, and say nothing")
        revoked = frozenset(normalise(octets_of(each)) for each in principals)
        return self._with(replace(held, withdrawn=held.withdrawn | withdrawn, revoked=held.revoked | revoked))

    def query(self, *, authorizers: Iterable[str], action: Mapping[str, str], values: Sequence[str], budget: Budget | None = None) -> Proof:
        """Return the compliance value of *action*, requested by *authorizers*, with its proof.

        *values* are ordered from the weakest.  Raises :class:`BadQuery`, :class:`TooLarge`,
        :class:`BadPrincipal` for an undecodable requester, :class:`BudgetExhausted`.
        """
        context = context_of(authorizers, action, values, self._limits, budget)
        held = self._held
        settled: Settled = {}
        waiting: Waiting = {}
        if self._unusual:
            held = self._resolved_for(context)
            _fire_anybody(held, context, waiting)
        return Proof(held, context, settled, _settle(held, context, settled, waiting))

    def _resolved_for(self, context: Context) -> Held:
        """Return what is held, with the assertions whose principals this request decides resolved."""
        held = self._held
        resolved = [found for layer in held.layers for each in layer.dynamic if (found := _resolved(each, context)) is not None]
        return replace(held, layers=(*held.layers, Index.of(resolved)))


def ascend(held: Held, context: Context, reached: Mapping[str, int] = _NOBODY) -> tuple[Settled, int]:
    """Return who is settled, and the level of `POLICY`: a query without a proof, for whoever asks very many.

    It starts from the requesters of *context* and from those that are *reached* already, each at its level.
    Assertions that trust anybody, and those whose principals the request decides, are not looked at.
    """
    waiting: Waiting = {}
    for principal, level in reached.items():
        waiting.setdefault(level, []).append((principal, None))
    settled: Settled = {}
    return settled, _settle(held, context, settled, waiting)


def _holds(layer: Index) -> bool:
    return bool(layer.by_licensee or layer.anybody or layer.dynamic)


def _of_channel(assertions: Iterable[Admitted], *, policy: bool) -> tuple[Admitted, ...]:
    """Return *assertions*; raise TypeError for one that was not admitted, or came over the other channel."""
    found = tuple(assertions)
    if any(getattr(each, "policy", None) is not policy for each in found):
        raise TypeError("policies must be admitted with policy=True, credentials without")
    return found


def _settle(  # noqa: C901, PLR0912, PLR0915 - the one loop whose every call would show in each decision
    held: Held, context: Context, settled: Settled, waiting: Waiting
) -> int:
    """Settle principals, strongest first, into *settled*; return the level of `POLICY`."""
    counted: dict[Admitted, int] = {}
    layers, withdrawn, revoked, budget = held.layers, held.withdrawn, held.revoked, context.budget
    work = 0
    level = context.top
    reached: list[tuple[str, Admitted | None]] = []
    for requester in context.requesters:
        reached.append((requester, None))  # noqa: PERF401 - a comprehension is a call, and this is the inner loop of everything
    if level in waiting:
        reached += waiting.pop(level)
    while level:
        for principal, carrier in reached:  # grows while it is walked: breadth first
            if principal in settled or principal in revoked:
                continue
            settled[principal] = (level, carrier)
            if principal == POLICY:
                budget.left -= work
                return level
            for layer in layers:
                if principal not in layer.by_licensee:
                    continue
                for assertion in layer.by_licensee[principal]:
                    # A single licensee is this very string, since principals are interned.
                    if assertion.trusted_by is not principal and not _first_met(assertion, principal, settled, counted, budget):
                        continue
                    if withdrawn and assertion.id in withdrawn:
                        continue
                    work += assertion.cost
                    if work > budget.left:
                        budget.spend(work)
                    function = assertion.function
                    value = level if function is None else function(context, assertion.constants)
                    if value >= level:
                        reached.append((assertion.authorizer, assertion))  # type: ignore[arg-type]  # an indexed one has an authorizer
                    elif value:
                        waiting.setdefault(value, []).append((assertion.authorizer, assertion))  # type: ignore[arg-type]
        level = max(waiting, default=0)
        reached = waiting.pop(level, [])
    budget.left -= work
    return 0


def _fire_anybody(held: Held, context: Context, waiting: Waiting) -> None:
    """Give the authorizers of assertions that trust anybody what their conditions allow."""
    for assertion in (each for layer in held.layers for each in layer.anybody):
        context.budget.spend(assertion.cost)
        value = context.top if assertion.function is None else assertion.function(context, assertion.constants)
        if value and assertion.id not in held.withdrawn and assertion.authorizer is not None:
            waiting.setdefault(value, []).append((assertion.authorizer, assertion))


def _first_met(assertion: Admitted, principal: str, settled: Settled, counted: dict[Admitted, int], budget: Budget) -> bool:
    """Say whether settling *principal* is what makes these licensees hold."""
    trusted, before = assertion.trusted_by, counted.get(assertion, 0)
    if isinstance(trusted, Quorum):
        counted[assertion] = after = before + trusted.weights[principal]
        return before < trusted.k <= after
    if before or isinstance(trusted, Nobody) or trusted is None:
        return False
    budget.spend(1 + (sum(1 for _ in principals(trusted)) >> 3))
    if met(trusted, settled):
        counted[assertion] = 1
        return True
    return False


def _resolved(assertion: Admitted, context: Context) -> Admitted | None:
    """Return *assertion* with the principals that this request gives it; ``None`` if one is no key.

    A known algorithm with undecodable bits leaves the assertion out, as it does in a literal; so
    does a text that grows too long.
    """
    context.budget.spend(assertion.cost)
    tree = assertion.tree()
    env = Environment(context, dict(tree.constants))

    def principal(text: syntax.Text) -> str:
        return normalise(text_of(text, env))

    try:
        return assertion.resolved(principal(tree.authorizer), resolve(tree.licensees, principal))
    except (BadPrincipal, RuntimeFault):
        return None
