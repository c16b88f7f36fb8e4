"""Makes the server enforce what follows from all that is believed, and keeps it so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from clearinghouse.agent.applying.admission import Admission, Admitter
from clearinghouse.agent.applying.introducing import Introducer
from clearinghouse.agent.applying.overrides import Overrides
from clearinghouse.agent.applying.picture import Basis, change_among, changes_next, image_of
from clearinghouse.agent.applying.shorthand import LocalPolicy
from clearinghouse.agent.following import Follower
from clearinghouse.agent.home.clock import Clock
from clearinghouse.agent.home.keeping import StateDirectory, StateUnavailable
from clearinghouse.clearing.wire import stamp
from clearinghouse.enforcers.levels import LevelEnforcer, SerialTaken
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.federation.enforced.image import Change, Grant, Image
from clearinghouse.federation.enforced.pushes import ROWS_IN_A_PUSH, image_json
from clearinghouse.federation.trust.trusted import Trusted
from clearinghouse.settings.agent import AgentSettings

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 2.0
"""After which a push is tried again that failed while the link stands."""

LOOK_SECONDS: Final = 30.0
"""After which the server is asked how it stands, where nothing happens: another's push, or a lost one, shows then."""

MODULE_STATUS: Final = "module-status.json"
IMAGES: Final = "images"


class LiveGrants(Protocol):
    """What of grants is needed here (`clearinghouse.agent.granting.grants.Grants`)."""

    def live(self, now: datetime) -> tuple[Grant, ...]:
        """Return the grants that hold at *now*."""


class NoGrants:
    """Nobody was ever granted anything."""

    def live(self, now: datetime) -> tuple[Grant, ...]:
        """Return nothing."""
        del now
        return ()


@dataclass(slots=True)
class Applier:
    """Pushes to ``enforcer`` what follows from the table, the site's policy, its overrides and its grants.

    ``image`` is what the server has by our knowledge, ``version`` that of the table in it.

    ``peers`` tells it by which keys the servers of other members are known.

    ``policy`` is what the site believes; ``wake`` has the image computed again, soon.  ``applied`` is told of each
    image that came into force.
    """

    settings: AgentSettings
    state: StateDirectory
    clock: Clock
    follower: Follower
    overrides: Overrides
    policy: LocalPolicy
    enforcer: LevelEnforcer
    grants: LiveGrants = field(default_factory=NoGrants)
    applied: list[Callable[[Image], None]] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    linked: asyncio.Event = field(default_factory=asyncio.Event)
    error: ClearinghouseError | None = None
    image: Image | None = None
    module: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0
    push_seconds: float = 0.0
    peers: Introducer = field(init=False)
    _admitter: Admitter | None = None
    _believed: tuple[object, ...] = ()
    _next: datetime | None = None
    _numbers: tuple[int, frozenset[str]] = (0, frozenset())
    _kept: bool = True
    _writing: asyncio.Task[None] | None = None
    _live: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.peers = Introducer(self.settings.domain, self.follower, self.enforcer)

    # -- what is to be enforced

    async def basis(self) -> Basis:
        """Return all that the image follows from at this moment; other things go on while many rows are judged."""
        trusted = self.follower.trusted
        admission = await asyncio.to_thread(self._admission, self.clock.now(), trusted)
        now = self.clock.now()
        head = trusted.head if trusted is not None else None
        closed = self.clock.behind() is not None
        denials = tuple(self.overrides.denials(now).values())
        grants = () if closed else (*self.grants.live(now), *self.overrides.grants(now))
        return Basis(head, admission, grants, denials, closed)

    def _admission(self, now: datetime, trusted: Trusted | None) -> Admission:
        if trusted is None or trusted.head is None:
            return Admission({}, {}, None)
        return self._admitter_for(trusted, trusted.head.levels).admission(trusted.rows, now, trusted.head.levels)

    def _admitter_for(self, trusted: Trusted, levels: Sequence[str]) -> Admitter:
        """Return who asks the site's policy; another one where policy, levels or members changed."""
        snapshot, members = self.policy.snapshot(levels), trusted.members
        believed = (snapshot, id(members))
        if self._admitter is None or believed != self._believed:

            def keys(domain: str) -> Sequence[str]:
                return members[domain].keys if domain in members else ()

            self._admitter = Admitter(snapshot, self.settings.community, self.settings.domain, keys)
            self._believed = believed
        return self._admitter

    # -- making it so

    async def run(self) -> None:
        """Keep the server as it should be, until cancelled; what it was told last is then written down."""
        try:
            await self._run()
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing])

    async def _run(self) -> None:
        while True:
            await self.linked.wait()
            try:
                await self.apply()
                known = await self.peers.apply(self.module)
                await self._keep()
                pause = self._pause() if known else AGAIN_SECONDS
            except Unavailable as error:
                self._failed(error)
                pause = AGAIN_SECONDS
            except ClearinghouseError as error:
                self._failed(error)
                pause = LOOK_SECONDS
            if not await _happens(self.wake, pause) and self.linked.is_set():
                await self._look()

    async def apply(self) -> None:
        """Push the image that follows now, if it is another one than the server has; raises `Unavailable` and what a push raises."""
        basis = await self.basis()
        if self._knows_less_than_the_server():
            if not basis.denials and not basis.closed:
                await self._end_grants(basis)
                return
            basis = replace(basis, admission=Admission({}, {}, None))
        wanted = image_of(self.settings, basis, self._serial())
        self._next = changes_next(basis, basis.denials, self.clock.now())
        change = self._change(basis, wanted)
        if self.image is not None and (_same(wanted, self.image) if change is None else _is_nothing(change, self.image)):
            self._numbers = (basis.admission.number, basis.denied)
            return
        began = time.perf_counter()
        try:
            await self.enforcer.push(wanted, change)
        except SerialTaken as error:
            wanted = image_of(self.settings, basis, error.serial + 1)
            await self.enforcer.push(wanted)
        self.push_seconds = time.perf_counter() - began
        self.image, self.error, self._kept = wanted, None, False
        self._numbers = (basis.admission.number, basis.denied)
        self.version = 0 if basis.head is None else basis.head.version
        for told in self.applied:
            told(wanted)

    def _knows_less_than_the_server(self) -> bool:
        """Say whether the server was told more, before we ended, than our disk has: what it has is newer, and ends by itself.

        Until a source has answered it stays as it is; a denial is told, without rows that may be older, and that all is closed.
        """
        if self.image is not None or self.follower.caught_up:
            return False
        told = (self.state.read_json(f"{IMAGES}/{self.settings.domain}.json") or {}).get("serial", 0)
        behind: bool = self._in_force() > told
        if behind:
            log.warning("server_knows_more", serial=self._in_force(), ours=told, mend="nothing, once a source answers")
        return behind

    async def _end_grants(self, basis: Basis) -> None:
        """Tell a server that knows more of which grants we know that they ended: no rows are needed for that."""
        live = {each.id for each in basis.grants}
        ended, serial = tuple(sorted(self._live - live)[:ROWS_IN_A_PUSH]), self._in_force()
        if ended:
            change = Change(self.settings.domain, serial + 1, serial, {}, (), (), ended, self._told("expires"), "")
            await self.enforcer.change(change)
            await self._status()
        self._live = self._live.difference(ended) | live

    def _change(self, basis: Basis, wanted: Image) -> Change | None:
        """Return the way from what the server has to what is *wanted*, where only some rows had to be looked at."""
        number, denied = self._numbers
        if self.image is None or basis.closed or not number or basis.admission.follows != number:
            return None
        return change_among(self.image, wanted, basis.admission.touched | (denied ^ basis.denied))

    def forget(self) -> None:
        """Push everything again: the server, or its module, began anew."""
        self.enforcer.forget()
        self.peers.forget()
        self.image, self._numbers = None, (0, frozenset())
        self.wake.set()

    async def greet(self) -> None:
        """Take the server as it is found when the link opens; raises `Unavailable`."""
        self.forget()
        await self._status()
        self.linked.set()

    def unlink(self) -> None:
        """The link is gone."""
        self.linked.clear()

    async def _look(self) -> None:
        """See whether the server still has what was pushed."""
        try:
            await self._status()
        except ClearinghouseError as error:
            self._failed(error)
            return
        if not self.peers.look(self.module):
            self.wake.set()
        if self.image is not None and self._in_force() != self.image.serial:
            log.warning("server_has_another_image", image=self.image.name, serial=self._in_force(), ours=self.image.serial)
            self.forget()
        elif self.image is not None and self.clock.now().timestamp() < self.image.expires > self._told("expires") > 0:
            # The server's clock was ahead for a while: what it saw end stays ended until it is told anew.
            log.warning("server_ended_image", image=self.image.name, serial=self.image.serial)
            self.forget()

    async def _status(self) -> None:
        self.module = await self.enforcer.status()
        try:
            self.state.write_json(MODULE_STATUS, {**self.module, "at": stamp(self.clock.now())})
        except StateUnavailable as error:
            log.warning("status_not_kept", reason=error.message, mend=error.mend)

    def _in_force(self) -> int:
        """Return the serial that the server told last, 0 for none."""
        return self._told("serial")

    def _told(self, name: str) -> int:
        """Return a number that the server told last of our image, 0 for none."""
        images = self.module.get("images")
        found = images.get(self.settings.domain) if isinstance(images, Mapping) else None
        number = found.get(name) if isinstance(found, Mapping) else None
        return number if isinstance(number, int) else 0

    def _serial(self) -> int:
        return max(self._in_force(), self.image.serial if self.image is not None else 0) + 1

    def _pause(self) -> float:
        if self._next is None:
            return LOOK_SECONDS
        left = (self._next - self.clock.now() + timedelta(milliseconds=1)).total_seconds()
        return min(LOOK_SECONDS, max(0.0, left))

    def _failed(self, error: ClearinghouseError) -> None:
        self.error = error
        log.error("not_applied", code=error.code, reason=error.message, mend=error.mend)

    async def _keep(self) -> None:
        """Write down what the server was told, for whoever compares; the server did not wait for it."""
        image = self.image
        if self._kept or image is None:
            return
        self._kept = True
        self._writing = asyncio.create_task(self._write_down(image))
        await asyncio.shield(self._writing)

    async def _write_down(self, image: Image) -> None:
        try:
            await asyncio.to_thread(lambda: self.state.write_json(f"{IMAGES}/{image.name}.json", image_json(image)))
        except StateUnavailable as error:
            log.warning("image_not_kept", reason=error.message, mend=error.mend)


def _is_nothing(change: Change, before: Image) -> bool:
    return change.size == 0 and (change.expires, change.decision) == (before.expires, before.decision)


def _same(one: Image, other: Image) -> bool:
    """Say whether two images enforce the same, whatever their serials."""
    return _content(one) == _content(other)


def _content(image: Image) -> tuple[object, ...]:
    frame = (image.hosts, image.classes, image.mode, image.default, image.default_reason, image.expires, image.ask, image.decision)
    return (*frame, image.grants, image.rows)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait for *event*, at most so long; whether it happened."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
