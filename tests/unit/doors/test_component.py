"""The component's states, and its pauses between attempts."""

from __future__ import annotations

from itertools import islice, product
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.doors.xmpp.component import LONGEST_WAIT_SECONDS, NEXT, Change, Component, State, back_off
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.errors import BrokerUnavailable


def test_pauses_double_up_to_the_longest() -> None:
    assert list(islice(back_off(), 9)) == [0.25, 0.5, 1, 2, 4, 8, 16, LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS]


def test_every_state_can_be_reached_and_left_by_stopping() -> None:
    assert {State.IDLE, *NEXT.values()} == set(State)
    assert all(NEXT[state, Change.STOP] is State.IDLE for state in State if state is not State.IDLE)


@pytest.mark.parametrize("state, change", [pair for pair in product(State, Change) if pair not in NEXT], ids=str)
def test_any_other_change_is_a_mistake(state: State, change: Change) -> None:
    component = Component(Account("ch.example.net", "secret"), {}, print)
    component.state = state
    with pytest.raises(KeyError):
        component._move(change)
    assert component.state is state


async def test_asking_before_running_is_refused() -> None:
    component = Component(Account("ch.example.net", "secret"), {}, print)
    with pytest.raises(BrokerUnavailable, match="never started"):
        await component.exchange.ask("broker.example.net", "get", Element("{urn:x}x"))


def test_secret_is_not_shown() -> None:
    assert "hush" not in repr(Component(Account("ch.example.net", "hush"), {}, print))
