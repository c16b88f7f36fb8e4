"""Assertions of which some come and others go: what :class:`Index` is for those that stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clearinghouse.keynote.context import POLICY
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.index import Held, Index
from clearinghouse.keynote.licensees import Anybody, principals


class Shelf:
    """Assertions by licensee, each id once; ``held`` is what a query looks at, and follows every change.

    ``revoked`` are principals in normal form that are as if nobody named them.
    """

    __slots__ = ("_by_id", "_special", "by_licensee", "held", "revoked")

    def __init__(self, assertions: Iterable[Admitted] = (), revoked: Iterable[str] = ()) -> None:
        """Put *assertions* in their places."""
        self._by_id: dict[bytes, Admitted] = {}
        self._special: dict[bytes, Admitted] = {}
        self.by_licensee: dict[str, tuple[Admitted, ...]] = {}
        self.revoked = frozenset(revoked)
        gathered: dict[str, list[Admitted]] = {}
        for each in assertions:
            for name in self._noted(each):
                gathered.setdefault(name, []).append(each)
        for name, found in gathered.items():
            self.by_licensee[name] = tuple(found)
        self.held = self._holding()

    def _noted(self, assertion: Admitted) -> Iterable[str]:
        """Keep *assertion* by its id; return the licensees under which it has yet to be put."""
        if assertion.id in self._by_id:
            return ()
        self._by_id[assertion.id] = assertion
        trusted = assertion.trusted_by
        if trusted is None or assertion.authorizer is None or isinstance(trusted, Anybody):
            self._special[assertion.id] = assertion
            return ()
        return (trusted,) if isinstance(trusted, str) else principals(trusted)

    def __len__(self) -> int:
        """Return how many assertions there are."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Admitted]:
        """Yield each assertion."""
        return iter(self._by_id.values())

    def __getitem__(self, identity: bytes) -> Admitted:
        """Return the assertion of that id; raises KeyError."""
        return self._by_id[identity]

    def __contains__(self, identity: bytes) -> bool:
        """Say whether an assertion of that id is there."""
        return identity in self._by_id

    @property
    def ids(self) -> set[bytes]:
        """The ids of all assertions."""
        return set(self._by_id)

    def add(self, assertion: Admitted) -> bool:
        """Put *assertion* in its place; say whether it was not there."""
        if assertion.id in self._by_id:
            return False
        for name in self._noted(assertion):
            self.by_licensee[name] = (*self.by_licensee.get(name, ()), assertion)
        self._renew(assertion)
        return True

    def take(self, identity: bytes) -> Admitted | None:
        """Take the assertion of that id away and return it, if it is there."""
        assertion = self._by_id.pop(identity, None)
        if assertion is None:
            return None
        if identity in self._special:
            del self._special[identity]
            self.held = self._holding()
            return assertion
        for name in principals(assertion.trusted_by) if assertion.trusted_by is not None else ():
            left = tuple(each for each in self.by_licensee[name] if each is not assertion)
            if left:
                self.by_licensee[name] = left
            else:
                del self.by_licensee[name]
        return assertion

    def revoke(self, names: Iterable[str]) -> None:
        """From now on look at nothing that *names*, principals in normal form, say or ask."""
        self.revoked |= frozenset(names)
        self.held = self._holding()

    def _renew(self, assertion: Admitted) -> None:
        if assertion.id in self._special:
            self.held = self._holding()

    def _holding(self) -> Held:
        special = self._special.values()
        dynamic = tuple(each for each in special if each.trusted_by is None or each.authorizer is None)
        anybody = tuple(each for each in special if each not in dynamic)
        # The index sees the mapping itself, so most changes need no new one.
        return Held((Index(self.by_licensee, anybody, dynamic, frozenset()),), revoked=self.revoked)

    def unsettled(self) -> bool:
        """Say whether anything that could reach `POLICY` trusts anybody, or has principals that the request decides."""
        return any(each.authorizer is None or self.leads_up(each.authorizer) for each in self._special.values())

    def leads_up(self, principal: str) -> bool:
        """Say whether *principal* could reach `POLICY`, whatever the conditions on the way."""
        return POLICY in self.above((principal,))

    def above(self, names: Iterable[str]) -> dict[str, None]:
        """Return *names* and every principal that they could reach, whatever the conditions on the way."""
        found = dict.fromkeys(names)
        waiting = list(found)
        while waiting:
            for assertion in self.by_licensee.get(waiting.pop(), ()):
                if assertion.authorizer is not None and assertion.authorizer not in found:
                    found[assertion.authorizer] = None
                    waiting.append(assertion.authorizer)
        return found
