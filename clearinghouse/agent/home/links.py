"""What of a component link an agent needs; the real one is `clearinghouse.doors.xmpp.component.Component`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from clearinghouse.doors.xmpp.component import Component
from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.doors.xmpp.session import Account
from clearinghouse.grid.topics import SubscriptionAsked
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.secrets import read_secret


class Link(Protocol):
    """A session with the agent's own server, opened again whenever it is lost.

    ``connected`` run, in order, each time that it is open; ``ready`` is set once they are done, until it is lost.
    """

    exchange: Exchange
    connected: list[Callable[[], Awaitable[None]]]
    ready: asyncio.Event

    async def run(self) -> None:
        """Keep the session, until cancelled."""


def component_link(settings: AgentSettings) -> Link:
    """Return the link that the settings describe; raises `UnsafeFile` and `BadSettings` for its secret."""
    server = settings.server
    account = Account(server.component, read_secret(server.secret_file), server.host, server.port)
    return Component(account, {}, _nobody_asks)


def _nobody_asks(_: SubscriptionAsked) -> None:
    """Forget a form: an agent owns no topics, and believes no broker."""
