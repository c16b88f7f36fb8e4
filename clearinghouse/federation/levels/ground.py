"""What levels rest on: the assertions of a moment, the members, and which assertions are about which of them (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from sys import intern
from typing import Final, Protocol

from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.request import REQUESTERS
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Kind, is_canonical
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.levels.judging import FEDERATE, Scale, request_about
from clearinghouse.federation.levels.timetable import Timetable
from clearinghouse.keynote import Admitted, Assertions
from clearinghouse.keynote.compiler import Function
from clearinghouse.keynote.context import ACTION_AUTHORIZERS, octets_of
from clearinghouse.keynote.licensees import Quorum, principals
from clearinghouse.keynote.principals import is_key, normalise
from clearinghouse.keynote.remembered import Remembered
from clearinghouse.keynote.shelf import Shelf
from clearinghouse.keynote.uses import Uses, uses_by

_SERVER: Final = "xmpp:"
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FUNCTIONS: Final = 4_096
"""Functions of conditions about which is remembered whether they are usual, as many as there are shapes."""
_is_usual_key = re.compile(r"ed25519-hex:[0-9a-f]{64}").fullmatch
"""A key that is in normal form as it stands."""


class Enrolled(Protocol):
    """What of a member's record counts here: its domain in normal form, and its keys."""

    @property
    def domain(self) -> str:
        """The domain."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Principals with which the member signs."""


class Ground:
    """Assertions and members.

    ``subjects`` has the requesters of each member in normal form.  ``plain`` are the members whose own assertions
    ask for nothing but their conditions, and ``groups`` the same by the functions of those.  ``others`` are the
    members with own assertions that are not plain, ``odd`` those whose record names what is no key: they are
    judged one by one.  ``refused`` says who cannot be asked about at all, and why.
    """

    def __init__(self, snapshot: Snapshot, members: Iterable[Enrolled], scale: Scale) -> None:
        """Put everything in its place."""
        self.scale = scale
        self.subjects: dict[str, tuple[str, ...]] = {}
        self.plain: dict[str, tuple[Admitted, ...]] = {}
        self.groups: dict[tuple[Function, ...], dict[str, tuple[Admitted, ...]]] = {}
        self.others: set[str] = set()
        self.odd: set[str] = set()
        self.refused: dict[str, Reason] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self.known = frozenset(gather(request_about("a.example", ()), community=scale.community, now=_ANY_TIME).attributes)
        self._usual: Remembered[Function | None, bool] = Remembered(self._is_usual, _FUNCTIONS)
        self._believe(snapshot)
        for member in members:
            self.enrol(member)

    def _believe(self, snapshot: Snapshot) -> None:
        self.desk = snapshot.desk
        self.shelf = Shelf(snapshot.assertions(FEDERATE), _revoked(snapshot))
        self.muted = frozenset(normalise(octets_of(each)) for each in snapshot.below)
        self.timetable = Timetable()

    def rest_on(self, snapshot: Snapshot) -> None:
        """Believe *snapshot* instead of everything that was believed."""
        self._believe(snapshot)
        for domain in self.subjects:
            self._note(domain)
            self.place(domain)

    # -- members ------------------------------------------------------------------------------------

    def enrol(self, member: Enrolled) -> None:
        """Take a member in, or its new record instead of the old one."""
        domain = member.domain
        if domain in self.subjects:
            self.leave(domain)
        try:
            names = self._requesters(domain, member.keys)
        except ClearinghouseError as error:
            self.refused[domain] = Reason(error.code, str(error))
            names = ()
        self.subjects[domain] = names
        for name in names[1:]:
            self._keys[name] = (*self._keys.get(name, ()), domain)
        if not all(_is_usual_key(name) or is_key(name) for name in names[1:]):
            self.odd.add(domain)
        self._note(domain)
        self.place(domain)

    def _note(self, domain: str) -> None:
        for name in self.subjects[domain]:
            for each in self.shelf.by_licensee.get(name, ()):
                self.timetable.put(each)

    def _requesters(self, domain: str, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return who asks for a member; raises what asking about it would raise."""
        server = intern(f"{_SERVER}{domain}")
        usual = is_canonical(Kind.DOMAIN, domain) and len(keys) < REQUESTERS
        if usual and all(map(_is_usual_key, keys)):
            return (server, *dict.fromkeys(map(intern, keys))) if keys else (server,)
        gather(request_about(domain, keys), community=self.scale.community, now=_ANY_TIME)
        return tuple(dict.fromkeys(intern(normalise(octets_of(name))[:]) for name in (server, *keys)))

    def leave(self, domain: str) -> None:
        """Let a member go."""
        names = self.subjects.pop(domain, ())
        for name in names[1:]:
            left = tuple(each for each in self._keys[name] if each != domain)
            if left:
                self._keys[name] = left
            else:
                del self._keys[name]
        for name in names:
            for each in self.shelf.by_licensee.get(name, ()):
                if not any(self.owners(each)):
                    self.timetable.drop(each)
        self._unplace(domain)
        self.refused.pop(domain, None)
        self.odd.discard(domain)

    def owners(self, assertion: Admitted) -> Iterator[str]:
        """Yield the members that are among the licensees of *assertion*."""
        for name in licensees(assertion):
            yield from self.owners_of(name)

    def owners_of(self, name: str) -> Iterator[str]:
        """Yield the members that ask as *name*."""
        if name.startswith(_SERVER) and name in self.subjects.get(name[len(_SERVER) :], ()):
            yield name[len(_SERVER) :]
        yield from self._keys.get(name, ())

    def place(self, domain: str) -> None:
        """Look anew at what a member's own assertions ask for."""
        self._unplace(domain)
        found: tuple[Admitted, ...] = ()
        by_licensee, usual = self.shelf.by_licensee, self._usual
        for name in self.subjects[domain]:
            posted = by_licensee.get(name)
            if posted is None or name in self.shelf.revoked:
                continue
            for each in posted:
                if not (usual[each.function] and (each.trusted_by is name or _asks_for_one(each))):
                    self.others.add(domain)
                    return
            found = (*found, *posted) if found else posted
        if domain in self.odd:
            self.others.add(domain)
        elif found:
            self.plain[domain] = found
            self.groups.setdefault(_shape(found), {})[domain] = found

    def _unplace(self, domain: str) -> None:
        self.others.discard(domain)
        found = self.plain.pop(domain, None)
        if found is not None:
            group = self.groups[_shape(found)]
            del group[domain]
            if not group:
                del self.groups[_shape(found)]

    def _is_usual(self, function: Function | None) -> bool:
        """Say whether conditions read nothing but what every table knows, and of the request nothing but its domain."""
        if function is None:
            return False
        uses = uses_by(function)
        return uses is not None and not self.is_live(uses) and ACTION_AUTHORIZERS not in uses.specials

    def is_live(self, uses: Uses) -> bool:
        """Say whether conditions can read what no table knows (rule R7)."""
        return uses.anything or not uses.attributes <= self.known

    # -- assertions ---------------------------------------------------------------------------------

    def add(self, assertion: Admitted) -> bool:
        """Believe *assertion*; say whether that is new."""
        if assertion.authorizer in self.muted or not self.shelf.add(assertion):
            return False
        if any(self.owners(assertion)):
            self.timetable.put(assertion)
        return True

    def take(self, identity: bytes) -> Admitted | None:
        """Believe the assertion of that id no more, and return it if it was believed."""
        found = self.shelf.take(identity)
        if found is not None:
            self.timetable.drop(found)
        return found

    def mute(self, names: Iterable[str]) -> list[Admitted]:
        """Believe no more what *names* say; return what that took away (rule R15)."""
        muted = frozenset(names)
        self.muted |= muted
        gone = [each.id for each in self.shelf if each.authorizer in muted]
        return [found for identity in gone if (found := self.take(identity)) is not None]

    def view(self) -> Snapshot:
        """Return what is believed, for the ordinary path; it is good until the next change."""
        return Snapshot("", {FEDERATE: Assertions.holding(self.shelf.held)}, desk=self.desk)


def _shape(assertions: tuple[Admitted, ...]) -> tuple[Function, ...]:
    """Return the functions of usual assertions, one after the other."""
    return tuple([each.function for each in assertions if each.function is not None])


def _asks_for_one(assertion: Admitted) -> bool:
    """Say whether each of the licensees suffices."""
    trusted = assertion.trusted_by
    return isinstance(trusted, Quorum) and trusted.k == 1


def licensees(assertion: Admitted) -> Iterator[str]:
    """Yield whom *assertion* trusts, in normal form, as far as that does not depend on the request."""
    return iter(()) if assertion.trusted_by is None else principals(assertion.trusted_by)


def _revoked(snapshot: Snapshot) -> Iterator[str]:
    """Yield the principals, in normal form, that a first query does without (rules R2 and R15)."""
    names = (*snapshot.revoked, snapshot.desk) if snapshot.desk else snapshot.revoked
    return (normalise(octets_of(each)) for each in names)
