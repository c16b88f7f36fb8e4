"""A session with servers that misbehave: what slixmpp would do by itself, and must not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias
from xml.etree.ElementTree import Element

import pytest
from slixmpp.stanza.error import Error
from structlog.testing import capture_logs

from clearinghouse.doors.xmpp.session import MAX_UNFINISHED_BYTES, MAX_UNSENT_BYTES, Account, Session
from clearinghouse.errors import BrokerUnavailable

HEADER = b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' from='ch.example.net' id='1'>"
US = "ch.example.net"

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


@asynccontextmanager
async def server(script: Callable[[Reader, Writer], Awaitable[None]]) -> AsyncIterator[Account]:
    """A server on loopback that follows *script* with each component that connects."""

    async def meet(reader: Reader, writer: Writer) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
            await reader.readuntil(b"</stream:stream>")
        writer.close()

    listening = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield Account(US, "secret", *listening.sockets[0].getsockname()[:2])
    finally:
        listening.close()
        await listening.wait_closed()


async def admit(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b">")
    writer.write(HEADER)
    await reader.readuntil(b"</handshake>")
    writer.write(b"<handshake/>")


@asynccontextmanager
async def session(account: Account) -> AsyncIterator[tuple[Session, asyncio.Queue[Element]]]:
    received: asyncio.Queue[Element] = asyncio.Queue()
    made = Session(account, received.put_nowait)
    try:
        await made.open()
        yield made, received
    finally:
        await made.close()


async def ended(made: Session) -> None:
    async with asyncio.timeout(5):
        await made.ended.wait()


async def test_stanzas_arrive_in_the_namespace_of_clients_and_nowhere_else() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await admit(reader, writer)
        writer.write(b"<presence from='x@y.example' to='ch.example.net' type='probe'/>")
        writer.write(b"<message from='x@y.example' to='ch.example.net'><body>hello</body></message>")
        writer.write(b"<iq from='x@y.example' to='ch.example.net' id='1' type='get'><query xmlns='jabber:iq:version'/></iq>")

    async with server(script) as account, session(account) as (_, queue):
        received = [await queue.get() for _ in range(3)]
    assert [stanza.tag for stanza in received] == ["{jabber:client}presence", "{jabber:client}message", "{jabber:client}iq"]
    assert received[1][0].tag == "{jabber:client}body"


async def test_stanzas_leave_in_the_namespace_of_components() -> None:
    said = asyncio.Queue[bytes]()

    async def script(reader: Reader, writer: Writer) -> None:
        await admit(reader, writer)
        said.put_nowait(await reader.readuntil(b"</message>"))

    async with server(script) as account, session(account) as (made, _):
        message = Element("{jabber:client}message", to="broker.example.net")
        message.append(Element("{jabber:x:data}x", type='"<&>"'))
        made.write(message)
        sent = await said.get()
    assert sent == b'<message to="broker.example.net"><x xmlns="jabber:x:data" type="&quot;&lt;&amp;&gt;&quot;" /></message>'


async def test_redirection_is_not_followed() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await admit(reader, writer)
        redirection = b"<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>127.0.0.1:1</see-other-host>"
        writer.write(b"<stream:error>" + redirection + b"</stream:error></stream:stream>")

    with capture_logs() as logs:
        async with server(script) as account, session(account) as (made, _):
            await ended(made)
            await asyncio.sleep(0.05)
            assert not made.is_connecting()
    assert [entry["conditions"] for entry in logs] == [["see-other-host"]]


async def test_stanza_without_end_ends_the_session() -> None:
    async def script(reader: Reader, writer: Writer) -> None:
        await admit(reader, writer)
        writer.write(b"<message from='x@y.example'><body>")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    with capture_logs() as logs:
        async with server(script) as account, session(account) as (made, received):
            await ended(made)
    assert received.empty()
    assert [entry["event"] for entry in logs] == ["stanza_too_large"]
    assert logs[0]["bytes"] <= MAX_UNFINISHED_BYTES + 262_144


async def test_many_stanzas_in_one_piece_are_not_too_large() -> None:
    one = b"<message from='x@y.example'><body>" + b"x" * 1000 + b"</body></message>"

    async def script(reader: Reader, writer: Writer) -> None:
        await admit(reader, writer)
        writer.write(one * 3000)

    async with server(script) as account, session(account) as (made, received):
        async with asyncio.timeout(5):
            for _ in range(3000):
                await received.get()
        assert not made.ended.is_set()


async def test_server_that_does_not_read_is_not_written_to_without_end() -> None:
    async with server(admit) as account, session(account) as (made, _):
        message = Element("{jabber:client}message", to="broker.example.net")
        message.text = "x" * 100_000

        def flood() -> None:
            for _ in range(2 * MAX_UNSENT_BYTES // 100_000 + 100):
                made.write(message)

        with pytest.raises(BrokerUnavailable, match="does not read"):
            flood()
        made.abort()


async def test_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clearinghouse.doors.xmpp.session.HANDSHAKE_SECONDS", 0.1)

    async def script(reader: Reader, _: Writer) -> None:
        await reader.read(1)

    async with server(script) as account:
        with pytest.raises(BrokerUnavailable, match="no session at"):
            async with session(account):
                pass


async def test_nobody_there() -> None:
    async with server(admit) as account:
        pass
    with pytest.raises(BrokerUnavailable, match=r"no session at .*: cannot connect \(.*Connect call failed") as raised:
        async with session(account):
            pass
    assert "secret" not in raised.value.mend


async def test_writing_after_the_end_is_refused() -> None:
    async with server(admit) as account:
        async with session(account) as (made, _):
            made.write(Element("{jabber:client}message"))
        with pytest.raises(BrokerUnavailable, match="no session"):
            made.write(Element("{jabber:client}message"))


async def test_nothing_is_left_running() -> None:
    before = asyncio.all_tasks()
    async with server(admit) as account, session(account):
        pass
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() <= before


def test_slixmpp_knows_policy_violation_and_keeps_stanzas_out_of_the_log() -> None:
    assert "policy-violation" in Error.conditions
    assert not logging.getLogger("slixmpp.xmlstream.xmlstream").isEnabledFor(logging.DEBUG)
