"""However people, policy, time and crashes fall together: each case comes to one end, and what stands is what policy gives.

Invariants, after any sequence of steps:

1. the store never sees a case leave a final state, nor two decisions of one case that grant or refuse it;
2. what is in memory is what a restart would read from the store;
3. after a review, every grant that stands is one that both queries give now, and every other has ended with a reason;
4. the broker is never told yes to somebody who has no decision that says so.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.cases import CaseClosed, CaseState, Revocation, RevocationKind
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import ApproveSubscription
from clearinghouse.clearing.people import AlreadyApproved, NoSuchThing
from clearinghouse.errors import ClearinghouseError, StoreUnavailable, Unavailable
from clearinghouse.runtime.people.judging import Holds, Judge
from clearinghouse.runtime.standing.books import Crossed
from clearinghouse.signer.inline import InlineSigner
from clearinghouse.storage.changes import CaseMoved, Change, Decided, Revoked
from clearinghouse.storage.memory import MemoryStore
from tests.runtime.chamber import ANN, BEA, CREDENTIALS, Chamber, chat, local, signer
from tests.world import HUB, INCIDENTS, key, who

FINAL = frozenset({CaseState.DENIED, CaseState.EXPIRED, CaseState.CANCELLED, CaseState.FAILED, CaseState.WITHDRAWN})
JIDS = (ANN, BEA, "cid@a.example")


class Crash(BaseException):
    """The process dies here: no code of ours catches it."""


@dataclass
class Perilous(MemoryStore):
    """A store that dies before or after a write, or is full, as often as it is told; and which watches invariant 1."""

    perils: list[str] = field(default_factory=list)
    dead: bool = False
    decided: dict[str, list[Outcome]] = field(default_factory=lambda: defaultdict(list))

    async def write(self, *changes: Change) -> None:
        await asyncio.sleep(0)
        peril = self.perils.pop() if self.perils else ""
        self.dead = self.dead or peril == "before"
        if self.dead:
            raise Crash  # nobody writes after the process has died
        if peril == "full":
            raise StoreUnavailable("the disk is full", mend="make room")
        for each in changes:
            self._watch(each, changes)
        await super().write(*changes)
        if peril == "after":
            self.dead = True
            raise Crash

    def _watch(self, change: Change, together: tuple[Change, ...]) -> None:
        if not isinstance(change, CaseMoved):
            return
        before = self._kept.cases[change.case.id]
        assert before.state not in FINAL, f"a case that was {before.state} became {change.case.state}"
        if before.state is CaseState.PENDING and change.case.state is not CaseState.PENDING:
            answers = [each.decision.outcome for each in together if isinstance(each, Decided)]
            self.decided[change.case.id] += answers
            assert len(self.decided[change.case.id]) <= 1


@dataclass
class Weak(InlineSigner):
    """A desk that is away now and then."""

    away: list[bool] = field(default_factory=list)

    async def sign_credential(self, text: bytes) -> bytes:
        await asyncio.sleep(0)
        if self.away and self.away.pop():
            raise Unavailable("the desk is away", mend="start it")
        return await InlineSigner.sign_credential(self, text)


@dataclass
class Story:
    """A chamber to which things happen, in any order and at once."""

    store: Perilous
    chamber: Chamber
    dice: random.Random

    def equip(self) -> None:
        self.chamber.hall.casework.signer = Weak(
            key("desk"), now=lambda: self.chamber.now, away=[self.dice.random() < 0.2 for _ in range(50)]
        )

    async def ask(self) -> None:
        jid = self.dice.choice(JIDS)
        if not any(each.subject == jid and each.open for each in self.chamber.books.cases.values()):
            await self.chamber.asks(jid, self.dice.choice((INCIDENTS, "restricted", "open")))

    async def approve(self) -> None:
        speaker = self.dice.choice((chat(), local(), signer("op"), signer("deputy"), signer("deputy", "deputy-2"), signer("ann")))
        await self.chamber.office.approve(speaker, self._some_case())

    async def deny(self) -> None:
        await self.chamber.office.deny(chat(), self._some_case())

    async def end(self) -> None:
        held = self.chamber.books.held()
        if held:
            await self.chamber.office.end_grant(chat(), self.dice.choice(held).id, may_ask_again=True)

    async def expire(self) -> None:
        self.chamber.sleep(days=self.dice.choice((1, 31, 100)))
        await self.chamber.review.look_again(self.chamber.now)

    async def change_policy(self) -> None:
        self.chamber.credentials = [each for each in CREDENTIALS if self.dice.random() < 0.7]
        await self.chamber.believe()

    async def revoke(self) -> None:
        name = self.dice.choice((f"xmpp:{ANN}", who("deputy-2"), f"xmpp:{BEA}"))
        identity = self.chamber.desk.new_id()
        await self.chamber.books.write(Revoked(Revocation(identity, self.chamber.now, RevocationKind.PRINCIPAL, name, "root")))
        await self.chamber.beliefs.refresh()

    async def review(self) -> None:
        await self.chamber.review.look()

    async def lose_the_broker(self) -> None:
        self.chamber.broker.away = self.dice.random() < 0.5

    async def crash(self) -> None:
        self.store.dead = True
        raise Crash

    async def restart(self) -> None:
        self.store.dead, self.store.perils = False, []
        self.chamber = await self.chamber.restarted()
        self.equip()

    def _some_case(self) -> str:
        return self.dice.choice(sorted(self.store._kept.cases) or ["none"])


STEPS: tuple[Callable[[Story], Awaitable[None]], ...] = (
    *(Story.ask,) * 4,
    *(Story.approve,) * 6,
    Story.deny,
    Story.end,
    Story.expire,
    Story.change_policy,
    Story.revoke,
    *(Story.review,) * 2,
    Story.lose_the_broker,
    Story.crash,
)

_EXPECTED = (CaseClosed, AlreadyApproved, NoSuchThing, Crossed, Unavailable, ClearinghouseError)


async def _tolerated(step: Awaitable[None]) -> bool:
    """Do a step; say whether the process died in it."""
    try:
        await step
    except _EXPECTED:
        return False
    except Crash:
        return True
    return False


async def told(seed: int, length: int) -> Story:
    dice = random.Random(seed)  # noqa: S311 - a test's dice are no secret
    store = Perilous()
    story = Story(store, await Chamber(store).open(), dice)
    story.equip()
    for _ in range(length):
        store.perils = [dice.choice(("before", "after", "full", *("",) * 12)) for _ in range(8)]
        steps: list[Awaitable[None]] = [dice.choice(STEPS)(story) for _ in range(dice.choice((1, 1, 2, 3)))]
        if any(await asyncio.gather(*(_tolerated(each) for each in steps))):
            await story.restart()
    store.perils = []
    return story


async def check(story: Story) -> None:
    chamber = story.chamber
    again = await chamber.restarted()
    assert dict(again.books.cases) == dict(chamber.books.cases)
    assert {each.id: each for each in again.books.held()} == {each.id: each for each in chamber.books.held()}
    assert {each.id for each in again.books.owed_ends()} == {each.id for each in chamber.books.owed_ends()}
    again.broker.away = False
    await again.review.everything()
    await again.review.look_again(again.now)
    await again.review.look()
    judge = Judge(again.books, again.hall.rights)
    for grant in again.books.held():
        assert isinstance(judge.grant(grant), Holds)
    for grant in again.store._kept.grants.values():
        assert grant.ended is None or grant.why is not None
    for case in again.books.cases.values():
        if case.open:
            assert judge.case(case).outcome is Outcome.PENDING
    for effect in again.broker.told:
        if isinstance(effect, ApproveSubscription):
            assert again.store._kept.decisions[effect.decision].decision.outcome is Outcome.GRANTED


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.integers(0, 2**32), st.integers(5, 60))
def test_each_case_comes_to_one_end_and_what_stands_is_what_policy_gives(seed: int, length: int) -> None:
    async def story() -> None:
        await check(await told(seed, length))

    run(story())


@pytest.mark.parametrize("peril", ["before", "after", "full"])
@pytest.mark.parametrize("step", range(4))
async def test_at_whichever_write_an_approval_dies_the_case_is_decided_once(peril: str, step: int) -> None:
    store = Perilous()
    story = Story(store, await Chamber(store).open(), random.Random(1))  # noqa: S311
    case = await story.chamber.waiting()
    store.perils = [peril, *[""] * step]
    died = await _tolerated(_approve(story, case.id))
    store.perils, store.dead = [], False
    if died:
        story.chamber = await story.chamber.restarted()
    await story.chamber.review.everything()
    if not story.chamber.books.held():
        await _approve(story, case.id)
    (grant,) = story.chamber.books.held()
    assert grant.request.observed["vouched_by"] == HUB
    assert store.decided[case.id] == [Outcome.GRANTED]
    told_yes = [each for each in story.chamber.broker.told if isinstance(each, ApproveSubscription)]
    owed = await store.owed()
    assert len(told_yes) + len(owed) >= 1
    assert {each.decision for each in told_yes} | {each.decision.id for each in owed} == {grant.id}
    await check(story)


async def _approve(story: Story, case: str) -> None:
    await story.chamber.office.approve(chat(), case)
