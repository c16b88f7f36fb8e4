"""R21: whoever opens many connections, or sends bodies slowly, keeps nobody else out."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from clearinghouse.doors.http.turns import BODIES, BODIES_EACH, Turns
from clearinghouse.sockets.gate import SPARE_FILES, Gate, address_of, room_for

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def greeting(most: int, each: int) -> AsyncIterator[int]:
    """A server behind a gate, which says a byte to whoever gets in."""
    inside: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside.append(writer)
        writer.write(b"!")
        await reader.read()
        writer.close()

    gate = Gate.bound(socket.AF_INET, ("127.0.0.1", 0), most=most, each=each, backlog=100)
    server = await asyncio.start_server(greet, sock=gate)
    async with server:
        yield gate.getsockname()[1]
        for writer in inside:
            writer.close()
        await asyncio.gather(*(each.wait_closed() for each in inside), return_exceptions=True)


async def entered(stack: AsyncExitStack, port: int, address: str) -> bool:
    """Connect from *address*, stay, and say whether the server took it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    stack.callback(writer.close)
    try:
        return await reader.read(1) == b"!"
    except ConnectionResetError:
        return False


async def test_r21_many_connections_of_one_address_keep_no_other_out() -> None:
    async with greeting(most=8, each=3) as port, AsyncExitStack() as attack, AsyncExitStack() as others:
        assert [await entered(attack, port, "127.0.0.66") for _ in range(100)] == [True] * 3 + [False] * 97
        assert await entered(others, port, "127.0.0.2")


async def test_a_connection_that_has_ended_makes_room() -> None:
    async with greeting(most=2, each=2) as port:
        for _ in range(3):
            async with AsyncExitStack() as stack:
                assert await entered(stack, port, "127.0.0.2")
                assert await entered(stack, port, "127.0.0.3")
                assert not await entered(stack, port, "127.0.0.4")
            await asyncio.sleep(0.05)


async def test_r21_slow_bodies_of_one_address_keep_no_other_waiting() -> None:
    turns, reading, never = Turns(), 0, asyncio.Event()

    async def slow() -> None:
        nonlocal reading
        async with turns.of("192.0.2.66"):
            reading += 1
            await never.wait()

    tasks = [asyncio.create_task(slow()) for _ in range(2 * BODIES)]
    await asyncio.sleep(0)
    async with turns.of("192.0.2.1"):
        assert reading == BODIES_EACH
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert turns == Turns(_all=turns._all), "nobody is remembered who has gone"


def test_a_host_of_ipv6_is_its_network() -> None:
    assert address_of("2001:db8:1:2:3::4") == address_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert address_of("::ffff:192.0.2.1") == address_of("192.0.2.1") == "192.0.2.1"
    assert address_of("fe80::1%eth0") == "fe80::/64"
    assert address_of("testclient") == "unknown"


def test_connections_leave_files_to_everything_else() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert room_for(10) == 10
    assert 1 <= room_for(10**9) <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_r21_two_doors_that_are_full_leave_files_to_everything_else() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SPARE_FILES + 100, hard))
    try:
        assert room_for(200) + room_for(150) + SPARE_FILES <= resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
