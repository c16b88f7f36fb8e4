"""Signed requests, in and out: the door, the inbox at the clearinghouse, and the asking by itself, put together from the settings."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from clearinghouse.agent.asking.asker import Asker
from clearinghouse.agent.asking.composing import Composer
from clearinghouse.agent.asking.inbox import Inbox
from clearinghouse.agent.asking.post import ByHttps, ByRelay, ByXmpp, Way, Wires
from clearinghouse.agent.asking.when import Asking
from clearinghouse.agent.granting.authority import Authority
from clearinghouse.agent.granting.door import TOGETHER, Door, serving
from clearinghouse.agent.granting.requests import Requests
from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.enforcers.levels import LevelEnforcer
from clearinghouse.federation.enforced.image import Image
from clearinghouse.federation.published.members import Member
from clearinghouse.grid.stanzas import Stanzas
from clearinghouse.keynote import Admitted
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.storage.folders import Folders, Look
from clearinghouse.storage.holdings import Holdings, Loader

REFUSED: Final = "refused"
"""The module's event that it holds something which was refused."""
NONCE_BYTES: Final = 18


@dataclass(slots=True)
class Shelf:
    """The credentials in *folder* that may be shown to whom we ask; read again when they change."""

    folder: Path
    _loader: Loader = field(default_factory=Loader)
    _seen: Look = ()
    _held: Holdings = field(default_factory=Holdings)

    def credentials(self) -> tuple[Admitted, ...]:
        """Return what lies there now and is right."""
        folders = Folders(self.folder / ".none", self.folder)
        look = folders.look()
        if look != self._seen:
            self._held, self._seen = self._loader.load(folders.read(look), self._held), look
        return self._held.credentials


@dataclass(slots=True)
class Applied:
    """Says when the server has a grant; ``note`` is told of each image that came into force."""

    _image: Image | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, image: Image) -> None:
        """Remember the image in force."""
        self._image = image
        self._changed.set()

    async def has(self, grant: str) -> None:
        """Return once the server has the *grant* with that id."""
        while self._image is None or all(each.id != grant for each in self._image.grants):
            self._changed.clear()
            await self._changed.wait()


@dataclass(slots=True)
class Correspondence:
    """Made once for an agent; ``hear`` takes the module's events, ``at_work`` keeps door and inbox open."""

    settings: AgentSettings
    speaker: Speaker
    authority: Authority
    requests: Requests
    enforcer: LevelEnforcer
    stanzas: Stanzas
    now: Callable[[], datetime]
    applied: Applied = field(default_factory=Applied)
    asker: Asker = field(init=False)
    port: int = 0
    _wires: Wires = field(init=False)
    _shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        settings, authority = self.settings, self.authority
        self._wires, self._shelf = Wires(settings.requests.ca_file), Shelf(settings.requests.show)
        self.requests.applied = self.applied.has
        own = frozenset({settings.server.component})
        self.asker = Asker(
            Asking(own, self._is_askable),
            self._composer,
            authority.member,
            self._ways,
            self.requests,
            lambda _, held: self.enforcer.release(held),
            lambda _, held, reason: self.enforcer.refuse(held, reason),
            self.now,
            settings.domain,
        )

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take an event of the server's module."""
        if event.get("event") == REFUSED:
            self.asker.hear(event)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep door and inbox open while the block runs; raises `BadSettings` where the door cannot be opened."""
        told = self.settings.requests
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._wires.close)
            stack.push_async_callback(self.asker.close)
            if told.listen is not None and told.certificate_file is not None and told.private_key_file is not None:
                app = Door(self.requests, asyncio.Semaphore(TOGETHER)).app()
                host, port = told.address
                door = serving(app, host, port, certificate=told.certificate_file, key=told.private_key_file)
                self.port = await stack.enter_async_context(door)
            if told.relay is not None:
                await stack.enter_async_context(_running(self._inbox(told.relay)))
            yield

    # -- how we ask

    def _composer(self) -> Composer:
        told = self.settings.requests
        return Composer(
            self.speaker.key,
            lambda: secrets.token_urlsafe(NONCE_BYTES),
            told.claims,
            self._shelf.credentials(),
            told.roots,
            int(told.period.total_seconds()),
        )

    def _is_askable(self, domain: str) -> bool:
        record = self.authority.member(domain)
        return record is not None and bool(record.agent or record.component or self.settings.requests.relay)

    def _ways(self, target: Member) -> Sequence[Way]:
        """Return the ways to the agent of *target*, the best first: only the addresses on record, and the clearinghouse."""
        ways: list[Way] = [ByHttps(target.agent, self._wires)] if target.agent else []
        ways += [ByXmpp(target.component, self.stanzas)] if target.component else []
        relay = self.settings.requests.relay
        if relay is not None:
            ways.append(ByRelay(relay, self._wires, self._shown))
        return ways

    def _shown(self) -> str:
        return self.speaker.authorization(self.settings.domain)

    def _inbox(self, url: str) -> Inbox:
        return Inbox(url, self._wires, self._shown, self.requests)


@asynccontextmanager
async def _running(inbox: Inbox) -> AsyncIterator[None]:
    task = asyncio.create_task(inbox.run(), name="agent-inbox")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
