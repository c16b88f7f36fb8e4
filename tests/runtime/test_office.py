"""People decide: who may, whose approvals count, what follows, and what each refusal is called."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from clearinghouse.clearing.cases import Case, CaseClosed, CaseState
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import ApproveSubscription, RefuseSubscription
from clearinghouse.clearing.people import AlreadyApproved, NeedsSignature, NoSuchThing, NotEntitled, OwnRequest, Speaker, WrongCase
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import Unavailable
from clearinghouse.keynote import admit
from clearinghouse.runtime.people.casework import NoDesk
from clearinghouse.signer.inline import InlineSigner
from clearinghouse.storage.store import Effect
from tests.runtime.chamber import ANN, BEA, DEPUTY, EVE, OP, Chamber, chat, local, signer
from tests.world import INCIDENTS, NOON, assertion, key, who


@pytest.fixture
async def chamber() -> Chamber:
    return await Chamber().open()


@dataclass
class Dead(InlineSigner):
    """A signer that is away until it is mended."""

    away: bool = True

    async def sign_credential(self, text: bytes) -> bytes:
        if self.away:
            raise Unavailable("the desk is away", mend="start it")
        return await InlineSigner.sign_credential(self, text)


async def closed(chamber: Chamber, case: Case) -> Case:
    found = await chamber.store.case(case.id)
    assert found is not None
    return found


# -- approving


@pytest.mark.parametrize("speaker", [chat(), signer("op"), local()], ids=lambda each: each.door.value)
async def test_at_every_door_somebody_with_the_right_approves(chamber: Chamber, speaker: Speaker) -> None:
    case = await chamber.waiting()
    ruling = await chamber.office.approve(speaker, case.id, shown=case.digest())
    assert ruling.decision is not None
    assert (ruling.decision.outcome, ruling.case.state, ruling.case.by) == (Outcome.GRANTED, CaseState.APPROVED, "op")
    (grant,) = chamber.books.held()
    assert (grant.id, grant.case, grant.holder, grant.request.approvals) == (ruling.decision.id, case.id, ANN, ())
    assert [type(each) for each in chamber.broker.told] == [ApproveSubscription]
    recorded = await chamber.store.decision(ruling.decision.id)
    assert recorded is not None
    assert recorded.effect is Effect.DONE


async def test_what_the_desk_signs_is_by_its_key_and_names_the_case_and_what_was_shown(chamber: Chamber) -> None:
    case = await chamber.waiting()
    ruling = await chamber.office.approve(chat(), case.id, period=timedelta(days=2))
    signed = admit(ruling.case.credential)
    assert signed.authorizer == who("desk")
    assert case.digest().encode() in signed.raw
    assert chamber.books.approvals_for(case.request) == (signed.raw,)
    assert ruling.case.expires == NOON + timedelta(days=2)


async def test_once_approved_the_same_request_is_granted_again_without_people(chamber: Chamber) -> None:
    await chamber.holding()
    assert (await chamber.asks()).outcome is Outcome.GRANTED
    assert (await chamber.asks(BEA)).outcome is Outcome.PENDING


async def test_the_shorter_period_of_two_approvals_counts(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    await chamber.office.approve(signer("op"), case.id, period=timedelta(days=5))
    ruling = await chamber.office.approve(signer("deputy"), case.id)
    assert ruling.decision is not None
    assert ruling.decision.until == NOON + timedelta(days=5)


async def test_where_policy_wants_two_the_first_hears_that_another_is_missing(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    first = await chamber.office.approve(signer("op"), case.id)
    assert (first.decision, first.case.state) == (None, CaseState.PENDING)
    assert first.waits_for == "one of deputy"
    assert not chamber.broker.told
    second = await chamber.office.approve(signer("deputy"), case.id)
    assert second.decision is not None
    assert second.case.by == "op, deputy"
    assert [each.person for each in second.case.approvals] == ["op", "deputy"]


async def test_one_person_with_two_keys_is_one_person(chamber: Chamber) -> None:
    """R3: the policy's 2-of names both keys of the deputy."""
    case = await chamber.waiting(to="restricted")
    ruling = await chamber.office.approve(signer("deputy", "deputy-2"), case.id)
    assert (ruling.decision, ruling.waits_for) == (None, "one of op")
    with pytest.raises(AlreadyApproved):
        await chamber.office.approve(signer("deputy", "deputy-2"), case.id)
    assert (await chamber.office.approve(signer("op"), case.id)).decision is not None


async def test_nobody_approves_what_they_asked_for(chamber: Chamber) -> None:
    chamber.policies.append(
        (
            "people",
            assertion("POLICY", f"{{{ANN}}} || {{ann}}", 'operation ~= "^(approve|explain)$" && topic == "incidents" && subject ~= "@"'),
        )
    )
    await chamber.believe()
    case = await chamber.waiting()
    for speaker in (chat(ANN), signer("ann")):
        with pytest.raises(OwnRequest):
            await chamber.office.approve(speaker, case.id)
    assert (await chamber.office.approve(chat(ANN), (await chamber.waiting(BEA)).id)).decision is not None


async def test_a_stranger_sees_no_case_at_all(chamber: Chamber) -> None:
    """R22: not there and not to be seen are one answer."""
    case = await chamber.waiting()
    answers = []
    for act in (
        chamber.office.case(chat(EVE), case.id),
        chamber.office.approve(chat(EVE), case.id),
        chamber.office.deny(chat(EVE), case.id),
        chamber.office.approve(chat(), "ffff"),
    ):
        with pytest.raises(NoSuchThing) as found:
            await act
        answers.append(found.value.message)
    assert answers[:3] == [f"`{case.id}` names no single case"] * 3
    assert list(await chamber.office.pending(chat(EVE))) == []
    assert list(await chamber.office.pending(chat())) == [case]


async def test_whoever_may_only_look_approves_nothing(chamber: Chamber) -> None:
    chamber.policies.append(
        ("people", assertion("POLICY", f"{{{EVE}}}", 'operation == "explain" && topic ~= "^[a-z]+$" && subject ~= "@"'))
    )
    await chamber.believe()
    case = await chamber.waiting()
    assert await chamber.office.case(chat(EVE), case.id) == case
    for act in (chamber.office.approve(chat(EVE), case.id), chamber.office.deny(chat(EVE), case.id)):
        with pytest.raises(NotEntitled):
            await act


async def test_the_word_of_another_host_is_not_enough(chamber: Chamber) -> None:
    """R10: whoever hosts another component can write any `from`."""
    case = await chamber.waiting()
    forged = chat(OP, host="evil.example")
    for act in (chamber.office.approve(forged, case.id), chamber.office.deny(forged, case.id)):
        with pytest.raises(NeedsSignature):
            await act
    assert list(await chamber.office.pending(forged)) == []
    with pytest.raises(NoSuchThing):
        await chamber.office.approve(chat(EVE, host="evil.example"), case.id)


async def test_where_policy_wants_a_key_somebody_at_a_chat_is_told_to_sign(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    with pytest.raises(NeedsSignature):
        await chamber.office.approve(chat(), case.id)
    case = await chamber.waiting()
    with pytest.raises(NeedsSignature):
        await chamber.office.approve(chat(DEPUTY), case.id)


async def test_an_approval_of_something_else_than_was_shown_is_refused(chamber: Chamber) -> None:
    case, other = await chamber.waiting(), await chamber.waiting(BEA)
    with pytest.raises(WrongCase):
        await chamber.office.approve(chat(), case.id, shown=other.digest())
    assert not chamber.books.cases[case.id].approvals


async def test_a_case_is_approved_once_and_not_after_it_was_denied(chamber: Chamber) -> None:
    case, other = await chamber.waiting(), await chamber.waiting(BEA)
    await chamber.office.approve(chat(), case.id)
    await chamber.office.deny(chat(), other.id)
    for each in (case, other):
        with pytest.raises(CaseClosed):
            await chamber.office.approve(chat(), each.id)
        with pytest.raises(CaseClosed):
            await chamber.office.deny(chat(), each.id)


async def test_after_its_time_nobody_decides_a_case(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.now = case.expires
    with pytest.raises(CaseClosed, match="has expired"):
        await chamber.office.approve(chat(), case.id)


async def test_by_the_beginning_of_its_id_a_case_is_found(chamber: Chamber) -> None:
    case = await chamber.waiting()
    assert await chamber.office.case(chat(), case.id) == case
    with pytest.raises(NoSuchThing):
        await chamber.office.case(chat(), "")
    await chamber.waiting(BEA)
    with pytest.raises(NoSuchThing):
        await chamber.office.case(chat(), "0000")


async def test_what_policy_refuses_meanwhile_no_approval_grants(chamber: Chamber) -> None:
    """R2: the requester's own chain has to be there, whatever people say."""
    case = await chamber.waiting()
    chamber.credentials.clear()
    await chamber.believe()
    ruling = await chamber.office.approve(chat(), case.id)
    assert ruling.decision is not None
    assert (ruling.decision.outcome, ruling.case.state) == (Outcome.REFUSED, CaseState.CANCELLED)
    assert (await closed(chamber, case)).credential == b""
    assert isinstance(chamber.broker.told[-1], RefuseSubscription)
    assert not chamber.books.grants


async def test_where_policy_does_not_trust_the_desk_an_approval_says_so_and_is_not_kept(chamber: Chamber) -> None:
    chamber.policies = [each for each in chamber.policies if key("desk").principal.encode() not in each[1]]
    await chamber.believe()
    case = await chamber.waiting()
    ruling = await chamber.office.approve(chat(), case.id)
    assert ruling.decision is None
    assert "even with the desk's signature" in ruling.waits_for
    assert chamber.books.cases[case.id].credential == b""


async def test_without_a_desk_nobody_approves_and_everybody_denies() -> None:
    chamber = await Chamber(desk_key="").open()
    case = await chamber.waiting()
    with pytest.raises(NoDesk):
        await chamber.office.approve(chat(), case.id)
    assert (await chamber.office.deny(chat(), case.id)).case.state is CaseState.DENIED


async def test_while_the_desk_is_away_an_approval_is_kept_and_counts_later(chamber: Chamber) -> None:
    desk = Dead(key("desk"), now=lambda: chamber.now)
    chamber.hall.casework.signer = desk
    case = await chamber.waiting()
    with pytest.raises(Unavailable, match="the desk is away"):
        await chamber.office.approve(chat(), case.id)
    assert [each.person for each in chamber.books.cases[case.id].approvals] == ["op"]
    with pytest.raises(AlreadyApproved):
        await chamber.office.approve(chat(), case.id)
    desk.away = False
    await chamber.review.look()
    assert chamber.books.cases[case.id].state is CaseState.APPROVED
    assert [type(each) for each in chamber.broker.told] == [ApproveSubscription]


async def test_while_the_broker_is_away_an_approval_counts_and_its_effect_is_owed(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.broker.away = True
    ruling = await chamber.office.approve(chat(), case.id)
    assert ruling.decision is not None
    assert "the broker" in ruling.waits_for
    assert [each.decision.id for each in await chamber.store.owed()] == [ruling.decision.id]
    assert chamber.behind == ["pubsub.hub.example"]


async def test_of_two_who_approve_at_once_both_count(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    both = (chamber.office.approve(signer(name), case.id) for name in ("op", "deputy"))
    first, second = await asyncio.gather(*both)
    assert (first.decision is None, second.decision is None) == (True, False)
    assert len(chamber.books.held()) == 1


async def test_of_approving_and_denying_at_once_one_happens(chamber: Chamber) -> None:
    case = await chamber.waiting()
    acts = await asyncio.gather(chamber.office.approve(chat(), case.id), chamber.office.deny(local(), case.id), return_exceptions=True)
    assert len([each for each in acts if isinstance(each, CaseClosed)]) == 1
    assert len(chamber.broker.told) == 1


# -- denying and looking


async def test_a_denial_is_told_to_the_broker_and_its_reason_is_kept(chamber: Chamber) -> None:
    case = await chamber.waiting()
    ruling = await chamber.office.deny(chat(), case.id, reason="not one of us\n" + "x" * 5_000)
    assert ruling.decision is not None
    assert (ruling.decision.outcome, ruling.decision.reason.code) == (Outcome.REFUSED, "denied")
    found = await closed(chamber, case)
    assert (found.state, found.by, len(found.why)) == (CaseState.DENIED, "op", 1_000)
    assert [type(each) for each in chamber.broker.told] == [RefuseSubscription]


async def test_grants_are_listed_for_those_who_may_see_them(chamber: Chamber) -> None:
    grant, other = await chamber.holding(), await chamber.holding(BEA)
    await chamber.office.end_grant(chat(), other.id, may_ask_again=True)
    assert list(await chamber.office.grants(chat())) == [grant]
    assert [each.id for each in await chamber.office.grants(chat(), ended=True)] == [grant.id, other.id]
    assert list(await chamber.office.grants(chat(EVE), ended=True)) == []


async def test_an_explanation_has_the_chain_who_approved_and_what_was_missing(chamber: Chamber) -> None:
    grant = await chamber.holding()
    refused = await chamber.asks(EVE)
    told = await chamber.office.explain(chat(), grant.id)
    for part in (
        f"decision {grant.id}",
        "granted",
        "carried by",
        "trusts xmpp-member:a.example",
        f"grant {grant.id}",
        f"approved in case {grant.case}",
    ):
        assert part in told
    case = await chamber.office.explain(chat(), grant.case)
    assert "approved by op" in case
    assert "on the word of hub.example" in case
    assert "is missing" in await chamber.office.explain(chat(), refused.id)
    for identity in (grant.id, "ffff", ""):
        with pytest.raises(NoSuchThing):
            await chamber.office.explain(chat(EVE), identity)


async def test_hostile_names_cannot_write_a_line_of_an_explanation(chamber: Chamber) -> None:
    node = "in\ncarried by\u202e`"
    asked = await chamber.asks(to=node)
    chamber.policies.append(("people", assertion("POLICY", f"{{{OP}}}", 'operation == "explain" && topic ~= "^in" && subject ~= "@"')))
    await chamber.believe()
    told = await chamber.office.explain(chat(), asked.id)
    assert "carried by" not in told.splitlines()
    assert "\u202e" not in told


# -- after a crash


async def test_after_a_crash_between_approval_and_signature_the_case_is_concluded_once(chamber: Chamber) -> None:
    chamber.hall.casework.signer = Dead(key("desk"))
    case = await chamber.waiting()
    with pytest.raises(Unavailable):
        await chamber.office.approve(chat(), case.id)
    again = await chamber.restarted()
    assert again.books.cases[case.id].approvals
    await again.review.everything()
    await again.review.everything()
    assert again.books.cases[case.id].state is CaseState.APPROVED
    assert [type(each) for each in again.broker.told] == [ApproveSubscription]
    assert len(again.books.held()) == 1


async def test_after_a_crash_between_decision_and_effect_the_effect_is_owed(chamber: Chamber) -> None:
    case = await chamber.waiting()
    chamber.broker.away = True
    await chamber.office.approve(chat(), case.id)
    chamber.broker.away = False
    again = await chamber.restarted()
    assert again.books.cases[case.id].state is CaseState.APPROVED
    assert len(again.books.held()) == 1
    assert [each.effect for each in await again.store.owed()] == [Effect.OWED]
    with pytest.raises(CaseClosed):
        await again.office.approve(chat(), case.id)


async def test_an_unknown_door_vouches_for_nobody(chamber: Chamber) -> None:
    case = await chamber.waiting()
    nobody = Speaker("op", (f"xmpp:{OP}",), Door.BROKER, "hub.example")
    with pytest.raises((NoSuchThing, NotEntitled)):
        await chamber.office.approve(nobody, case.id)
    assert replace(chamber.books.cases[case.id]) == case
    assert case.topic == INCIDENTS


async def test_a_policy_may_name_one_case_by_its_whole_id(chamber: Chamber) -> None:
    """Whoever gives the beginning of an id asks about the whole."""
    case = await chamber.waiting()
    chamber.prefix = "9"
    where = f'operation == "explain" && case == "{case.id}" && subject ~= "@" && topic ~= "^[a-z]+$"'
    chamber.policies.append(("people", assertion("POLICY", f"{{{EVE}}}", where)))
    await chamber.believe()
    assert await chamber.office.case(chat(EVE), case.id[:-1]) == case


async def test_acts_on_one_case_take_turns_and_leave_nothing_behind(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    acts = [chamber.office.approve(signer(name), case.id) for name in ("op", "deputy", "op", "deputy")]
    done = await asyncio.gather(*acts, return_exceptions=True)
    assert [type(each).__name__ for each in done[2:]] == ["CaseClosed", "CaseClosed"]
    assert not chamber.hall.casework._turns._turns
