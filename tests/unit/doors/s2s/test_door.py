"""When a peer is answered, with what it had proven by then; each talk over real sockets."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from clearinghouse.doors.s2s.door import Bears, opened
from clearinghouse.doors.s2s.pace import Patience
from clearinghouse.errors import BadSettings
from clearinghouse.federation.redirection.answers import Refused
from clearinghouse.federation.redirection.seen import Proof, Require, Seen
from tests.unit.doors.s2s.opening import (
    COMMUNITY,
    END,
    MEMBER,
    OWN,
    STRANGER,
    WIDE,
    Host,
    calling,
    certificates,
    door,
    redirected,
    refused,
    trust,
    trusting,
)
from tests.unit.doors.s2s.papers import Paper
from tests.unit.doors.s2s.peers import HEADER, RESULT, STARTTLS, auth, encoded, header

NAMELESS = header(" version='1.0'")
ELSE = COMMUNITY.paper("c.example")
OLD = header(" from='a.example' to='b.example'")
OLD_ALONE = header(" from='a.example' to='b.example'", "xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'")


def proofs(host: Host) -> list[tuple[str, str, Proof]]:
    return [(each.claimed, each.wanted, each.proof) for each in host.seen]


# -- TLS and a certificate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 1_000])
async def test_starttls_and_a_header_in_pieces(tmp_path: Path, chunk: int) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen[0]) as peer:
        await peer.begins_tls(trusting(tmp_path))
        for begin in range(0, len(HEADER), chunk):
            peer.writer.write(HEADER[begin : begin + chunk])
            await asyncio.sleep(0)
        assert redirected(await peer.says(b""))
    assert proofs(host) == [("a.example", "b.example", Proof.CERTIFICATE)]


async def test_a_plain_stream_must_begin_tls(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen[0]) as peer:
        told = await peer.says(HEADER, b"</stream:features>")
        assert b"<starttls" in told
        assert b"<required/>" in told
        assert b"dialback" not in told.partition(b"<stream:features>")[2]
    assert host.seen == []


async def test_external_and_the_answer_at_the_authenticated_stream(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen_tls[0], trusting(tmp_path)) as peer:
        assert b">EXTERNAL<" in await peer.says(NAMELESS, b"</stream:features>")
        assert b"<success" in await peer.says(auth(encoded("a.example")), b"/>")
        told = await peer.says(HEADER)
        assert redirected(told)
        assert b"features" not in told
    assert proofs(host) == [("a.example", "b.example", Proof.CERTIFICATE)]


async def test_r21_members_that_prove_who_they_are_and_then_say_nothing_make_room(tmp_path: Path) -> None:
    context = trusting(tmp_path)
    bears = replace(WIDE, connections=2, connections_each=2)
    async with door(tmp_path, Host(), bears=bears) as at, AsyncExitStack() as silent:
        for _ in range(2):
            peer = await silent.enter_async_context(calling(at.listen_tls[0], context))
            await peer.says(header(" version='1.0'"), b"</stream:features>")
            await peer.says(auth(encoded("a.example")), b"/>")
        async with calling(at.listen_tls[0], context) as honest:
            assert redirected(await honest.says(header()))


async def test_external_for_a_name_that_is_not_in_the_certificate(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen_tls[0], trusting(tmp_path)) as peer:
        await peer.says(NAMELESS, b"</stream:features>")
        assert b"<not-authorized" in await peer.says(auth(encoded("c.example")), b"</failure>")
        assert b"<success" in await peer.says(auth(encoded("a.example")), b"/>")
        assert redirected(await peer.says(HEADER))
    assert len(host.seen) == 1


@pytest.mark.parametrize("paper", [None, STRANGER])
async def test_who_proves_nothing_hears_a_bare_refusal_at_the_header(tmp_path: Path, paper: Paper | None) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen_tls[0], trusting(tmp_path, paper)) as peer:
        assert refused(await peer.says(HEADER))
    assert proofs(host) == [("a.example", "b.example", Proof.NOTHING)]


async def test_a_certificate_for_another_name_is_offered_external_and_proves_no_other(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen_tls[0], trusting(tmp_path, ELSE)) as peer:
        assert b">EXTERNAL<" in await peer.says(HEADER, b"</stream:features>")
        assert refused(await peer.says(RESULT))
    assert proofs(host) == [("a.example", "b.example", Proof.NOTHING)]
    assert host.seen[0].key == ""


# -- dialback, and peers of old ----------------------------------------------------------------------------


async def test_a_peer_that_names_nobody_is_answered_at_its_result(tmp_path: Path) -> None:
    """Which is how jabberd2 calls: without from and to, and with dialback on a plain stream."""
    async with door(tmp_path, host := Host()) as at, calling(at.listen[0]) as peer:
        await peer.says(NAMELESS, b"</stream:features>")
        assert refused(await peer.says(RESULT))
    assert proofs(host) == [("a.example", "b.example", Proof.NOTHING)]


async def test_a_peer_that_reads_no_features_is_answered_at_once_where_dialback_counts_for_nothing(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host()) as at, calling(at.listen[0]) as peer:
        assert refused(await peer.says(OLD))
    assert proofs(host) == [("a.example", "b.example", Proof.NOTHING)]


async def test_a_key_that_nobody_verifies_proves_nothing(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host(Require.DIALBACK)) as at, calling(at.listen[0]) as peer:
        await peer.says(OLD, b">")
        assert refused(await peer.says(RESULT))
    assert proofs(host) == [("a.example", "b.example", Proof.NOTHING)]


async def test_where_nothing_need_be_proven_a_peer_without_dialback_is_answered_at_the_header(tmp_path: Path) -> None:
    async with door(tmp_path, host := Host(Require.NOTHING)) as at, calling(at.listen[0]) as peer:
        assert redirected(await peer.says(OLD_ALONE))
    assert proofs(host) == [("a.example", "b.example", Proof.NOTHING)]
    assert (host.seen[0].tls_version, host.seen[0].cipher, host.seen[0].issuer) == ("none", "none", "none")


async def test_where_nothing_need_be_proven_tls_is_a_choice(tmp_path: Path) -> None:
    async with door(tmp_path, Host(Require.NOTHING)) as at, calling(at.listen[0]) as peer:
        told = await peer.says(HEADER, b"</stream:features>")
        assert b"<starttls" in told
        assert b"<required/>" not in told
        assert redirected(await peer.says(RESULT))


# -- ends --------------------------------------------------------------------------------------------------


async def test_who_has_closed_its_half_is_answered_all_the_same(tmp_path: Path) -> None:
    async with door(tmp_path, Host()) as at, calling(at.listen[0]) as peer:
        peer.writer.write(OLD)
        peer.writer.write_eof()
        assert refused(await peer.reader.read())


async def test_the_answer_is_given_once_it_is_decided(tmp_path: Path) -> None:
    host = Host()
    host.free.clear()
    async with door(tmp_path, host) as at, calling(at.listen_tls[0], trusting(tmp_path)) as peer:
        asking = asyncio.create_task(peer.says(HEADER + b" "))
        await host.asked.wait()
        assert not asking.done()
        host.free.set()
        assert redirected(await asking)


async def test_a_mistake_of_ours_is_a_refusal_with_a_word_of_its_own(tmp_path: Path) -> None:
    class Broken(Host):
        async def answer(self, seen: Seen) -> Refused:
            raise RuntimeError(seen.claimed)

    async with door(tmp_path, Broken()) as at, calling(at.listen_tls[0], trusting(tmp_path)) as peer:
        assert b"internal-error" in await peer.says(HEADER)
        assert at.counts.failed == 1


async def test_the_door_hears_out_whoever_still_speaks(tmp_path: Path) -> None:
    """Else the answer would be lost: what is unread when a connection is closed takes it back."""
    async with door(tmp_path, Host()) as at, calling(at.listen[0]) as peer:
        peer.writer.write(b"<" + b"x" * 1_000_000)
        assert END in await peer.reader.readuntil(END)


async def test_when_the_door_closes_peers_are_told_and_nothing_is_left(tmp_path: Path) -> None:
    host, context = Host(), trusting(tmp_path)
    host.free.clear()
    async with AsyncExitStack() as peers:
        async with door(tmp_path, host) as at:
            asking, idle = [await peers.enter_async_context(calling(at.listen_tls[0], context)) for _ in range(2)]
            silent = await peers.enter_async_context(calling(at.listen[0]))
            asking.writer.write(HEADER)
            await host.asked.wait()
            host.free.set()
        assert redirected(await asking.reader.readuntil(END)), "what was being decided is answered"
        for each in (idle, silent):
            assert b"<system-shutdown" in await each.reader.read()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- time --------------------------------------------------------------------------------------------------

QUICK = Patience(header=0.2, handshake=0.2, whole=0.6, lingering=0.2, sweep=0.05)


def hurried() -> Bears:
    return Bears(1_000, 1_000, 1e6, 1e6, QUICK)


@pytest.mark.parametrize("said", [b"", b"<?xml version='1.0'?><stream:st", HEADER])
async def test_a_peer_that_says_no_more_is_told_that_it_took_too_long(tmp_path: Path, said: bytes) -> None:
    async with door(tmp_path, Host(), bears=hurried()) as at, calling(at.listen[0]) as peer:
        peer.writer.write(said)
        assert b"<connection-timeout" in await peer.reader.read()


async def test_bytes_that_complete_nothing_give_no_more_time(tmp_path: Path) -> None:
    async with door(tmp_path, Host(), bears=hurried()) as at, calling(at.listen[0]) as peer:
        ended = asyncio.create_task(peer.reader.read())
        while not ended.done():
            peer.writer.write(b" ")
            await asyncio.sleep(0.02)
        assert b"<connection-timeout" in await ended


async def test_a_handshake_has_its_time(tmp_path: Path) -> None:
    async with door(tmp_path, Host(), bears=hurried()) as at, calling(at.listen[0]) as peer:
        await peer.says(HEADER, b"</stream:features>")
        await peer.says(STARTTLS, b"/>")
        peer.writer.write(b"\x16\x03\x01\x02\x00")
        assert await peer.reader.read() == b""


async def test_a_whole_connection_has_its_time(tmp_path: Path) -> None:
    host = Host()
    host.free.clear()
    async with door(tmp_path, host, bears=hurried()) as at, calling(at.listen_tls[0], trusting(tmp_path, MEMBER)) as peer:
        peer.writer.write(HEADER)
        assert await peer.reader.read() == b""
        assert not [task for task in asyncio.all_tasks() if "answered" in repr(task)], "nobody waits for that answer"


async def test_who_does_not_hang_up_is_hung_up_on(tmp_path: Path) -> None:
    async with door(tmp_path, Host(), bears=hurried()) as at, calling(at.listen[0]) as peer:
        assert refused(await peer.says(OLD))
        assert await peer.reader.read() == b""


async def test_the_door_listens_at_addresses_of_ipv6(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    host, shown = Host(), certificates(tmp_path)
    async with (
        opened(host, shown, trust(tmp_path), name=OWN, listen=[("::1", 0)], bears=WIDE) as made,
        calling(made.listen[0], address="::1") as peer,
    ):
        assert refused(await peer.says(OLD))
    assert host.seen[0].address == "::1"


async def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    async with door(tmp_path, Host()) as first:
        with pytest.raises(BadSettings, match="cannot be listened on"):
            async with opened(Host(), certificates(tmp_path), trust(tmp_path), listen=[first.listen[0]]):
                pass


def has_ipv6() -> bool:
    with closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True
