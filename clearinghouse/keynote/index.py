"""What a query looks at: admitted assertions by licensee, in layers, less what has been revoked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from clearinghouse.keynote.credential import Admitted, Refused
from clearinghouse.keynote.licensees import Anybody, principals


@dataclass(frozen=True)
class Index:
    """Assertions by licensee; those that trust anybody, and those whose principals need the request."""

    by_licensee: Mapping[str, tuple[Admitted, ...]]
    anybody: tuple[Admitted, ...]
    dynamic: tuple[Admitted, ...]
    joint: frozenset[Admitted]
    """Those of several licensees: the ones that would count somebody twice if they were indexed twice."""

    @classmethod
    def of(cls, assertions: Iterable[Admitted], below: Sequence[Index] = ()) -> Index:
        """Index *assertions*, each once; those that trust nobody are never reached and need no place.

        One of several licensees that a layer *below* holds already is left out.
        """
        postings: dict[str, list[Admitted]] = {}
        anybody, dynamic, joint = [], [], []
        for assertion in dict.fromkeys(assertions):
            if any(assertion in layer.joint for layer in below):
                continue
            match assertion.trusted_by:
                case None:
                    dynamic.append(assertion)
                case _ if assertion.authorizer is None:
                    dynamic.append(assertion)
                case Anybody():
                    anybody.append(assertion)
                case trusted:
                    if not isinstance(trusted, str):
                        joint.append(assertion)
                    for principal in principals(trusted):
                        postings.setdefault(principal, []).append(assertion)
        return cls({principal: tuple(found) for principal, found in postings.items()}, tuple(anybody), tuple(dynamic), frozenset(joint))

    @cached_property
    def by_authorizer(self) -> Mapping[str, tuple[Admitted, ...]]:
        """Assertions by authorizer, for explanations: made once, when first something is explained."""
        found: dict[str, list[Admitted]] = {}
        for assertion in self:
            if assertion.authorizer is not None:
                found.setdefault(assertion.authorizer, []).append(assertion)
        return {authorizer: tuple(posting) for authorizer, posting in found.items()}

    def __iter__(self) -> Iterator[Admitted]:
        """Yield every assertion once."""
        yield from dict.fromkeys(each for posting in (self.anybody, self.dynamic, *self.by_licensee.values()) for each in posting)


@dataclass(frozen=True, slots=True)
class Held:
    """Layers of assertions, the ids and principals that were taken away, and what was not admitted.

    The first ``loaded`` layers are what is believed; those after it came with one request.
    """

    layers: tuple[Index, ...]
    withdrawn: frozenset[bytes] = frozenset()
    revoked: frozenset[str] = frozenset()
    refused: tuple[Refused, ...] = ()
    loaded: int = 1

    def is_revoked(self, assertion: Admitted) -> bool:
        """Say whether *assertion* or its authorizer has been taken away."""
        return assertion.id in self.withdrawn or assertion.authorizer in self.revoked
