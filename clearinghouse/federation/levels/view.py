"""The levels of all members for one audience, and what is looked at again when something changes (pure).

A member's own assertions are its credentials by the community's registrars and auditors.  What those lead to
above depends, most of the time, on nothing but who they are and what they give: so it is found once for each
such outcome, and remembered.  Whatever is not so plain takes a longer way, to the same answer:

- *plain*: the conditions of the member's own assertions, and what their outcome leads to;
- *alone*: a query without a proof, where something above reads who asks, or licensees ask for more than one;
- *judged*: the ordinary path (`clearinghouse.federation.levels.judging`), where a proof could be unsound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress
from typing import Any, Final

from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.vocabulary import Door, shown
from clearinghouse.federation.levels.ground import Ground
from clearinghouse.federation.levels.judging import FEDERATE, PATIENCE, judge, request_about
from clearinghouse.federation.published.deltas import Delta
from clearinghouse.keynote import Admitted, Budget, Limits
from clearinghouse.keynote.chain import rested_on
from clearinghouse.keynote.clock import ClockUse, clock_attributes, next_change
from clearinghouse.keynote.compliance import ascend
from clearinghouse.keynote.context import ACTION_AUTHORIZERS, Context, context_of
from clearinghouse.keynote.evaluation import evaluated
from clearinghouse.keynote.sweeps import sweep_of
from clearinghouse.keynote.uses import clock_of, uses_of

MAX_OUTCOMES: Final = 262_144
"""Outcomes that are remembered for one audience; a community with one registrar and ten auditors has some thousands."""

SWEPT: Final = 32
"""Members of one shape for which a loop of their own is made, once: that takes as long as some hundred are asked one by one."""

_ABREAST: Final = 6
"""Own assertions of one member in such a loop; of more, no two members are likely to have the same."""

_FROM: Final = "from_domain"


@dataclass(slots=True, eq=False)
class Reach:
    """What a way leads through: ``principals``, and ``changes``, when the clock can change what is said there.

    ``personal`` says that something there reads who asks; ``live`` are assertions that read what no table knows.
    ``members`` counts whose level rests on it.
    """

    principals: frozenset[str]
    changes: datetime | None
    personal: bool = False
    live: tuple[Admitted, ...] = ()
    members: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an outcome leads to; ``name`` is empty for the lowest level, ``plain`` false where each member must be asked about.

    ``flaw`` says why it is the lowest where more could be proven, and not soundly.
    """

    reach: Reach
    name: str
    plain: bool
    flaw: Reason | None = None


Outcome = tuple[Any, ...]
"""An authorizer and the level that its assertion gives, the next authorizer and its level, and so on."""


class Outcomes(dict[Outcome, Found]):
    """What outcomes lead to, each found when it is first met; ``plain`` says that each of them is, and none has a flaw."""

    def __init__(self, find: Callable[[Outcome], Found]) -> None:
        """Find by *find*."""
        super().__init__()
        self.plain = True
        self._find = find

    def __missing__(self, outcome: Outcome) -> Found:
        """Find it."""
        if len(self) >= MAX_OUTCOMES:
            self.clear()
        found = self[outcome] = self._find(outcome)
        self.plain = self.plain and found.plain and found.flaw is None
        return found


class View:
    """Levels for one audience at one time."""

    def __init__(self, ground: Ground, audience: str, now: datetime, swept: int = SWEPT) -> None:
        """Find all of them; *swept* are so many of one shape that they are worth a loop of their own."""
        self._swept = swept
        self.audience = audience
        self._ground = ground
        facts = gather(request_about("a.example", (), audience), community=ground.scale.community, now=now)
        self._limits = Limits()
        found = context_of(facts.requesters, facts.attributes, ground.scale.levels, self._limits)
        self._scale = found.scale
        self._action: dict[str, str] = {**found.action}
        self._names = tuple("" if level == 0 else name for level, name in enumerate(ground.scale.levels))
        self.rows: dict[str, str] = {}
        self.flaws: dict[str, Reason] = {}
        self._start(now)

    def _start(self, now: datetime) -> None:
        self._now = now
        self._action.update(clock_attributes(now))
        self._changes: dict[ClockUse, datetime | None] = {}
        self._context = Context((), self._action, self._scale, self._limits, Budget(PATIENCE))
        self._reach_of: dict[str, Reach] = {}
        self._reaches: dict[frozenset[str], Reach] = {}
        self._outcomes = Outcomes(self._led_to)
        self.rows.clear()
        self.flaws.clear()
        self._unsettled = self._ground.shelf.unsettled()
        self._find_all()
        for reach, count in Counter(self._reach_of.values()).items():
            reach.members = count

    # -- finding ------------------------------------------------------------------------------------

    def _find_all(self) -> None:
        """Find everybody's level; what is plain, all of one shape at once."""
        ground = self._ground
        if self._unsettled:
            self._find((), ())
            return
        for functions, group in ground.groups.items():
            sweep = sweep_of(functions, _FROM) if len(group) >= self._swept and len(functions) <= _ABREAST else None
            found = sweep(self._context, group, self._outcomes) if sweep else None
            if found is None or not self._outcomes.plain:
                self._find(group.items(), ())
            else:
                names = [each.name for each in found]
                self._reach_of.update(zip(group, [each.reach for each in found], strict=True))
                self.rows.update(zip(compress(group, names), filter(None, names), strict=True))
        self._find((), ground.others)

    def _find(self, plain: Iterable[tuple[str, tuple[Admitted, ...]]], others: Iterable[str]) -> None:
        """Find the levels of those who are *plain*, with their own assertions, and of *others*."""
        if self._unsettled:
            for domain in self._ground.subjects:
                self._judged(domain)
            return
        for domain in (*self._plainly(plain), *others):
            self._alone(domain)

    def _plainly(self, plain: Iterable[tuple[str, tuple[Admitted, ...]]]) -> list[str]:
        """Find what is plain; return whom else *plain* names."""
        left: list[str] = []
        action, context, outcomes, reach_of, rows = self._action, self._context, self._outcomes, self._reach_of, self.rows
        context.budget.left = PATIENCE
        for domain, own in plain:
            action[_FROM] = domain
            outcome: list[str | int] = []
            for each in own:
                level = context.top if each.function is None else each.function(context, each.constants)
                outcome += (each.authorizer or "", level)
            found = outcomes[tuple(outcome)]
            if found.plain:
                reach_of[domain] = found.reach
                if found.name:
                    rows[domain] = found.name
                elif found.flaw is not None:
                    self.flaws[domain] = found.flaw
            else:
                left.append(domain)
        return left

    def _led_to(self, outcome: Outcome) -> Found:
        """Return what *outcome* leads to, found once."""
        reached: dict[str, int] = {}
        for author, level in zip(outcome[::2], outcome[1::2], strict=True):
            if level > reached.get(author, 0):
                reached[author] = level
        held, through, unsound, first = self._ground.shelf.held, frozenset(reached), dict[bytes, Reason](), 0
        while True:
            settled, level = ascend(replace(held, withdrawn=frozenset(unsound)) if unsound else held, self._context, reached)
            through, first = through.union(settled), max(first, level)
            reach = self._reach(through)
            if reach.personal or len(through) > self._limits.chain:
                return Found(reach, "", plain=False)
            more = {each.id: flaw for each in reach.live if each.id not in unsound and (flaw := self._flaw(each)) is not None}
            if not more:
                return Found(reach, self._names[level], plain=True, flaw=next(iter(unsound.values()), None) if level == 0 < first else None)
            unsound |= more

    def _flaw(self, assertion: Admitted) -> Reason | None:
        """Return why a proof through *assertion*, which reads nothing of who asks, would not be sound (rules R7 and R11)."""
        found = evaluated(self._context, assertion)
        unknown = [name for name in rested_on(found) if name not in self._ground.known and not name.startswith("_")]
        if found.level == 0 or not unknown:
            return None
        text = f"assertion {assertion.name[:8]} reads `{shown(unknown[0])}`, which the {Door.TABLE} door does not set for `{FEDERATE}`"
        return Reason("fact-missing", text)

    def _reach(self, principals: frozenset[str]) -> Reach:
        """Return what is said by those who trust *principals*, looked at once."""
        found = self._reaches.get(principals)
        if found is None:
            found = self._reaches[principals] = self._looked_at(principals)
        return found

    def _looked_at(self, principals: frozenset[str]) -> Reach:
        ground, live, personal, changes = self._ground, [], False, []
        for assertion in self._trusting(principals):
            uses = uses_of(assertion)
            personal = personal or uses.anything or _FROM in uses.attributes or ACTION_AUTHORIZERS in uses.specials
            if ground.is_live(uses):
                live.append(assertion)
            if uses.clock != ():
                changes.append(self._change(clock_of(assertion)))
        return Reach(principals, min((each for each in changes if each is not None), default=None), personal, tuple(live))

    def _change(self, use: ClockUse) -> datetime | None:
        """Return when the clock next changes what *use* sees; many end on the same day."""
        if use not in self._changes:
            self._changes[use] = next_change(use, self._now)
        return self._changes[use]

    def _trusting(self, principals: Iterable[str]) -> Iterator[Admitted]:
        shelf = self._ground.shelf
        for name in principals:
            if name not in shelf.revoked:
                yield from shelf.by_licensee.get(name, ())

    @staticmethod
    def _fires(live: Iterable[Admitted], context: Context) -> bool:
        """Say whether anything that reads what no table knows gives anything: then a proof may rest on it."""
        return any(each.function is not None and each.function(context, each.constants) for each in live)

    def _alone(self, domain: str) -> None:
        """Ask about one member, and settle for the value where no proof could be unsound."""
        ground = self._ground
        names = ground.subjects[domain]
        if domain in ground.odd:
            self._judged(domain)
            return
        self._action[_FROM] = domain
        context = Context(names, self._action, self._scale, self._limits, Budget(PATIENCE))
        settled, level = ascend(ground.shelf.held, context)
        reach = self._reach(frozenset(settled).difference(names))
        own = (each for each in self._trusting(names) if ground.is_live(uses_of(each)))
        if len(settled) > self._limits.chain or self._fires(reach.live, context) or self._fires(own, context):
            self._judged(domain)
            return
        self._reach_of[domain] = reach
        if level:
            self.rows[domain] = self._names[level]

    def _judged(self, domain: str) -> None:
        """Take the ordinary path; whatever could have a say above is what it rests on."""
        ground = self._ground
        names = ground.subjects[domain]
        if not names:
            return
        found = judge(request_about(domain, names[1:], self.audience), ground.view(), ground.scale, now=self._now)
        self._reach_of[domain] = self._reach(frozenset(ground.shelf.above(names)).difference(names))
        if found.reason is not None:
            self.flaws[domain] = found.reason
        if found.level != ground.scale.levels[0]:
            self.rows[domain] = found.level

    # -- finding again ------------------------------------------------------------------------------

    def again(self, domains: Collection[str], principals: Collection[str], now: datetime) -> Delta:
        """Find again the levels of *domains*, and of whomever a change in what *principals* reach, or the clock, concerns.

        The clock does not go backward.
        """
        unsettled = self._ground.shelf.unsettled()
        if unsettled or self._unsettled:
            return self.anew(now)
        if now != self._now:
            self._changes.clear()
        self._now = now
        self._action.update(clock_attributes(now))
        stale = [each for each in self._reaches.values() if _is_stale(each, principals, now)]
        concerned = {*domains, *self._forget(stale)} if stale else domains
        before = {domain: self.rows.pop(domain, "") for domain in concerned}
        for domain in concerned:
            self.flaws.pop(domain, None)
            reach = self._reach_of.pop(domain, None)
            if reach is not None:
                reach.members -= 1
        plain, others = self._ground.plain, self._ground.others
        self._find(
            [(domain, plain[domain]) for domain in concerned if domain in plain], [domain for domain in concerned if domain in others]
        )
        for domain in concerned:
            if domain in self._reach_of:
                self._reach_of[domain].members += 1
        if len(self._reaches) > MAX_OUTCOMES:
            self._forget([each for each in self._reaches.values() if not each.members])
        return _delta(before, self.rows)

    def _forget(self, stale: list[Reach]) -> list[str]:
        """Forget what *stale* ones led to; return whose level rests on them."""
        gone = set(stale)
        for reach in stale:
            del self._reaches[reach.principals]
        for outcome in [outcome for outcome, found in self._outcomes.items() if found.reach in gone]:
            del self._outcomes[outcome]
        return [domain for domain, reach in self._reach_of.items() if reach in gone] if any(each.members for each in stale) else []

    def anew(self, now: datetime) -> Delta:
        """Find everything again."""
        before = dict(self.rows)
        self._start(now)
        return _delta({domain: before.get(domain, "") for domain in {**before, **self.rows}}, self.rows)

    @property
    def stable_until(self) -> datetime | None:
        """The first instant at which the clock alone can change anything above the members' own assertions (rule R17)."""
        if self._unsettled:
            uses = (
                each.clock_use() if each.trusted_by is None or each.authorizer is None else clock_of(each) for each in self._ground.shelf
            )
            return min((each for use in uses if (each := next_change(use, self._now)) is not None), default=None)
        return min((each.changes for each in self._reaches.values() if each.members and each.changes is not None), default=None)


def _is_stale(reach: Reach, principals: Collection[str], now: datetime) -> bool:
    return (reach.changes is not None and reach.changes <= now) or not reach.principals.isdisjoint(principals)


def _delta(before: dict[str, str], rows: dict[str, str]) -> Delta:
    changed = {domain: rows[domain] for domain, level in before.items() if domain in rows and rows[domain] != level}
    return Delta(changed, tuple(sorted(domain for domain, level in before.items() if level and domain not in rows)))
