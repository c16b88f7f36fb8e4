"""What a query looks at: admitted assertions by licensee, in layers, less what has been revoked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clearinghouse.keynote.credential import Admitted, Refused
from clearinghouse.keynote.licensees import Anybody, principals


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

    def __iter__(self) -> Iterator[Admitted]:
        """Yield every assertion once."""
        yield from dict.fromkeys(each for posting in (self.anybody, self.dynamic, *self.by_licensee.values()) for each in posting)


@dataclass(frozen=True, slots=True)
class Held:
    """Layers of assertions, the ids and principals that were taken away, and what was not admitted."""

    layers: tuple[Index, ...]
    withdrawn: frozenset[bytes] = frozenset()
    revoked: frozenset[str] = frozenset()
    refused: tuple[Refused, ...] = ()

    def is_revoked(self, assertion: Admitted) -> bool:
        """Say whether *assertion* or its authorizer has been taken away."""
        return assertion.id in self.withdrawn or assertion.authorizer in self.revoked
