"""Keys are verified at recorded addresses: with a server that answers as it is told, and over TLS where it has that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clearinghouse.doors.s2s.dialback import ENDPOINTS, VERIFYING_EACH, Dialback
from clearinghouse.doors.s2s.events import DialbackAsked
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.seen import Proof, Require
from tests.unit.doors.s2s.opening import HERE, OWN, Host, calling, certificates, door, redirected, refused, trusting
from tests.unit.doors.s2s.peers import RESULT, header

OLD = header(" from='a.example' to='b.example'")
KEY = DialbackAsked("a.example", "b.example", "0123abcd", "stream-1")
STRANGER, HONEST = "127.0.0.66", "127.0.0.2"
REPLY = header(" id='x' from='a.example' version='1.0'") + b"<stream:features/>"


@dataclass
class Authoritative:
    """The server of a.example: says *verdict* to every key, once *free* is set."""

    verdict: str = "valid"
    asked: list[str] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.free.set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await reader.readuntil(b"version='1.0'")
            await reader.readuntil(b">")
            writer.write(REPLY)
            question = (await reader.readuntil(b"</db:verify>")).decode()
            self.asked.append(question)
            await self.free.wait()
            identifier = question.partition(" id='")[2].partition("'")[0]
            writer.write(f"<db:verify from='a.example' to='b.example' id='{identifier}' type='{self.verdict}'/>".encode())
            await reader.read()
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(server: Authoritative) -> AsyncIterator[Endpoint]:
    made = await asyncio.start_server(server, *HERE)
    async with made:
        yield Endpoint(*made.sockets[0].getsockname())


def verifier(directory: Path, *endpoints: Endpoint) -> Dialback:
    return Dialback(lambda domain: endpoints if domain == "a.example" else (), certificates(directory), OWN)


@pytest.mark.parametrize("verdict,valid", [("valid", True), ("invalid", False), ("error", False), ("", False)])
async def test_the_recorded_server_decides(tmp_path: Path, verdict: str, valid: bool) -> None:  # noqa: FBT001 - a table
    async with serving(server := Authoritative(verdict)) as endpoint:
        assert await verifier(tmp_path, endpoint).verify(KEY, STRANGER) is valid
    (asked,) = server.asked
    assert ">0123abcd</db:verify>" in asked
    assert "id='stream-1'" in asked


async def test_another_address_is_asked_where_the_first_is_silent(tmp_path: Path) -> None:
    async with serving(Authoritative()) as endpoint:
        assert await verifier(tmp_path, Endpoint("127.0.0.1", 1), endpoint).verify(KEY, STRANGER)


@pytest.mark.parametrize("host", ["localhost", "a.example", "0.0.0.0", "::", "224.0.0.1", "fe80::1%lo", "no address"])  # noqa: S104
async def test_only_an_address_of_one_host_is_asked(tmp_path: Path, host: str) -> None:
    async with serving(server := Authoritative()) as endpoint:
        assert not await verifier(tmp_path, Endpoint(host, endpoint.port)).verify(KEY, STRANGER)
    assert server.asked == []


@pytest.mark.parametrize("ours,host", [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "::ffff:127.0.0.1"), ("0.0.0.0", "127.0.0.1")])  # noqa: S104
async def test_the_door_never_asks_itself(tmp_path: Path, ours: str, host: str) -> None:
    async with serving(server := Authoritative()) as endpoint:
        dialback = verifier(tmp_path, Endpoint(host, endpoint.port))
        dialback.not_at([(ours, endpoint.port)])
        assert not await dialback.verify(KEY, STRANGER)
    assert server.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.1"])
async def test_a_record_makes_no_door_knock_at_the_services_of_its_own_machine(tmp_path: Path, host: str) -> None:
    async with serving(server := Authoritative()) as endpoint:
        dialback = verifier(tmp_path, Endpoint(host, endpoint.port))
        dialback.not_at([("0.0.0.0", 5269), ("192.0.2.1", 5270)])  # noqa: S104 - where it listens, another port
        assert not await dialback.verify(KEY, STRANGER)
    assert server.asked == []


async def test_a_door_that_is_asked_verifies_nothing(tmp_path: Path) -> None:
    """Another door of the community, at an address that nobody can tell from a server's."""
    async with door(tmp_path, Host(Require.NOTHING)) as other:
        for endpoint in (Endpoint(*other.listen[0]), Endpoint(*other.listen_tls[0], "direct")):
            assert not await verifier(tmp_path, endpoint).verify(KEY, STRANGER)


async def test_a_silent_address_leaves_time_for_the_next(tmp_path: Path) -> None:
    silent = Authoritative()
    silent.free.clear()
    async with serving(silent) as first, serving(Authoritative()) as second:
        dialback = Dialback(lambda _: (first, second), certificates(tmp_path), OWN, patience=0.4)
        assert await dialback.verify(KEY, STRANGER)
        silent.free.set()


async def test_r21_strangers_have_us_ask_a_domain_so_often_at_once_and_keep_nobody_else_waiting(tmp_path: Path) -> None:
    server = Authoritative()
    server.free.clear()
    async with serving(server) as endpoint:
        dialback = verifier(tmp_path, endpoint)
        hostile = [asyncio.create_task(dialback.verify(KEY._replace(key=str(number)), STRANGER)) for number in range(20)]
        await asyncio.sleep(0)
        honest = asyncio.create_task(dialback.verify(KEY, HONEST))
        hostile[-1].cancel()
        await asyncio.wait(hostile[-1:])
        server.free.set()
        assert await honest
        assert KEY.key in "".join(server.asked[: VERIFYING_EACH + 2]), "behind one of each other address"
        assert await asyncio.gather(*hostile[:-1]) == [True] * 19
        assert server.most <= VERIFYING_EACH
        assert not dialback._domains
        assert dialback._slots.idle


async def test_who_is_not_asked_about_in_time_has_proven_nothing(tmp_path: Path) -> None:
    server = Authoritative()
    server.free.clear()
    async with serving(server) as endpoint:
        dialback = Dialback(lambda _: (endpoint,), certificates(tmp_path), OWN, patience=0.2)
        asking = [dialback.verify(KEY._replace(key=str(number)), STRANGER) for number in range(3 * VERIFYING_EACH)]
        assert await asyncio.gather(*asking) == [False] * 3 * VERIFYING_EACH
        assert not dialback._domains
        assert dialback._slots.idle
        server.free.set()


async def test_so_many_addresses_are_tried_and_no_more(tmp_path: Path) -> None:
    nowhere = [Endpoint("127.0.0.1", port) for port in range(1, ENDPOINTS + 1)]
    async with serving(server := Authoritative()) as endpoint:
        assert not await verifier(tmp_path, *nowhere, endpoint).verify(KEY, STRANGER)
    assert server.asked == []


# -- at the door -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict,proof", [("valid", Proof.DIALBACK), ("invalid", Proof.NOTHING)])
async def test_a_peer_with_dialback_alone_is_answered_at_its_result(tmp_path: Path, verdict: str, proof: Proof) -> None:
    host = Host(Require.DIALBACK)
    async with serving(Authoritative(verdict)) as endpoint, door(tmp_path, host) as opened, calling(opened.listen[0]) as peer:
        host.records["a.example"] = (endpoint,)
        await peer.says(OLD, b">")
        told = await peer.says(RESULT)
        assert redirected(told) if proof is Proof.DIALBACK else refused(told)
    assert [(each.claimed, each.proof, each.key) for each in host.seen] == [("a.example", proof, "")]


async def test_where_a_certificate_is_demanded_no_key_is_verified(tmp_path: Path) -> None:
    host = Host(Require.CERTIFICATE)
    async with serving(server := Authoritative()) as endpoint, door(tmp_path, host) as opened:
        host.records["a.example"] = (endpoint,)
        async with calling(opened.listen_tls[0], trusting(tmp_path, None)) as peer:
            await peer.says(header(" version='1.0'"), b"</stream:features>")
            assert refused(await peer.says(RESULT))
    assert server.asked == []
