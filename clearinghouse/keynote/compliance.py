"""Compliance values: the least fixpoint, from the requesters upward (RFC 2704, section 5).

Principals are settled from the strongest level down, and at each level in the order in which they
were reached.  The first level at which `POLICY` is settled is the answer, and nothing that the
requesters do not reach is ever looked at: the cost follows the delegations below them, not what is
loaded.  Cycles need no care, because a principal is settled once, at the strongest level that any
chain gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.chain import Settled
from clearinghouse.keynote.conditions import Environment, text_of
from clearinghouse.keynote.context import POLICY, Context, context_of
from clearinghouse.keynote.credential import Admitted, Refused
from clearinghouse.keynote.licensees import Anybody, Nobody, Quorum, Trusted, met, principals, resolve
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.principals import normalise
from clearinghouse.keynote.proof import Proof


@dataclass(frozen=True, slots=True)
class Index:
    """Assertions by licensee; those that trust anybody, and those whose principals need the request."""

    by_licensee: Mapping[str, tuple[Admitted, ...]]
    anybody: tuple[Admitted, ...]
    dynamic: tuple[Admitted, ...]

    @classmethod
    def of(cls, assertions: Iterable[Admitted], below: Sequence[Index] = ()) -> Index:
        """Index *assertions*, each once; those that trust nobody are never reached and need no place.

        One that a layer *below* holds already is left out: it must not count anybody twice.
        """
        postings: dict[str, list[Admitted]] = {}
        anybody, dynamic = [], []
        for assertion in dict.fromkeys(assertions):
            if any(layer.holds(assertion) for layer in below):
                continue
            match assertion.trusted_by:
                case None:
                    dynamic.append(assertion)
                case _ if assertion.authorizer is None:
                    dynamic.append(assertion)
                case Anybody():
                    anybody.append(assertion)
                case trusted:
                    for principal in principals(trusted):
                        postings.setdefault(principal, []).append(assertion)
        return cls({principal: tuple(found) for principal, found in postings.items()}, tuple(anybody), tuple(dynamic))

    def holds(self, assertion: Admitted) -> bool:
        """Say whether this very object is indexed by its principals."""
        trusted = assertion.trusted_by
        first = next(principals(trusted), None) if trusted is not None else None
        return first is not None and any(each is assertion for each in self.by_licensee.get(first, ()))


_NONE: tuple[Admitted, ...] = ()
Waiting = dict[int, list[tuple[str, Admitted | None]]]
"""Level -> principals reached at it, in order, each with the assertion that reaches it."""


class Assertions:
    """An immutable set of admitted assertions that answers queries.

    ``version`` grows with nothing: sets are values, and :meth:`with_credentials` and
    :meth:`without` give new ones that share everything with the old.
    """

    __slots__ = ("_layers", "_limits", "_revoked", "_unusual", "_withdrawn", "refused")

    def __init__(
        self,
        *,
        policies: Iterable[Admitted] = (),
        credentials: Iterable[Admitted] = (),
        refused: Sequence[Refused] = (),
        limits: Limits | None = None,
    ) -> None:
        """Index the assertions; *refused* are named in every proof as skipped."""
        policies, credentials = tuple(policies), tuple(credentials)
        if not all(each.policy for each in policies) or any(each.policy for each in credentials):
            raise TypeError("policies must be admitted with policy=True, credentials without")
        self._layers: tuple[Index, ...] = (Index.of((*policies, *credentials)),)
        self._unusual = bool(self._layers[0].dynamic)
        self._limits = limits or Limits()
        self._withdrawn: frozenset[bytes] = frozenset()
        self._revoked: frozenset[str] = frozenset()
        self.refused = tuple(refused)

    def __iter__(self) -> Iterator[Admitted]:
        """Yield every assertion once, those without licensees included."""
        seen: set[int] = set()
        for layer in self._layers:
            for posting in (layer.anybody, layer.dynamic, *layer.by_licensee.values()):
                for assertion in posting:
                    if id(assertion) not in seen and assertion.id not in self._withdrawn:
                        seen.add(id(assertion))
                        yield assertion

    def with_credentials(self, credentials: Iterable[Admitted], *, refused: Sequence[Refused] = ()) -> Assertions:
        """Return a set with *credentials* laid over this one; the cost is theirs alone."""
        return self._copy(layers=(*self._layers, Index.of(credentials, self._layers)), refused=(*self.refused, *refused))

    def without(self, ids: Iterable[bytes] = (), *, principals: Iterable[str] = ()) -> Assertions:
        """Return a set in which the assertions named by *ids*, and every use of *principals*, are gone."""
        return self._copy(withdrawn=self._withdrawn | frozenset(ids), revoked=self._revoked | frozenset(map(normalise, principals)))

    def _copy(
        self,
        *,
        layers: tuple[Index, ...] | None = None,
        refused: tuple[Refused, ...] | None = None,
        withdrawn: frozenset[bytes] | None = None,
        revoked: frozenset[str] | None = None,
    ) -> Assertions:
        made = object.__new__(Assertions)
        made._layers = self._layers if layers is None else layers
        made._unusual = any(layer.dynamic for layer in made._layers)
        made._limits = self._limits
        made._withdrawn = self._withdrawn if withdrawn is None else withdrawn
        made._revoked = self._revoked if revoked is None else revoked
        made.refused = self.refused if refused is None else refused
        return made

    def query(self, *, authorizers: Iterable[str], action: Mapping[str, str], values: Sequence[str], budget: Budget | None = None) -> Proof:
        """Return the compliance value of *action*, requested by *authorizers*, with its proof.

        *values* are ordered from the weakest.  Raises :class:`BadQuery`, :class:`TooLarge`,
        :class:`BadPrincipal` for an undecodable requester, :class:`BudgetExhausted`.
        """
        context = context_of(authorizers, action, values, self._limits, budget)
        layers = self._layers_for(context) if self._unusual else self._layers
        settled: Settled = {}
        level = _settle(layers, context, settled, self._withdrawn, self._revoked)
        return Proof(self, layers, context, settled, level)

    @property
    def withdrawn(self) -> frozenset[bytes]:
        """Ids that :meth:`without` removed."""
        return self._withdrawn

    @property
    def revoked(self) -> frozenset[str]:
        """Principals that :meth:`without` removed."""
        return self._revoked

    def is_revoked(self, assertion: Admitted) -> bool:
        """Say whether *assertion* or its authorizer has been removed."""
        return assertion.id in self._withdrawn or assertion.authorizer in self._revoked

    def _layers_for(self, context: Context) -> tuple[Index, ...]:
        """Return the layers, with the assertions whose principals this request decides resolved."""
        resolved = [found for layer in self._layers for each in layer.dynamic if (found := _resolved(each, context)) is not None]
        return (*self._layers, Index.of(resolved))


def _settle(  # noqa: C901, PLR0912 - the one loop whose every call would show in each decision
    layers: tuple[Index, ...], context: Context, settled: Settled, withdrawn: frozenset[bytes], revoked: frozenset[str]
) -> int:
    """Settle principals, strongest first, into *settled*; return the level of `POLICY`."""
    counted: dict[Admitted, int] = {}
    budget = context.budget
    work = 0
    start: list[tuple[str, Admitted | None]] = []
    for requester in context.requesters:
        start.append((requester, None))  # noqa: PERF401 - a comprehension is a call, and this is the inner loop of everything
    waiting: Waiting = {context.top: start}
    for layer in layers:
        if layer.anybody:
            _fire_anybody(layer, context, waiting, withdrawn)
    for level in range(context.top, 0, -1):
        reached = waiting.get(level, [])
        for principal, carrier in reached:  # grows while it is walked: breadth first
            if principal in settled or principal in revoked:
                continue
            settled[principal] = (level, carrier)
            if principal == POLICY:
                budget.left -= work
                return level
            for layer in layers:
                for assertion in layer.by_licensee.get(principal, _NONE):
                    trusted = assertion.trusted_by
                    if trusted.__class__ is not str and not _first_met(assertion, trusted, principal, settled, counted, budget):
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
    budget.left -= work
    return 0


def _fire_anybody(layer: Index, context: Context, waiting: Waiting, withdrawn: frozenset[bytes]) -> None:
    """Give the authorizers of assertions that trust anybody what their conditions allow."""
    for assertion in layer.anybody:
        context.budget.spend(assertion.cost)
        value = context.top if assertion.function is None else assertion.function(context, assertion.constants)
        if value and assertion.id not in withdrawn and assertion.authorizer is not None:
            waiting.setdefault(value, []).append((assertion.authorizer, assertion))


def _first_met(
    assertion: Admitted, trusted: Trusted | None, principal: str, settled: Settled, counted: dict[Admitted, int], budget: Budget
) -> bool:
    """Say whether settling *principal* is what makes these licensees hold."""
    before = counted.get(assertion, 0)
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

    A known algorithm with undecodable bits leaves the assertion out, as it does in a literal.
    """
    context.budget.spend(assertion.cost)
    tree = assertion.tree()
    env = Environment(context, dict(tree.constants))

    def principal(text: syntax.Text) -> str:
        return normalise(text_of(text, env))

    try:
        return assertion.resolved(principal(tree.authorizer), resolve(tree.licensees, principal))
    except BadPrincipal:
        return None
