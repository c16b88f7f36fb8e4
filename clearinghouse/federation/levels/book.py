"""The levels of a community's members, for each audience, kept as assertions, members and the clock change (pure).

>>> book = LevelBook(snapshot, members, Scale("net", ("deny", "level-1", "level-2")), now=now)  # doctest: +SKIP
>>> book.rows()["a.example"]  # doctest: +SKIP
'level-1'
>>> book.change(Change(added=[credential]), now=now)  # doctest: +SKIP
{'*': Delta(changed={'b.example': 'level-2'}, unset=())}

A level is the compliance value of `federate` for a member, as `clearinghouse.federation.levels.judging` finds it one
by one.  A book finds all at once, and afterwards only what a change concerns; the answer is always the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Reason
from clearinghouse.errors import BadSettings
from clearinghouse.federation.levels.ground import Enrolled, Ground, licensees
from clearinghouse.federation.levels.judging import COMMUNITY, FEDERATE, Judged, Scale, judge, request_about
from clearinghouse.federation.levels.view import SWEPT, View
from clearinghouse.federation.published.deltas import Delta, merged
from clearinghouse.keynote import Admitted
from clearinghouse.keynote.context import octets_of
from clearinghouse.keynote.principals import normalise
from clearinghouse.keynote.uses import uses_of

__all__ = ["COMMUNITY", "Change", "Delta", "Enrolled", "Judged", "LevelBook", "Scale", "judge", "request_about"]


@dataclass(frozen=True, slots=True)
class Change:
    """What is believed from now on, and what no more: assertions by id, principals, and all that somebody says."""

    added: Iterable[Admitted] = ()
    withdrawn: Iterable[bytes] = ()
    revoked: Iterable[str] = ()
    below: Iterable[str] = ()


class LevelBook:
    """Levels for every audience that was asked about, at one time."""

    def __init__(self, snapshot: Snapshot, members: Iterable[Enrolled], scale: Scale, *, now: datetime, swept: int = SWEPT) -> None:
        """Begin with what *snapshot* says of *members*; raises `BadSettings` for no scale.

        *swept* is how many members of one shape are worth a loop of their own: it changes no level.
        """
        if len(scale.levels) < 2 or len(set(scale.levels)) != len(scale.levels):  # noqa: PLR2004 - a scale has a bottom and a top
            raise BadSettings("these are no levels", mend="name two at least, each once, the weakest first")
        self._ground = Ground(snapshot, members, scale)
        self._views: dict[str, View] = {}
        self._now = _whole(now)
        self._swept = swept

    # -- asking -------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The second at which the levels are as they are."""
        return self._now

    def rows(self, audience: str = COMMUNITY) -> dict[str, str]:
        """Return the level of each member that has more than the lowest for *audience*; raises `MalformedRequest`."""
        return dict(self._view(audience).rows)

    def level(self, domain: str, audience: str = COMMUNITY) -> str:
        """Return the level of one domain, be it a member or not."""
        return self._view(audience).rows.get(domain, self._ground.scale.levels[0])

    def flaws(self, audience: str = COMMUNITY) -> dict[str, Reason]:
        """Return why members have the lowest level whose proof must not count, or who cannot be asked about."""
        return {**self._ground.refused, **self._view(audience).flaws}

    def _view(self, audience: str) -> View:
        if audience not in self._views:
            self._views[audience] = View(self._ground, audience, self._now, self._swept)
        return self._views[audience]

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences whose levels are kept."""
        return tuple(self._views)

    def forget(self, audience: str) -> None:
        """Keep the levels for *audience* no more."""
        self._views.pop(audience, None)

    @property
    def pairwise(self) -> bool:
        """Whether the levels can differ between audiences: something that is believed reads `to_domain`."""
        uses = (uses_of(each) for each in self._ground.shelf)
        return self._ground.shelf.unsettled() or any(each.anything or "to_domain" in each.attributes for each in uses)

    @property
    def stable_until(self) -> datetime | None:
        """The first instant at which the clock alone can change a level, `None` for never (rule R17)."""
        found = [self._ground.timetable.next(self._now), *(each.stable_until for each in self._views.values())]
        return min((each for each in found if each is not None), default=None)

    def judge(self, domain: str, audience: str = COMMUNITY) -> Judged:
        """Return the level of one member with its proof, by the ordinary path."""
        names = self._ground.subjects.get(domain, ())
        return judge(request_about(domain, names[1:], audience), self._ground.view(), self._ground.scale, now=self._now)

    # -- changing -----------------------------------------------------------------------------------

    def advance(self, now: datetime) -> dict[str, Delta]:
        """Let the time be *now*; return what that changes, for each audience where it changes anything."""
        now, before = _whole(now), self._now
        self._now = now
        if now < before:
            return _said({audience: view.anew(now) for audience, view in self._views.items()})
        return self._again(self._ground.timetable.passed(before, now), (), ())

    def change(self, change: Change, *, now: datetime) -> dict[str, Delta]:
        """Believe what *change* says; return what it changes, for each audience where it changes anything."""
        told = self.advance(now)
        ground = self._ground
        revoked = {normalise(octets_of(each)) for each in change.revoked}
        changed = [each for each in change.added if ground.add(each)]
        changed += [found for each in change.withdrawn if (found := ground.take(each)) is not None]
        changed += ground.mute(normalise(octets_of(each)) for each in change.below) if change.below else []
        if revoked:
            ground.shelf.revoke(revoked)
        return _together(told, self._again(changed, revoked, ()))

    def enrol(self, members: Iterable[Enrolled] = (), *, left: Iterable[str] = (), now: datetime) -> dict[str, Delta]:
        """Take *members* in, or their new records, and let those that have *left* go; return what that changes."""
        told = self.advance(now)
        taken, gone = tuple(members), tuple(left)
        for domain in gone:
            self._ground.leave(domain)
        for member in taken:
            self._ground.enrol(member)
        return _together(told, self._again((), (), (*gone, *(each.domain for each in taken))))

    def believe(self, snapshot: Snapshot, *, now: datetime) -> dict[str, Delta]:
        """Believe what *snapshot* says, all of it and nothing else; what changed is found by comparing all ids."""
        ground = self._ground
        wanted = {each.id: each for each in snapshot.assertions(FEDERATE)}
        revoked = {normalise(octets_of(each)) for each in (*snapshot.revoked, snapshot.desk) if each}
        if snapshot.desk != ground.desk or not ground.shelf.revoked <= revoked:
            return self._begin_again(snapshot, now)
        ground.muted = frozenset()
        held = ground.shelf.ids
        added = [each for identity, each in wanted.items() if identity not in held]
        return self.change(Change(added, held - wanted.keys(), revoked - ground.shelf.revoked, snapshot.below), now=now)

    def _begin_again(self, snapshot: Snapshot, now: datetime) -> dict[str, Delta]:
        told = self.advance(now)
        self._ground.rest_on(snapshot)
        return _together(told, {audience: view.anew(self._now) for audience, view in self._views.items()})

    def _again(self, changed: Iterable[Admitted], revoked: Iterable[str], domains: Iterable[str]) -> dict[str, Delta]:
        """Look again at whatever rests on *changed* assertions, *revoked* principals or the records of *domains*."""
        ground = self._ground
        principals = {*revoked, *(name for each in changed for name in licensees(each))}
        concerned = {*domains, *(domain for name in principals for domain in ground.owners_of(name))}
        for domain in concerned:
            if domain in ground.subjects:
                ground.place(domain)
        return _said({audience: view.again(concerned, principals, self._now) for audience, view in self._views.items()})


def _whole(now: datetime) -> datetime:
    """Return the second of *now*: conditions see no less."""
    return now.astimezone(UTC).replace(microsecond=0)


def _said(told: Mapping[str, Delta]) -> dict[str, Delta]:
    return {audience: delta for audience, delta in told.items() if len(delta)}


def _together(first: Mapping[str, Delta], then: Mapping[str, Delta]) -> dict[str, Delta]:
    """Return two changes as one; what the second undoes of the first is told all the same."""
    return {audience: merged([each[audience] for each in (first, then) if audience in each]) for audience in {**first, **then}}
