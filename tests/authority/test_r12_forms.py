"""R12: subscription forms are taken from configured brokers only, and for our own nodes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.worlds import BROKER, COMPONENT
from clearinghouse.grid.forms import write_form
from clearinghouse.grid.namespaces import SUBSCRIBE_AUTHORIZATION
from clearinghouse.grid.stanzas import MESSAGE
from tests.runtime.house import ANN, TOPIC, House, example, hurry, until


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    hurry(monkeypatch)
    return example(tmp_path)


def form(sender: str, node: str = TOPIC, subscriber: str = ANN) -> Element:
    message = Element(MESSAGE, {"from": sender, "to": COMPONENT})
    fields = {"pubsub#subid": "5F1", "pubsub#node": node, "pubsub#subscriber_jid": subscriber, "pubsub#allow": "0"}
    message.append(write_form("form", SUBSCRIBE_AUTHORIZATION, fields))
    return message


HOSTILE = [
    form("evil.example"),
    form(f"{BROKER}.evil.example"),
    form(f"x{BROKER}"),
    form(f"{BROKER}/resource"),
    form(f"user@{BROKER}"),
    form("hub.example"),
    form(COMPONENT),
    form(""),
    form(BROKER, node="another"),
    form(BROKER, node=f"{TOPIC} "),
    form(BROKER, node=TOPIC.upper()),
    form(BROKER, subscriber="not an address"),
    form(BROKER, subscriber=""),
]


async def test_r12_no_decision_is_made_for_a_form_from_anybody_else_or_about_anything_else(house: House) -> None:
    async with house.open() as service:
        for message in HOSTILE:
            house.line.exchange.receive(message)
        await asyncio.sleep(0.05)
        assert await house.recorded() == []
        house.line.exchange.receive(form(BROKER))
        await until(lambda: not service.intake._in_hand)
    assert [each.decision.request.observed["jid"] for each in await house.recorded()] == [ANN]


async def test_r12_what_a_form_says_about_the_answer_is_not_believed(house: House) -> None:
    """The field `pubsub#allow` is a proposal of whoever sends the form."""
    message = form(BROKER, subscriber="eve@c.example")
    field = next(each for each in message[0] if each.get("var") == "pubsub#allow")
    field[0].text = "1"
    async with house.open() as service:
        house.line.exchange.receive(message)
        await until(lambda: not service.intake._in_hand)
    [found] = await house.recorded()
    assert found.decision.value == "deny"


async def test_r12_one_broker_has_no_say_about_the_topics_of_another(house: House) -> None:
    house.settings_text += f'\n[[broker]]\njid = "feeds.hub.example"\ncomponent = "{COMPONENT}"\nsecret_file = "secret"\n'
    async with house.open() as service:
        house.line.exchange.receive(form("feeds.hub.example"))
        house.line.exchange.receive(form(BROKER))
        await until(lambda: not service.intake._in_hand)
    [found] = await house.recorded()
    assert found.decision.request.observed["broker"] == BROKER
