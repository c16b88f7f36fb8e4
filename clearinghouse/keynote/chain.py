"""The chain that carried a value: each assertion from `POLICY` down, with the clause that fired."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clearinghouse.errors import TooLarge
from clearinghouse.keynote.conditions import Outcome
from clearinghouse.keynote.context import POLICY, Context
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.evaluation import Reached
from clearinghouse.keynote.licensees import Every, Quorum, Some, Trusted, met
from clearinghouse.keynote.octets import from_octets

Settled = dict[str, tuple[int, Admitted | None]]
"""Principal -> its level, and the assertion that gave it (``None`` for a requester)."""


@dataclass(frozen=True, slots=True)
class Link:
    """One assertion that carried the value.

    ``clause`` numbers the clause that fired, inner clauses after their outer one; it is empty where
    there are no Conditions.  ``reads`` are the attributes that this clause read, and those that name
    the principals, with their values; ``licensees`` the principals that met the Licensees field.
    """

    id: str
    policy: bool
    source: str
    authorizer: str
    licensees: tuple[str, ...]
    value: str
    clause: tuple[int, ...]
    reads: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the link in the documented schema."""
        return {
            "id": self.id,
            "channel": "policy" if self.policy else "credential",
            "source": self.source,
            "authorizer": self.authorizer,
            "licensees": list(self.licensees),
            "value": self.value,
            "clause": list(self.clause),
            "reads": dict(self.reads),
        }


def links(context: Context, settled: Settled, evaluate: Callable[[Admitted], Reached]) -> Iterator[Link]:
    """Yield the chain from `POLICY` down, each assertion once; raises TooLarge beyond ``limits.chain``."""
    order = list(settled)
    waiting, done = [POLICY], set[str]()
    while waiting:
        principal = waiting.pop(0)
        _, carrier = settled.get(principal, (0, None))
        if carrier is None or principal in done:
            continue
        done.add(principal)
        if len(done) > context.limits.chain:
            raise TooLarge("the chain is too long", mend=f"at most {context.limits.chain} assertions are followed (`chain`)")
        # Who was settled before explains it, and cannot lean on it in turn as in a cycle of one strength.
        used = tuple(_used(carrier.trusted_by, frozenset(order[: order.index(principal)])))
        yield _link(context, evaluate(carrier), used)
        waiting += used


def rested_on(reached: Reached) -> Mapping[str, str]:
    """Return the attributes on which an assertion's value rests: those that its clause read, and that name its principals."""
    best = _best(reached.outcomes)
    return readable({**reached.named, **(best.reads if best else {})})


def _link(context: Context, reached: Reached, used: tuple[str, ...]) -> Link:
    carrier, best = reached.assertion, _best(reached.outcomes)
    return Link(
        id=carrier.name,
        policy=carrier.policy,
        source=carrier.source,
        authorizer=from_octets(carrier.authorizer or ""),
        licensees=tuple(map(from_octets, used)),
        value=from_octets(context.scale.names[reached.level]),
        clause=best.path if best else (),
        reads=rested_on(reached),
    )


def _best(found: tuple[Outcome, ...]) -> Outcome | None:
    """Return the innermost clause that gave the strongest level."""
    best = max((each for each in found if each.level > 0), key=lambda each: each.level, default=None)
    while best is not None and best.inner:
        best = max(best.inner, key=lambda each: each.level)
    return best


def _used(trusted: Trusted | None, settled: Container[str]) -> Iterator[str]:
    """Yield the principals by which licensees hold: no more than are needed."""
    match trusted:
        case str():
            yield trusted
        case Quorum(k, weights):
            count = 0
            for name, weight in weights.items():
                if count < k and name in settled:
                    count += weight
                    yield name
        case Every(parts):
            for part in parts:
                yield from _used(part, settled)
        case Some(parts):
            yield from _used(next((part for part in parts if met(part, settled)), None), settled)
        case _:
            return


def readable(reads: Mapping[str, str]) -> Mapping[str, str]:
    """Return attributes as people read them."""
    return {name: from_octets(value) for name, value in reads.items()}
