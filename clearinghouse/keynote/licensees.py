"""Licensees: who, together or alone, an assertion's authorizer trusts (RFC 2704, 4.6.4).

A query settles principals from the strongest level down.  At each level a licensees expression
is then a plain yes or no over the principals settled so far: minimum, maximum and k-th highest
all commute with taking "at least this level".  An assertion fires once, at the level at which its
expression first holds, and that level is the expression's value.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from sys import intern

from clearinghouse.keynote import syntax

Resolve = Callable[[syntax.Text], str]
"""A principal's text to its normal form; raises BadPrincipal."""


@dataclass(frozen=True, slots=True)
class Quorum:
    """``k`` of the principals in ``weights``; a principal that is listed twice counts twice."""

    k: int
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Every:
    """All of the parts."""

    parts: tuple[Trusted, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the parts."""

    parts: tuple[Trusted, ...]


@dataclass(frozen=True, slots=True)
class Nobody:
    """An empty Licensees field: the weakest value for ever."""


@dataclass(frozen=True, slots=True)
class Anybody:
    """A missing Licensees field: the strongest value, whoever asks."""


Trusted = str | Quorum | Every | Some | Nobody | Anybody
"""A single principal is its own normal form."""


def resolve(node: syntax.Licensees | syntax.Empty | None, principal: Resolve) -> Trusted:
    """Return the licensees of one assertion with every principal in normal form."""
    match node:
        case None:
            return Anybody()
        case syntax.Empty():
            return Nobody()
        case syntax.Principal(name):
            return intern(principal(name))
        case syntax.Threshold(k, members):
            return _quorum(k, [intern(principal(member.name)) for member in members])
        case syntax.AllOf(parts):
            trusted = [resolve(part, principal) for part in parts]
            names = [part for part in trusted if isinstance(part, str)]
            distinct = list(dict.fromkeys(names))  # `a && a` is `a`; only k-of counts repetitions
            return _quorum(len(distinct), distinct) if len(names) == len(trusted) else Every(tuple(trusted))
        case syntax.AnyOf(parts):
            trusted = [resolve(part, principal) for part in parts]
            names = [part for part in trusted if isinstance(part, str)]
            return _quorum(1, names) if len(names) == len(trusted) else Some(tuple(trusted))


def _quorum(k: int, names: list[str]) -> Trusted:
    weights: dict[str, int] = {}
    for name in names:
        weights[name] = weights.get(name, 0) + 1
    return names[0] if len(weights) == 1 else Quorum(k, weights)


def principals(trusted: Trusted) -> Iterator[str]:
    """Yield each principal that is named, once; depth is bounded by the limit on nesting."""
    match trusted:
        case str():
            yield trusted
        case Quorum(_, weights):
            yield from weights
        case Every(parts) | Some(parts):
            yield from dict.fromkeys(name for part in parts for name in principals(part))
        case Nobody() | Anybody():
            return


def met(trusted: Trusted, settled: Container[str]) -> bool:
    """Say whether the principals *settled* so far satisfy the expression."""
    match trusted:
        case str():
            return trusted in settled
        case Quorum(k, weights):
            return sum(weight for name, weight in weights.items() if name in settled) >= k
        case Every(parts):
            return all(met(part, settled) for part in parts)
        case Some(parts):
            return any(met(part, settled) for part in parts)
        case Nobody():
            return False
        case Anybody():
            return True
