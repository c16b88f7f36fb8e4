"""Users who ask for subscriptions as fast as they are let, at the least possible cost: sockets and byte strings, no XML library."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from dataclasses import dataclass, field
from typing import Final

_OPEN: Final = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='{domain}'>"
_SUBSCRIBED: Final = re.compile(rb"subscription='subscribed'|subscription=\"subscribed\"")
_PUBSUB: Final = "http://jabber.org/protocol/pubsub"

PATIENCE_SECONDS: Final = 60.0


@dataclass
class User:
    """One logged-in user, who asks with many resources."""

    jid: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answered: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    count: int = 0
    _listening: asyncio.Task[None] | None = None

    @classmethod
    async def logged_in(cls, jid: str, password: str, host: str, port: int) -> User:
        reader, writer = await asyncio.open_connection(host, port)
        name, _, domain = jid.partition("@")
        user, opening = cls(jid, reader, writer), _OPEN.format(domain=domain)
        await user.say(opening, b"</stream:features>")
        word = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        await user.say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{word}</auth>", b"<success")
        await user.say(opening, b"</stream:features>")
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>desk</resource></bind>"
        await user.say(f"<iq type='set' id='bind'>{bind}</iq>", b"</iq>")
        writer.write(b"<presence/>")
        user._listening = asyncio.create_task(user._listen())
        return user

    async def say(self, text: str, until: bytes) -> None:
        self.writer.write(text.encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = b""
            while until not in found:
                found += await self.reader.read(65_536)

    def ask(self, broker: str, node: str) -> None:
        self.count += 1
        wanted = f"<subscribe node='{node}' jid='{self.jid}/r{self.count}'/>"
        request = f"<iq type='set' to='{broker}' id='s{self.count}'><pubsub xmlns='{_PUBSUB}'>{wanted}</pubsub></iq>"
        self.writer.write(request.encode())

    async def _listen(self) -> None:
        rest = b""
        while got := await self.reader.read(262_144):
            whole = rest + got
            found = list(_SUBSCRIBED.finditer(whole))
            for _ in found:
                self.answered.release()
            rest = whole[found[-1].end() :][-64:] if found else whole[-64:]

    def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self.writer.close()


async def burst(users: list[User], broker: str, node: str, each: int, window: int) -> float:
    """Have every user ask *each* times, at most *window* at once, and return how many were approved in a second."""
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(_in_window(user, broker, node, each, window) for user in users))
    return len(users) * each / (time.perf_counter() - began)


async def _in_window(user: User, broker: str, node: str, each: int, window: int) -> None:
    for number in range(each + window):
        if number >= window:
            await user.answered.acquire()
        if number < each:
            user.ask(broker, node)


async def steadily(users: list[User], broker: str, node: str, *, rate: float, seconds: float) -> None:
    """Ask *rate* times a second in turn, whatever is answered meanwhile, and return when all is answered."""
    began, count = time.perf_counter(), int(rate * seconds)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        users[number % len(users)].ask(broker, node)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for number in range(count):
            await users[number % len(users)].answered.acquire()
