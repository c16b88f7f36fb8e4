"""Each way by which documents come: the same bytes, bounded, and a word of its own for each failure."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from structlog.testing import capture_logs

from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.files import Files
from clearinghouse.agent.sources.https import Https
from clearinghouse.agent.sources.source import CannotReport, NoSuchDocument, Source, SourceUnavailable
from clearinghouse.agent.sources.xmpp import ANSWER, DOCUMENT, Xmpp
from clearinghouse.doors.xmpp.documents import read_document, write_document
from clearinghouse.errors import BadSettings, BrokerUnavailable
from clearinghouse.federation.published.documents import digest, table_name, timestamp_name
from clearinghouse.federation.published.refusals import EndlessData
from clearinghouse.grid.namespaces import PUBSUB, PUBSUB_EVENT
from clearinghouse.grid.stanzas import IQ, MESSAGE, Question, StanzaRefused
from tests.agent.community import NAME, US, Clock, Hub, MemorySource
from tests.agent.houses import House, until
from tests.agent.shelves import Shelf, Wire, https_hub, trusted_by
from tests.world import key


@pytest.fixture
def hub() -> Hub:
    made = Hub(Clock())
    made.publish({f"d{number}.example": "level-2" for number in range(8_000)})
    return made


class Stanzas:
    """The clearinghouse's component, as far as a source asks it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.asked: list[Element] = []
        self.away = False

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        del to, kind
        self.asked.append(payload)
        if self.away:
            raise BrokerUnavailable("no session", mend="wait")
        answer = Element(IQ, type="result")
        if payload.tag == DOCUMENT:
            name, offset = read_document(payload)
            if name not in self.hub.documents:
                raise StanzaRefused("item-not-found")
            answer.append(write_document(name, self.hub.documents[name], offset))
        return answer

    async def tell(self, message: Element) -> None:
        raise NotImplementedError


@asynccontextmanager
async def https(hub: Hub, directory: Path) -> AsyncIterator[Source]:
    shelf = Shelf(hub, key("agent a").principal)
    async with https_hub(shelf, directory) as (url, ca):
        source = Https(url, Speaker(key("agent a"), NAME, hub.clock), US, ca)
        yield source
        await source.close()


@asynccontextmanager
async def xmpp(hub: Hub, directory: Path) -> AsyncIterator[Source]:
    del directory
    yield Xmpp("ch.hub.example", "agent.a.example", Stanzas(hub))


@asynccontextmanager
async def files(hub: Hub, directory: Path) -> AsyncIterator[Source]:
    hub.export(directory)
    yield Files(directory)


WAYS: dict[str, Callable[[Hub, Path], object]] = {"https": https, "xmpp": xmpp, "files": files}


@pytest.fixture(params=list(WAYS))
async def source(request: pytest.FixtureRequest, hub: Hub, tmp_path: Path) -> AsyncIterator[Source]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(WAYS[request.param](hub, tmp_path))  # type: ignore[arg-type]  # each is one


async def test_every_document_is_the_same_whichever_way_it_comes(source: Source, hub: Hub) -> None:
    for name, raw in hub.documents.items():
        assert await source.fetch(name, limit=len(raw)) == raw
        assert await source.fetch(name, limit=len(raw)) == raw, "and a second time"


async def test_what_there_is_not_and_what_is_too_long_have_names_of_their_own(source: Source, hub: Hub) -> None:
    with pytest.raises(NoSuchDocument):
        await source.fetch(table_name(US, 99), limit=1_000)
    name = table_name(US, hub.version)
    with pytest.raises(EndlessData):
        await source.fetch(name, limit=len(hub.documents[name]) - 1)


async def test_a_wait_ends_by_itself_and_says_nothing(source: Source, hub: Hub) -> None:
    newest = digest(hub.documents[timestamp_name(US)])
    if isinstance(source, Files):
        await source.wait(US, newest, 5)  # it has seen nothing yet
    if not isinstance(source, Https):
        await source.wait(US, newest, 0.05)


# -- each by itself ------------------------------------------------------------------------------------


async def test_https_waits_for_news_and_sees_how_far_clocks_are_apart(hub: Hub, tmp_path: Path) -> None:
    async with https(hub, tmp_path) as source:
        newest = digest(hub.documents[timestamp_name(US)])
        waiting = asyncio.ensure_future(source.wait(US, newest, 20))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert isinstance(hub.clock, Clock)
        hub.clock.sleep(seconds=1)
        hub.stamp()
        async with asyncio.timeout(5):
            await waiting
        assert source.ahead is not None


async def test_https_asks_with_the_members_key_and_trusts_only_the_named_certificates(hub: Hub, tmp_path: Path) -> None:
    shelf = Shelf(hub, key("agent a").principal)
    async with https_hub(shelf, tmp_path) as (url, ca):
        stranger = Https(url, Speaker(key("mallory"), NAME, hub.clock), US, ca)
        with pytest.raises(NoSuchDocument):
            await stranger.fetch(timestamp_name(US), limit=10_000)
        trusting = Https(url, Speaker(key("agent a"), NAME, hub.clock), US)
        with pytest.raises(SourceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await trusting.fetch(timestamp_name(US), limit=10_000)
        speaker = Https(url, Speaker(key("agent a"), NAME, hub.clock), US, ca)
        await speaker.report(Speaker(key("agent a"), NAME, hub.clock).sealed("status", {"standing": "fresh"}))
        assert shelf.reports == [{"standing": "fresh"}]
        for each in (stranger, trusting, speaker):
            await each.close()
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(BadSettings, match="holds no certificates"):
        Https(url, Speaker(key("agent a"), NAME, hub.clock), US, tmp_path / "ca.pem")


async def test_https_over_a_cut_wire_is_unavailable_and_back_when_it_is_mended(hub: Hub, tmp_path: Path) -> None:
    async with https_hub(Shelf(hub, key("agent a").principal), tmp_path) as (url, ca), Wire(int(url.rpartition(":")[2])).laid() as wire:
        source = Https(f"https://localhost:{wire.port}", Speaker(key("agent a"), NAME, hub.clock), US, ca)
        await source.fetch(timestamp_name(US), limit=10_000)
        waiting = asyncio.ensure_future(source.wait(US, digest(hub.documents[timestamp_name(US)]), 20))
        await asyncio.sleep(0.1)
        await wire.cut()
        with pytest.raises(SourceUnavailable):
            await waiting
        with pytest.raises(SourceUnavailable):
            await source.fetch(timestamp_name(US), limit=10_000)
        await wire.mend()
        await source.fetch(timestamp_name(US), limit=10_000)
        await source.close()


async def test_xmpp_believes_the_configured_broker_alone_that_there_is_news(hub: Hub) -> None:
    stanzas = Stanzas(hub)
    source = Xmpp("ch.hub.example", "agent.a.example", stanzas, "pubsub.hub.example", US)
    await source.wait(US, "", 0.05)
    assert stanzas.asked[-1].find(f"{{{PUBSUB}}}subscribe") is not None
    for sender, node, heard in (
        ("pubsub.hub.example", f"tables/{US}", True),
        ("pubsub.hub.example", "incidents", False),
        ("mallory.example", f"tables/{US}", False),
    ):
        message = Element(MESSAGE, {"from": sender})
        event = Element(f"{{{PUBSUB_EVENT}}}event")
        event.append(Element(f"{{{PUBSUB_EVENT}}}items", node=node))
        message.append(event)
        assert source.hears(message) is heard
    async with asyncio.timeout(5):
        await source.wait(US, "", 60)


@pytest.mark.parametrize("answer", ["", "<>", "====", "QUJD"])
async def test_xmpp_takes_no_piece_that_does_not_say_how_long_the_whole_is(hub: Hub, answer: str) -> None:
    class Odd(Stanzas):
        async def ask(self, to: str, kind: Question, payload: Element) -> Element:
            del to, kind, payload
            reply, piece = Element(IQ), Element(DOCUMENT, size="" if answer == "QUJD" else "3")
            piece.text = answer
            reply.append(piece)
            return reply

    with pytest.raises(SourceUnavailable):
        await Xmpp("ch.hub.example", "agent.a.example", Odd(hub)).fetch("root/1", limit=1_000)


async def test_xmpp_without_a_session_is_unavailable(hub: Hub) -> None:
    stanzas = Stanzas(hub)
    stanzas.away = True
    source = Xmpp("ch.hub.example", "agent.a.example", stanzas)
    calls: tuple[Awaitable[object], ...] = (source.fetch("root/1", limit=1_000), source.report(b"sealed"))
    for each in calls:
        with pytest.raises(SourceUnavailable):
            await each
    stanzas.away = False
    await source.report(b"sealed")
    assert stanzas.asked[-1].text == base64.b64encode(b"sealed").decode()


async def test_files_are_no_links_pipes_or_directories_and_take_no_reports(hub: Hub, tmp_path: Path) -> None:
    source = Files(tmp_path / "documents")
    with pytest.raises(SourceUnavailable, match="there is no directory"):
        await source.fetch("root/1", limit=1_000)
    hub.export(tmp_path / "documents")
    os.mkfifo(tmp_path / "documents/root/2")
    (tmp_path / "documents/root/3").symlink_to(tmp_path / "documents/root/1")
    (tmp_path / "documents/root/4").mkdir()
    for name in ("root/2", "root/3", "root/4"):
        with pytest.raises(SourceUnavailable):
            await source.fetch(name, limit=100_000)
    with pytest.raises(CannotReport):
        await source.report(b"sealed")


Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def https_from(answer: Answering, hub: Hub, directory: Path) -> AsyncIterator[Https]:
    """Give a source at a server that does nothing but *answer*."""
    ca, context = trusted_by(directory)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        source = Https(f"https://localhost:{port}", Speaker(key("agent a"), NAME, hub.clock), US, ca)
        yield source
        await source.close()


async def test_https_unpacks_nothing(hub: Hub, tmp_path: Path) -> None:
    """A source that sends a bomb in gzip is cut off before anything is unpacked."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        body = gzip.compress(bytes(10_000_000))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with https_from(answer, hub, tmp_path) as source:
        with pytest.raises(SourceUnavailable, match="comes packed"):
            await source.fetch(timestamp_name(US), limit=10_000)
    assert b"accept-encoding: identity" in seen[0].lower()


async def test_a_date_of_no_clock_ends_no_agent(hub: Hub, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = b"Mon, 01 Jan 2024 00:00:00 +99999999999999999999"
        writer.write(b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Length: 1\r\n\r\nx" % date)
        await writer.drain()
        writer.close()

    async with https_from(answer, hub, tmp_path) as source:
        assert (await source.fetch(timestamp_name(US), limit=10_000), source.ahead) == (b"x", None)


class Trickle(Stanzas):
    """A component that sends a byte at a time."""

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        await asyncio.sleep(0)
        answer = await super().ask(to, kind, payload)
        piece = answer[0]
        piece.text, size = "AA==", piece.get("size")
        assert size is not None
        return answer


async def test_a_component_that_trickles_does_not_hold_us(hub: Hub) -> None:
    """TUF: slow retrieval."""
    hub.documents["root/7"] = bytes(200_000)
    source = Xmpp("ch.hub.example", "agent.a.example", Trickle(hub), patience=0.05)
    with pytest.raises(SourceUnavailable, match="takes too long"):
        await source.fetch("root/7", limit=262_144)


class Mad(MemorySource):
    """A source that finds a mistake of ours."""

    async def fetch(self, name: str, *, limit: int) -> bytes:
        raise ZeroDivisionError(name, limit)


async def test_a_mistake_of_ours_about_what_a_source_gives_ends_no_agent(tmp_path: Path) -> None:
    clock = Clock()
    made = House(tmp_path, Hub(clock), clock)
    made.source = Mad(made.hub)
    with capture_logs():  # the traces that tests log show all that there is, which takes a minute
        async with made.agent() as agent:
            await until(lambda: agent.follower.error is not None)
            assert agent.follower.error is not None
            assert agent.follower.error.code == "internal"


class Deciding(Stanzas):
    """A clearinghouse that answers every envelope with one state."""

    async def ask(self, to: str, kind: Question, payload: Element) -> Element:
        await super().ask(to, kind, payload)
        answer = Element(IQ, type="result")
        answer.append(Element(ANSWER, state="waits"))
        return answer


async def test_a_request_about_our_own_record_is_answered_over_xmpp_and_not_by_a_directory(hub: Hub, tmp_path: Path) -> None:
    stanzas = Deciding(hub)
    ways = Failover([Files(tmp_path), Xmpp("ch.hub.example", "agent.a.example", stanzas)])
    assert await ways.join(b"sealed") == "waits"
    assert base64.b64decode(stanzas.asked[0].text or "") == b"sealed"
    with pytest.raises(CannotReport):
        await Failover([Files(tmp_path)]).join(b"sealed")
