"""R12: an agent believes its own server about what it refused; whom a server module believes is tested with servers."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from clearinghouse.enforcers.levels import EVENT, event_in
from clearinghouse.grid.stanzas import MESSAGE

HOSTS = ("a.fed", "muc.a.fed", "agent.a.fed")


def told(sender: str | None) -> Element:
    message = Element(MESSAGE, {"to": "agent.a.fed"} | ({"from": sender} if sender is not None else {}))
    event = Element(EVENT)
    event.text = '{"event":"refused","held":"1"}'
    message.append(event)
    return message


@pytest.mark.parametrize(
    "sender", ["b.fed", "x.a.fed", "a.fed.evil.fed", "A.fed", "a.fed.", "user@a.fed", "a.fed/resource", "room@muc.a.fed/nick", "", None]
)
def test_r12_nobody_else_can_tell_an_agent_what_a_server_refused(sender: str | None) -> None:
    assert event_in(told(sender), HOSTS) is None
    assert event_in(told("a.fed"), HOSTS) is not None
