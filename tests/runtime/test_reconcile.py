"""Our books and the broker come to agree, whoever changed what behind our back; and every difference is told."""

from __future__ import annotations

from datetime import timedelta

from clearinghouse.clearing.cases import Grant
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.request import Place
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.topics.reconcile import difference
from clearinghouse.storage.store import Event
from tests.runtime.house import ANN, BEA, EVE, SETTINGS, TOPIC, WHITELIST, House, until
from tests.world import NOON, assertion, request, signed


def held(jid: str) -> Grant:
    return Grant(jid, request(jid), NOON, NOON + timedelta(days=1), NOON + timedelta(days=1))


def nobody(_: str) -> bool:
    return False


async def compared(service: Service) -> None:
    seat = service.seats[0]
    await service.reconciler.compare(seat)
    await until(lambda: not service.intake.in_hand)


async def events(service: Service, kind: str) -> list[Event]:
    return [each for each in await service.store.events(100) if each.kind == kind]


# -- what differs --------------------------------------------------------------------------------------


def test_what_is_on_one_side_only_differs() -> None:
    found = difference([ANN, EVE], [held(ANN), held(BEA)], before={ANN, BEA}, open_at=nobody)
    assert (found.unruled, [each.holder for each in found.gone]) == ((EVE,), [BEA])


def test_another_spelling_is_no_difference() -> None:
    found = difference(["ANN@A.Example"], [held(ANN)], before={ANN}, open_at=nobody)
    assert (found.unruled, found.gone) == ((), ())


def test_what_was_granted_after_the_broker_was_asked_is_not_gone() -> None:
    assert difference([], [held(ANN)], before={BEA}, open_at=nobody).gone == ()


def test_what_is_being_answered_is_neither() -> None:
    found = difference([EVE], [held(ANN)], before={ANN}, open_at={ANN, EVE}.__contains__)
    assert (found.unruled, found.gone) == ((), ())


# -- behind our back -----------------------------------------------------------------------------------


async def test_a_subscriber_whom_another_owner_let_in_is_ruled_on_and_ended(house: House) -> None:
    async with house.open() as service:
        house.node.subscriptions[EVE] = "subscribed"
        await compared(service)
        assert house.node.subscribed() == []
        [event] = await events(service, "unruled-subscription")
        assert event.detail["outcome"] == "ended"
    [found] = await house.recorded()
    assert (found.decision.outcome, found.decision.request.observed["jid"]) == (Outcome.REFUSED, EVE)


async def test_a_subscriber_whom_policy_would_let_in_stays_with_a_grant(house: House) -> None:
    async with house.open() as service:
        house.node.subscriptions[f"{ANN}/desk"] = "subscribed"
        await compared(service)
        assert house.node.subscribed() == [f"{ANN}/desk"]
        [grant] = service.books.held()
        assert grant.holder == ANN
        await compared(service)
        assert len(await house.recorded()) == 1


async def test_what_a_person_would_have_to_decide_does_not_stay(house: House) -> None:
    async with house.open() as service:
        house.node.subscriptions[BEA] = "subscribed"
        await compared(service)
        assert house.node.subscribed() == []
        assert not service.books.cases


async def test_an_address_that_has_no_normal_form_is_ended(house: House) -> None:
    async with house.open() as service:
        house.node.subscriptions["straße@c.example"] = "subscribed"
        await compared(service)
        assert house.node.subscribed() == []


async def test_another_owner_is_told_once_until_something_changes(house: House) -> None:
    async with house.open() as service:
        house.node.affiliations["rival@c.example"] = "owner"
        await compared(service)
        await compared(service)
        assert len(await events(service, "foreign-owner")) == 1
        del house.node.affiliations["rival@c.example"]
        await compared(service)
        house.node.affiliations["rival@c.example"] = "owner"
        await compared(service)
        assert len(await events(service, "foreign-owner")) == 2


async def test_who_published_without_our_leave_does_no_more_and_who_may_does_again(house: House) -> None:
    async with house.open() as service:
        house.node.affiliations = {**house.node.affiliations, EVE: "publisher", "provider@hub.example": "member"}
        await compared(service)
        assert house.node.affiliation(EVE) == "none"
        assert house.node.affiliation("provider@hub.example") == "publisher"
        [event] = await events(service, "affiliations-repaired")
        assert event.detail["count"] == 2


async def test_a_topic_that_is_no_longer_ours_keeps_no_other_from_its_writers(house: House) -> None:
    house.settings_text += "[[topic]]" + SETTINGS.partition("[[topic]]")[2].replace(TOPIC, "zzz")
    async with house.open():
        nodes = house.world.network.broker.nodes
    nodes[TOPIC].affiliations = {"somebody@else.example": "owner"}
    nodes["zzz"].affiliations.pop("provider@hub.example")
    async with house.open():
        assert nodes["zzz"].affiliation("provider@hub.example") == "publisher"


# -- gone ----------------------------------------------------------------------------------------------


async def test_a_grant_ends_whose_holder_has_left(house: House) -> None:
    async with house.open() as service:
        await house.subscribed(ANN)
        async with house.platform(ANN) as ann:
            await ann.unsubscribe(TOPIC)
        await compared(service)
        assert not service.books.grants
        grant = await service.store.grant((await house.recorded())[0].decision.id)
        assert grant is not None
        assert grant.why is not None
        assert grant.why.code == "left"
        await house.subscribed(ANN)
        assert len(service.books.grants) == 1


async def test_a_broker_that_lost_its_data_is_believed_the_second_time_and_told_in_one_event(house: House) -> None:
    async with house.open() as service:
        await house.subscribed(*(f"p{number}@a.example" for number in range(20)))
        house.node.subscriptions.clear()
        await compared(service)
        assert not service.books.grants
        [event] = await events(service, "subscriptions-gone")
        assert event.detail["count"] == 20


async def test_whoever_asks_again_for_what_it_holds_has_left_it(house: House) -> None:
    async with house.open() as service:
        await house.subscribed(ANN)
        async with house.platform(ANN) as ann:
            await ann.unsubscribe(TOPIC)
        await house.subscribed(ANN)
        assert len(service.books.held()) == 1
    assert len(await house.recorded()) == 2


async def test_what_is_taken_back_before_it_is_answered_leaves_no_grant(house: House) -> None:
    async with house.open() as service, house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        house.node.subscriptions.clear()
        await until(lambda: not service.intake.in_hand)
        await until(lambda: not service.books.grants)


# -- white lists ---------------------------------------------------------------------------------------


def closed(house: House) -> None:
    """Add a topic whose white list has ANN, by policy, and people of b.example that the settings name."""
    house.settings_text = house.settings_text.replace("[[broker]]", f'platforms = ["{BEA}", "{EVE}"]\n[[broker]]', 1) + WHITELIST
    where = 'topic == "closed" && operation == "subscribe"'
    house.write(
        "policies/topics/closed.kn", assertion("POLICY", "hub", 'topic == "closed" && operation ~= "^(subscribe|publish)$"', "allow")
    )
    house.write("credentials/closed.kn", signed("hub", ANN, where), signed("hub", "xmpp-member:b.example", 'topic == "closed"'))


async def test_a_white_list_is_what_policy_says_before_anybody_asks(house: House) -> None:
    closed(house)
    async with house.open() as service:
        node = house.world.network.broker.nodes["closed"]
        assert {jid: node.affiliation(jid) for jid in (ANN, BEA, EVE)} == {ANN: "member", BEA: "publisher", EVE: "none"}
        assert {(each.holder, each.request.operation) for each in service.books.held(node="closed")} == {
            (ANN, "subscribe"),
            (BEA, "subscribe"),
            (BEA, "publish"),
        }
        async with house.platform(ANN) as ann:
            assert await ann.subscribe("closed") == "subscribed"
    before = len(await house.recorded())
    async with house.open():
        assert node.affiliation(ANN) == "member"
    assert len(await house.recorded()) == before


async def test_who_loses_a_place_on_the_white_list_loses_its_subscription_too(house: House) -> None:
    closed(house)
    async with house.open() as service:
        node = house.world.network.broker.nodes["closed"]
        async with house.platform(ANN) as ann:
            await ann.subscribe("closed")
        house.write("credentials/closed.kn", signed("hub", "xmpp-member:b.example", 'topic == "closed"'))
        await house.reload()
        await until(lambda: node.affiliation(ANN) == "none" and not node.subscribed())
        await until(lambda: service.books.grant_at("subscribe", Place("pubsub.hub.example", "closed", ANN)) is None)
        assert node.affiliation(BEA) == "publisher"


async def test_who_comes_to_be_licensed_comes_to_be_a_member(house: House) -> None:
    closed(house)
    async with house.open():
        node = house.world.network.broker.nodes["closed"]
        house.write("credentials/eve.kn", signed("hub", EVE, 'topic == "closed" && operation == "subscribe"'))
        await house.reload()
        await until(lambda: node.affiliation(EVE) == "member")


async def test_whoever_somebody_else_put_on_the_white_list_is_taken_off(house: House) -> None:
    closed(house)
    async with house.open() as service:
        node = house.world.network.broker.nodes["closed"]
        node.affiliations["mal@c.example"] = "member"
        node.subscriptions["mal@c.example"] = "subscribed"
        service.seats[0].fall_behind(doubt=True)
        await until(lambda: node.affiliation("mal@c.example") == "none" and not node.subscribed())
