"""The life of a subscription: asked, approved by people, ended by time, policy or people; and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from xml.etree.ElementTree import Element

from clearinghouse.clearing.cases import CaseState
from clearinghouse.clearing.decision import Outcome
from clearinghouse.demo.worlds import COMPONENT
from clearinghouse.grid.stanzas import IQ
from clearinghouse.runtime.asking.intake import MAX_WAITING, WORKERS
from clearinghouse.runtime.parts import Service
from clearinghouse.runtime.people.heralds import Station
from clearinghouse.storage.store import Effect
from tests.runtime.house import ANN, BEA, OP, TOPIC, House, until
from tests.world import signed

SHORT = f'topic == "{TOPIC}"'


async def waiting(service: Service) -> str:
    """Return the id of the one case that waits, once there is one."""
    await until(lambda: bool(service.books.cases))
    [case] = service.books.cases.values()
    return case.id


# -- people --------------------------------------------------------------------------------------------


async def test_who_was_approved_by_a_person_is_subscribed_and_holds_a_grant(house: House) -> None:
    async with house.open() as service, house.platform(BEA) as bea:
        assert await bea.subscribe(TOPIC) == "pending"
        identity = await waiting(service)
        ruling = await service.hall.office.approve(house.op, identity)
        assert (await bea.ruling()).state == "subscribed"
        assert ruling.decision is not None
        [grant] = service.books.held()
        assert (grant.case, grant.holder) == (identity, BEA)
    asked, granted = await house.recorded()
    assert (asked.decision.outcome, granted.decision.outcome, granted.effect) == (Outcome.PENDING, Outcome.GRANTED, Effect.DONE)


async def test_a_case_that_waits_is_one_question_over_recoveries_and_restarts(house: House) -> None:
    async with house.open() as service, house.platform(BEA) as bea:
        await bea.subscribe(TOPIC)
        identity = await waiting(service)
    async with house.open() as service:
        for _ in range(3):
            await service.seats[0].owner.recover(each.topic for each in service.seats[0].askings)
            await until(lambda: not service.intake.in_hand)
        await service.hall.office.approve(house.op, identity)
        await until(lambda: house.node.subscribed() == [BEA])
    assert len(await house.recorded()) == 2


async def test_what_people_approved_once_holds_for_whoever_left_and_asks_again(house: House) -> None:
    async with house.open() as service, house.platform(BEA) as bea:
        await bea.subscribe(TOPIC)
        identity = await waiting(service)
        await service.hall.office.approve(house.op, identity)
        assert (await bea.ruling()).state == "subscribed"
        await bea.unsubscribe(TOPIC)
        await bea.subscribe(TOPIC)
        assert (await bea.ruling()).state == "subscribed"
        await until(lambda: not service.intake.in_hand)
        assert [each.case for each in service.books.held()] == [identity]


async def test_who_was_denied_hears_none_and_may_ask_again(house: House) -> None:
    async with house.open() as service, house.platform(BEA) as bea:
        await bea.subscribe(TOPIC)
        await service.hall.office.deny(house.op, await waiting(service))
        assert (await bea.ruling()).state == "none"
        assert not service.books.cases
        assert await bea.subscribe(TOPIC) == "pending"
        await waiting(service)


async def test_people_read_that_something_waits_and_requesters_what_came_of_it(house: House) -> None:
    async with house.open() as service:
        heard: dict[str, list[str]] = {}
        service.herald.station = lambda _: Station(COMPONENT, "hub.example", lambda to, body: heard.setdefault(to, []).append(body))
        async with house.platform(BEA) as bea:
            await bea.subscribe(TOPIC)
            identity = await waiting(service)
            await until(lambda: OP in heard)
            await service.hall.office.approve(house.op, identity)
            await until(lambda: BEA in heard)
    assert identity in heard[OP][0]
    assert "was granted" in heard[BEA][0]
    assert set(heard) == {OP, BEA}


# -- time ----------------------------------------------------------------------------------------------


async def test_a_grant_ends_with_the_chain_that_it_rests_on_and_the_broker_is_told(house: House) -> None:
    house.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", SHORT, until="20261125"))
    async with house.open() as service, house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        assert (await ann.ruling()).state == "subscribed"
        await until(lambda: not service.intake.in_hand)
        house.sleep(days=4)
        assert house.node.subscribed() == [ANN]
        house.sleep(days=1)  # no timer ran meanwhile: as if the machine had been suspended
        assert (await ann.ruling()).state == "none"
        await until(lambda: not service.books.grants)
    async with house.open() as service:
        grant = await service.store.grant((await house.recorded())[0].decision.id)
        assert grant is not None
        assert grant.why is not None
        assert (grant.why.code, grant.affiliation) == ("expired-chain", "none")


async def test_many_grants_that_end_together_end_in_one_pass(house: House) -> None:
    house.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", SHORT, until="20261125"))
    jids = [f"p{number}@a.example" for number in range(300)]
    async with house.open() as service:
        await house.subscribed(*jids)
        asked = count_questions(house)
        house.sleep(days=5)
        await until(lambda: not house.node.subscribed() and not service.books.grants, 15)
        assert asked() < 10


def count_questions(house: House) -> Callable[[], int]:
    """Return what says how many IQs the component has sent since."""
    sent: list[str] = []
    send = house.line.exchange.write

    def write(stanza: Element) -> None:
        if stanza.tag == IQ:
            sent.append(stanza.get("type", ""))
        send(stanza)

    house.line.exchange.write = write
    return lambda: len(sent)


async def test_an_end_that_the_broker_could_not_hear_is_told_when_it_is_back_even_after_a_restart(house: House) -> None:
    house.write("credentials/a.kn", signed("hub", "xmpp-member:a.example", SHORT, until="20261125"))
    async with house.open() as service:
        await house.subscribed(ANN)
        house.line.cut = True
        house.sleep(days=5)
        await until(lambda: bool(service.books.owed_ends()))
        await asyncio.sleep(0.1)
        assert house.node.subscribed() == [ANN]
    async with house.open() as service:
        await until(lambda: not house.node.subscribed() and not service.books.grants)


async def test_a_grant_whose_credential_was_taken_away_ends_at_once(house: House) -> None:
    async with house.open(), house.platform(ANN) as ann:
        await ann.subscribe(TOPIC)
        assert (await ann.ruling()).state == "subscribed"
        house.remove("credentials/a.kn")
        await house.reload()
        assert (await ann.ruling()).state == "none"


async def test_a_request_that_nobody_decides_in_time_is_refused(house: House) -> None:
    house.settings_text += '\n[desk]\nwait = "2 days"\n'
    async with house.open() as service, house.platform(BEA) as bea:
        await bea.subscribe(TOPIC)
        identity = await waiting(service)
        house.sleep(days=2)
        assert (await bea.ruling()).state == "none"
        case = await service.store.case(identity)
        assert case is not None
        assert case.state is CaseState.EXPIRED


# -- bars ----------------------------------------------------------------------------------------------


async def test_who_was_barred_is_cut_off_and_refused_with_a_reason_of_its_own(house: House) -> None:
    async with house.open() as service:
        await house.subscribed(ANN)
        [grant] = service.books.held()
        await service.hall.office.end_grant(house.op, grant.id)
        await until(lambda: not service.books.grants)
        assert (house.node.subscribed(), house.node.affiliation(ANN)) == ([], "outcast")
        request = (await service.store.decisions(1))[0].decision.request
        assert service.bench.ruled(request).reason.code == "revoked"


async def test_who_may_ask_again_is_no_outcast_and_whose_bar_is_lifted_neither(house: House) -> None:
    async with house.open() as service:
        await house.subscribed(ANN)
        [grant] = service.books.held()
        await service.hall.office.end_grant(house.op, grant.id, may_ask_again=True)
        await until(lambda: not service.books.grants)
        assert house.node.affiliation(ANN) == "none"
        await house.subscribed(ANN)
        [grant] = service.books.held()
        await service.hall.office.end_grant(house.op, grant.id)
        await until(lambda: not service.books.grants)
        [bar] = service.books.revocations.values()
        await service.hall.office.lift(house.op, bar.id)
        await until(lambda: house.node.affiliation(ANN) == "none")
        await house.subscribed(ANN)


# -- floods --------------------------------------------------------------------------------------------


async def test_ten_thousand_who_wait_when_we_connect_fill_no_memory_and_keep_no_honest_one_waiting(house: House) -> None:
    async with house.open():
        pass
    house.node.subscriptions |= {f"m{number}@c.example/{number}": "pending" for number in range(10_000)}
    house.node.subscriptions[ANN] = "pending"
    async with house.open() as service:
        most = 0

        def served() -> bool:
            nonlocal most
            most = max(most, len(service.intake.in_hand))
            return house.node.subscriptions[ANN] == "subscribed"

        await until(served, 20)
        assert most <= MAX_WAITING + WORKERS
        assert len(house.node.pending()) > 5_000


async def test_a_flood_leaves_the_honest_served_and_is_decided_at_its_own_pace(house: House) -> None:
    house.settings_text += "\n[rates]\neach_per_second = 5.0\neach_burst = 5.0\ndomain_per_second = 20.0\ndomain_burst = 10.0\n"
    async with house.open() as service, house.platform(ANN) as ann:
        for number in range(200):
            async with house.platform(f"m{number}@c.example") as eve:
                await eve.subscribe(TOPIC)
        await ann.subscribe(TOPIC)
        assert (await ann.ruling()).state == "subscribed"
        assert service.rates.limited > 0
        assert len(house.node.pending()) > 100
