"""What stands is looked at again: what holds goes on, what does not ends with its reason, and nothing escapes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from clearinghouse.clearing.cases import CaseState, Grant, Revocation, RevocationKind
from clearinghouse.clearing.clear import ClockBehind
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import ApproveSubscription, RefuseSubscription
from clearinghouse.keynote import admit
from clearinghouse.signer.inline import InlineSigner
from clearinghouse.signer.rules import SignerUnavailable
from clearinghouse.storage.changes import Decided, GrantEnded, Noted, Revoked
from clearinghouse.storage.store import Effect, Event
from tests.runtime.chamber import ANN, BEA, CREDENTIALS, LONGEST, Chamber, chat, local, signer
from tests.world import INCIDENTS, NOON, assertion, key, signed, who

MINUTE = timedelta(minutes=1)
UNTIL_DECEMBER = signed("hub", "xmpp-member:a.example", 'domain == "a.example" && jid ~= "@a.example$"', until="20261201")


@pytest.fixture
async def chamber() -> Chamber:
    return await Chamber().open()


async def over(chamber: Chamber, grant: Grant) -> tuple[str, str]:
    """Return why a grant is over, and what its holder is to the node then."""
    found = await chamber.store.grant(grant.id)
    assert found is not None
    assert found.ended == chamber.now
    assert found.why is not None
    return found.why.code, found.affiliation


async def state(chamber: Chamber, grant: Grant) -> CaseState:
    case = await chamber.store.case(grant.case)
    assert case is not None
    return case.state


async def test_a_grant_that_holds_goes_on(chamber: Chamber) -> None:
    grant = await chamber.holding()
    before = len(await chamber.store.decisions(100))
    assert await chamber.review.everything()
    assert chamber.books.grants == {grant.id: grant}
    assert len(await chamber.store.decisions(100)) == before


async def test_without_the_requesters_own_chain_an_approval_is_worth_nothing(chamber: Chamber) -> None:
    """R2: the first query is made again, without the desk."""
    grant = await chamber.holding()
    chamber.credentials.clear()
    await chamber.believe()
    await chamber.review.everything()
    assert await over(chamber, grant) == ("no-longer-granted", "none")
    assert await state(chamber, grant) is CaseState.WITHDRAWN
    assert chamber.books.approvals_for(grant.request) == ()
    assert chamber.ended == 1


async def test_when_those_who_approved_may_not_any_more_the_approval_is_withdrawn(chamber: Chamber) -> None:
    """R3: the approve query over all who approved is made again."""
    grant = await chamber.holding()
    chamber.policies = [each for each in chamber.policies if b"approve" not in each[1]]
    await chamber.believe()
    await chamber.review.everything()
    assert await over(chamber, grant) == ("approval-withdrawn", "none")
    assert await state(chamber, grant) is CaseState.WITHDRAWN


async def test_an_approval_falls_with_the_key_that_gave_it(chamber: Chamber) -> None:
    case = await chamber.waiting()
    ruling = await chamber.office.approve(signer("op"), case.id)
    assert ruling.decision is not None
    grant = chamber.books.grants[ruling.decision.id]
    await chamber.books.write(Revoked(Revocation("r1", NOON, RevocationKind.PRINCIPAL, who("op"), "root")))
    await chamber.beliefs.refresh()
    await chamber.review.everything()
    assert await over(chamber, grant) == ("approval-withdrawn", "none")


async def test_an_approval_falls_also_where_its_holder_has_left(chamber: Chamber) -> None:
    """Else it would let them in again when they come back."""
    grant = await chamber.holding()
    chamber.books._grants.forget([grant.id])
    chamber.policies = [each for each in chamber.policies if b"approve" not in each[1]]
    await chamber.believe()
    await chamber.review.everything()
    assert await state(chamber, grant) is CaseState.WITHDRAWN


@pytest.mark.parametrize("revoked", ["xmpp:ann@a.example", "xmpp-member:a.example"])
async def test_a_revoked_holder_is_cast_out(chamber: Chamber, revoked: str) -> None:
    grant, other = await chamber.holding(), await chamber.holding(BEA)
    await chamber.books.write(Revoked(Revocation("r1", NOON, RevocationKind.PRINCIPAL, revoked, "root")))
    await chamber.beliefs.refresh()
    await chamber.review.everything()
    assert await over(chamber, grant) == ("revoked", "outcast")
    assert chamber.books.held() == [other]


async def test_with_a_revoked_credential_a_grant_ends_and_nobody_is_cast_out(chamber: Chamber) -> None:
    grant = await chamber.holding()
    await chamber.books.write(Revoked(Revocation("r1", NOON, RevocationKind.CREDENTIAL, admit(CREDENTIALS[0]).name, "root")))
    await chamber.beliefs.refresh()
    await chamber.review.everything()
    code, affiliation = await over(chamber, grant)
    assert code in {"revoked", "no-longer-granted"}
    assert affiliation == "none"


async def test_a_grant_ends_with_the_time_for_which_it_was_approved(chamber: Chamber) -> None:
    case = await chamber.waiting()
    await chamber.office.approve(chat(), case.id, period=timedelta(days=3))
    (grant,) = chamber.books.held()
    assert grant.until == NOON + timedelta(days=3)
    chamber.sleep(days=3)
    assert chamber.books.due(chamber.now) == [grant]
    await chamber.review.look_again(chamber.now)
    assert await over(chamber, grant) == ("validity", "none")
    assert await state(chamber, grant) is CaseState.EXPIRED
    assert chamber.books.next_due() is None


async def test_a_grant_ends_when_its_chain_expires(chamber: Chamber) -> None:
    chamber.credentials = [UNTIL_DECEMBER]
    await chamber.believe()
    grant = await chamber.holding()
    chamber.now = grant.ends
    assert f"{chamber.now:%m%d%H}" == "120100"
    await chamber.review.look_again(chamber.now)
    assert await over(chamber, grant) == ("expired-chain", "none")


async def test_a_grant_whose_clock_has_passed_without_harm_is_renewed_under_its_first_id(chamber: Chamber) -> None:
    chamber.credentials.append(UNTIL_DECEMBER)
    await chamber.believe()
    grant = await chamber.holding()
    assert grant.ends < grant.until
    chamber.now = grant.ends
    await chamber.review.look_again(chamber.now)
    (renewed,) = chamber.books.held()
    assert renewed == replace(grant, ends=grant.until)
    latest = (await chamber.store.decisions(1))[0]
    assert (latest.decision.outcome, latest.effect) == (Outcome.GRANTED, Effect.DONE)
    assert len([each for each in chamber.broker.told if isinstance(each, ApproveSubscription)]) == 1
    assert (await chamber.restarted()).books.held() == [renewed]


async def test_when_the_right_to_approve_expires_the_grant_is_looked_at(chamber: Chamber) -> None:
    chamber.policies = [each for each in chamber.policies if b"approve" not in each[1]]
    chamber.policies.append(
        ("people", assertion("POLICY", "{op}", 'operation == "approve" && topic == "incidents" && subject ~= "@"', until="20261125"))
    )
    await chamber.believe()
    ruling = await chamber.office.approve(signer("op"), (await chamber.waiting()).id)
    assert ruling.decision is not None
    grant = chamber.books.grants[ruling.decision.id]
    assert f"{grant.ends:%m%d}" == "1125"
    chamber.now = grant.ends
    await chamber.review.look_again(chamber.now)
    assert await over(chamber, grant) == ("approval-withdrawn", "none")


async def test_while_the_clock_is_behind_nothing_ends(chamber: Chamber) -> None:
    grant = await chamber.holding()
    chamber.sleep(days=200)
    await chamber.books.write(Noted(Event(chamber.now + timedelta(days=1), "test", {})))
    with pytest.raises(ClockBehind):
        await chamber.review.look_again(chamber.now)
    assert chamber.books.held() == [grant]


# -- cases


async def test_a_case_that_nobody_decided_in_time_is_refused_at_the_broker(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.now = case.expires
    await chamber.review.look_again(chamber.now)
    closed = await chamber.store.case(case.id)
    assert closed is not None
    assert closed.state is CaseState.EXPIRED
    assert isinstance(chamber.broker.told[-1], RefuseSubscription)
    assert (await chamber.store.decisions(1))[0].decision.reason.code == "expired"
    assert not chamber.books.cases


async def test_a_case_that_policy_comes_to_grant_is_granted_without_people(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.policies.append(("topics", assertion("POLICY", "{hub}", f'operation == "subscribe" && topic == "{INCIDENTS}"', "allow")))
    await chamber.believe()
    await chamber.review.everything()
    assert isinstance(chamber.broker.told[-1], ApproveSubscription)
    (grant,) = chamber.books.held()
    assert (grant.holder, grant.case) == (ANN, "")
    assert not chamber.books.cases
    closed = await chamber.store.case(case.id)
    assert closed is not None
    assert closed.state is CaseState.CANCELLED


async def test_a_case_that_policy_comes_to_refuse_is_refused(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.credentials.clear()
    await chamber.believe()
    await chamber.review.everything()
    assert isinstance(chamber.broker.told[-1], RefuseSubscription)
    closed = await chamber.store.case(case.id)
    assert closed is not None
    assert closed.state is CaseState.CANCELLED
    assert not chamber.books.held()


async def test_a_case_that_still_waits_for_people_goes_on_waiting(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.policies.append(("topics", assertion("POLICY", "{hub}", 'operation == "subscribe" && topic == "other"', "allow")))
    await chamber.believe()
    await chamber.review.everything()
    assert chamber.books.cases == {case.id: case}
    assert not chamber.broker.told


# -- nothing escapes


async def test_what_was_decided_from_an_older_snapshot_is_reviewed_after_all(chamber: Chamber) -> None:
    """It may be written down after the review of the newer one has passed its place."""
    decision, old = None, chamber.desk.snapshot
    grant = await chamber.holding()
    chamber.books._grants.forget([grant.id])
    chamber.credentials.clear()
    await chamber.believe()
    await chamber.review.look()
    decision = replace((await chamber.store.decisions(1))[0].decision, id="late", version=old.version)
    late = replace(grant, id="late")
    await chamber.books.write(Decided(decision, gives=late))
    await chamber.review.look()
    assert await over(chamber, late) == ("no-longer-granted", "none")


async def test_a_newer_snapshot_begins_the_review_anew(chamber: Chamber) -> None:
    grants = [await chamber.holding(f"u{n}@a.example") for n in range(5)]
    before = chamber.desk.snapshot
    chamber.credentials.clear()
    await chamber.believe()
    after, chamber.desk.snapshot = chamber.desk.snapshot, before
    chamber.review._since = -1.0  # give way after the first
    reviewing = asyncio.create_task(chamber.review.everything())
    await asyncio.sleep(0)
    chamber.desk.snapshot = after
    assert not await reviewing
    await chamber.review.look()
    assert {(await over(chamber, each))[0] for each in grants} == {"no-longer-granted"}


async def test_whoever_runs_it_need_only_change_what_is_believed(chamber: Chamber) -> None:
    grant = await chamber.holding()
    running, done = asyncio.create_task(chamber.review.run()), asyncio.Event()
    chamber.books.heard.append(lambda change: done.set() if isinstance(change, GrantEnded) else None)
    chamber.credentials.clear()
    await chamber.believe()
    async with asyncio.timeout(5):
        await done.wait()
    running.cancel()
    assert await over(chamber, grant) == ("no-longer-granted", "none")


async def test_a_case_that_could_not_be_concluded_is_tried_again(chamber: Chamber) -> None:
    """As after a crash between the approval and the desk's signature."""
    case = await chamber.waiting()
    approved = chamber.hall.casework._counted(case, [local()], "", None)
    chamber.books._cases.put(approved)
    chamber.hall.casework.stuck.add(case.id)
    await chamber.review.look()
    assert chamber.books.cases[case.id].state is CaseState.APPROVED
    assert len(chamber.books.held()) == 1
    assert not chamber.hall.casework.stuck


async def test_a_review_of_a_thousand_grants_lets_others_work_meanwhile(chamber: Chamber) -> None:
    asked = (await chamber.holding()).request
    for number in range(1_000):
        jid = f"u{number}@a.example"
        place = replace(asked.place, subscriber=jid) if asked.place else None
        request = replace(
            asked, id=str(number), observed={**asked.observed, "jid": jid}, requesters=(f"xmpp:{jid}", "xmpp-member:a.example"), place=place
        )
        chamber.books._grants.put(Grant(f"g{number}", request, NOON, NOON + LONGEST, NOON + LONGEST))
    turns, stop = 0, False

    async def tick() -> None:
        nonlocal turns
        while not stop:
            await asyncio.sleep(0)
            turns += 1

    ticking = asyncio.create_task(tick())
    await chamber.review.everything()
    stop = True
    await ticking
    assert turns > 10, "a review without slices gives others hardly a turn"
    assert len(chamber.books.owed_ends()) == 1_000


async def test_what_old_approvals_grant_anew_ends_with_the_right_of_those_who_gave_them(chamber: Chamber) -> None:
    """The intake grants again without people; how long these may still approve, the review finds."""
    chamber.policies = [each for each in chamber.policies if b"approve" not in each[1]]
    where = f'operation == "approve" && topic == "{INCIDENTS}" && subject ~= "@"'
    chamber.policies.append(("people", assertion("POLICY", "{op}", where, until="20261125")))
    await chamber.believe()
    await chamber.office.approve(signer("op"), (await chamber.waiting()).id)
    again = await chamber.asks()
    await chamber.review.look()
    assert f"{chamber.books.grants[again.id].ends:%m%d}" == "1125"


# -- what could not be concluded ----------------------------------------------------------------------


async def test_an_approval_that_the_desk_was_away_for_counts_when_it_is_back(chamber: Chamber) -> None:
    """Nobody does anything in between: who has approved cannot approve again, and the review was asleep before."""
    chamber.review.pause = 0.001
    chamber.hall.casework.signer = Away()
    running, done = asyncio.create_task(chamber.review.run()), asyncio.Event()
    chamber.books.heard.append(lambda change: done.set() if isinstance(change, Decided) and change.gives else None)
    case = await chamber.waiting()
    await asyncio.sleep(0.05)  # the review is asleep: nothing was stuck when it went
    with pytest.raises(SignerUnavailable):
        await chamber.office.approve(chat(), case.id)
    assert chamber.books.cases[case.id].open
    chamber.hall.casework.signer = InlineSigner(key("desk"), now=lambda: chamber.now)
    async with asyncio.timeout(5):
        await done.wait()
    running.cancel()
    assert chamber.books.cases[case.id].state is CaseState.APPROVED
    assert [each.case for each in chamber.books.grants.values()] == [case.id]


class Away:
    """A desk whose process has died."""

    principal = who("desk")

    async def sign_credential(self, text: bytes) -> bytes:
        del text
        raise SignerUnavailable("nobody signs", mend="start it")
