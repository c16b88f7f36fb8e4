"""One session of the component with its server (XEP-0114), on slixmpp with its traps closed.

What slixmpp would do by itself with a stanza is cut off: everything that arrives after the handshake
goes to one function, and slixmpp's own handlers, rosters and automatic replies see none of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

import structlog
from slixmpp import ComponentXMPP
from slixmpp.stanza.error import Error
from slixmpp.xmlstream.stanzabase import StanzaBase
from slixmpp.xmlstream.tostring import tostring

from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid.namespaces import CLIENT
from clearinghouse.grid.stanzas import in_namespace

log = structlog.get_logger(__name__)

# RFC 6120, section 8.3.3.12, unknown to slixmpp: without it an error reply of this kind ends in a time-out.
Error.conditions.add("policy-violation")

# Its debug lines hold whole stanzas, and printing a deep one recurses until the connection is lost.
logging.getLogger("slixmpp").setLevel(logging.WARNING)

COMPONENT: Final = "jabber:component:accept"
"""The namespace of stanzas on a component's stream (XEP-0114)."""

MAX_UNFINISHED_BYTES: Final = 4 << 20
"""Bytes received without the end of a stanza before the session is given up.  Servers cap a stanza at
256 kB (clients) or 512 kB (servers) as packaged; without a cap there, memory is what this one saves.
The broker's own are not capped: ejabberd's list of topics with requests has one entry for each of them,
so 10,000 requests for a topic with the longest of names make 3 MB."""

MAX_UNSENT_BYTES: Final = 4 << 20
"""Bytes that wait for a server that does not read; more is refused, so that strangers' questions cannot fill memory."""

HANDSHAKE_SECONDS: Final = 10.0
"""From the first attempt to connect to the end of the handshake, which takes 2 ms on loopback."""

_STREAM_ERROR: Final = "{http://etherx.jabber.org/streams}error"

Receive: TypeAlias = Callable[[Element], None]


@dataclass(frozen=True, slots=True)
class Account:
    """Who the component is, and where its server listens.

    The stream is not encrypted (XEP-0114 has no TLS): *host* belongs on loopback or inside a tunnel.
    """

    jid: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 5347


class Session(ComponentXMPP):
    """A session that is opened once, and thrown away when it ends."""

    def __init__(self, account: Account, receive: Receive) -> None:
        """Prepare to connect; every stanza that arrives is given to *receive*, in the namespace ``jabber:client``."""
        super().__init__(account.jid, account.secret, account.host, account.port)  # type: ignore[no-untyped-call] # slixmpp types only part of itself
        self.ended = asyncio.Event()
        self.opened = asyncio.Event()
        self._receive = receive
        self._unfinished = 0
        self._trouble = ""
        self._reached = False
        self.add_filter("in", self._take)
        self.add_event_handler("connection_failed", self._keep_trouble)
        self.add_event_handler("session_start", lambda _: self.opened.set())
        self.add_event_handler("disconnected", lambda _: self.ended.set())

    async def open(self) -> None:
        """Connect and shake hands; raise `BrokerUnavailable` when the server does not let us in."""
        attempt = self.connect()
        waits = [asyncio.ensure_future(event.wait()) for event in (self.opened, self.ended)]
        try:
            await asyncio.wait(waits, timeout=HANDSHAKE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (attempt, *waits):
                task.cancel()
        if not self.opened.is_set():
            raise self._not_opened()

    def _not_opened(self) -> BrokerUnavailable:
        where = f"no session at `{self.server_host}:{self.server_port}`"
        if not self._reached and self._trouble:
            return BrokerUnavailable(f"{where}: {self._trouble}", mend="see that the XMPP server runs, and listens for components there")
        why = self._trouble or "the server ended it, or did not answer, before the handshake was done"
        return BrokerUnavailable(f"{where}: {why}", mend="see the server's log, and check the component's name and secret")

    async def close(self) -> None:
        """End the stream and everything that slixmpp runs for it."""
        if self.is_connected():
            await self.disconnect(wait=1.0)
        self.cancel_connection_attempt()
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()

    def write(self, stanza: Element) -> None:
        """Send one stanza at once; raise `BrokerUnavailable` when it cannot go out now."""
        if self.transport is None or not self.opened.is_set() or self.ended.is_set():
            raise BrokerUnavailable("no session with the XMPP server", mend="it is opened again by itself; see the lines before this one")
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise BrokerUnavailable("the XMPP server does not read what it is sent", mend="look at its load and log")
        self.send_raw(tostring(in_namespace(stanza, CLIENT, COMPONENT), xmlns=COMPONENT, stream=self, top_level=True))

    def data_received(self, data: bytes | str) -> None:
        """Count what has not yet become a stanza, and end the session that sends too much of it."""
        self._reached = True
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_UNFINISHED_BYTES:
            log.warning("stanza_too_large", bytes=self._unfinished, limit=MAX_UNFINISHED_BYTES)
            self.abort()

    def reschedule_connection_attempt(self) -> None:
        """End the session after one failed attempt: the component alone decides when to try again."""
        self._current_connection_attempt = None
        self.ended.set()

    def _keep_trouble(self, problem: OSError | str) -> None:
        """Remember why there is no connection, in the system's words."""
        self._trouble = f"cannot connect ({problem})"

    def _take(self, stanza: StanzaBase) -> StanzaBase | None:
        self._unfinished = 0
        if stanza.xml.tag == _STREAM_ERROR:
            # Kept from slixmpp, which would follow a see-other-host; the server closes the stream after it.
            conditions = [child.tag.rpartition("}")[2] for child in stanza.xml]
            self._trouble = f"the server answered {', '.join(conditions)}"
            log.warning("stream_error", conditions=conditions)
            return None
        if not self.opened.is_set():
            return stanza  # the handshake
        self._receive(in_namespace(stanza.xml, COMPONENT, CLIENT))
        return None
