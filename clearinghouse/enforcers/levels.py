"""Drives the module in an XMPP server that enforces an image: pushes what changed, asks how it stands, hears what it tells.

The protocol is the same for Prosody and ejabberd: ``docs/reference/server-protocol.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.clearing.wire import read_object
from clearinghouse.errors import PeerError
from clearinghouse.federation.enforced.image import Change, Image, change_between
from clearinghouse.federation.enforced.pushes import NAMESPACE, Push, change_push, peer_pushes, pushes, written
from clearinghouse.grid.stanzas import StanzaRefused, Stanzas

log = structlog.get_logger(__name__)

PUSH: Final = f"{{{NAMESPACE}}}push"
APPLIED: Final = f"{{{NAMESPACE}}}applied"
STATUS: Final = f"{{{NAMESPACE}}}status"
EVENT: Final = f"{{{NAMESPACE}}}event"

MAX_EVENT_CHARACTERS: Final = 10_000
"""Of an event's JSON; the longest has two JIDs of 2 kB each and a reason."""

MEND: Final = "see that the server loads `clearinghouse` and names this agent, and that both are of the same version"


class BadModuleAnswer(PeerError):
    """What the server module answered is not of the protocol."""

    code: ClassVar[str] = "bad-module-answer"


class SerialTaken(PeerError):
    """The module has an image of this or a higher serial already; *serial* is what it has."""

    code: ClassVar[str] = "serial-taken"

    def __init__(self, image: str, serial: int) -> None:
        """Say which image is in force there."""
        super().__init__(f"the server has `{image}` with serial {serial} already", mend="push it with a higher one")
        self.serial = serial


@dataclass(slots=True)
class LevelEnforcer:
    """Makes images come into force at the local *host*, through *stanzas* of the configured agent.

    Every method raises `BrokerUnavailable` when the server does not answer: whether a push took place is then unknown,
    and pushing again is safe.
    """

    stanzas: Stanzas
    host: str
    _in_force: dict[str, Image] = field(default_factory=dict)

    async def push(self, image: Image, change: Change | None = None) -> None:
        """Bring *image* into force, as a change of the one before where that can be; *change* is that way, where it is known.

        Raises `SerialTaken` when the module has one that is as new or newer.
        """
        before = self._in_force.pop(image.name, None)
        if before is not None and change is None:
            change = change_between(before, image)
        if before is None or change is None or not await self._changed(before, change):
            await self._pushed(image)
        self._in_force[image.name] = image

    async def change(self, change: Change) -> None:
        """Change an image of which we do not know all; raises `SerialTaken` where the module has another one than it follows."""
        push = change_push(change)
        assert push is not None  # noqa: S101 - what does not fit into one push is no such change
        try:
            await self._tell(push, change.name, change.serial)
        except StanzaRefused as refusal:
            if refusal.condition != "conflict":
                raise
            raise SerialTaken(change.name, await self._serial(change.name)) from refusal

    async def push_peers(self, name: str, serial: int, peers: Mapping[str, Sequence[str]]) -> None:
        """Say which keys the server of each domain has, in the place of what was said before for the image *name*.

        Raises `SerialTaken`, and `StanzaRefused` with `bad-request` where the module does not know of such pushes.
        """
        try:
            for push in peer_pushes(name, serial, peers):
                await self._tell(push, name, serial)
        except StanzaRefused as refusal:
            found = serial_in((await self.status()).get("peers"), name) if refusal.condition == "conflict" else 0
            if found >= serial:
                raise SerialTaken(name, found) from refusal
            raise
        log.info("peers_pushed", image=name, serial=serial, domains=len(peers))

    async def status(self) -> Mapping[str, Any]:
        """Return how the module stands: images, streams, what it has seen, and facts about the server."""
        answer = await self.stanzas.ask(self.host, "get", Element(STATUS))
        found = answer.find(STATUS)
        try:
            return read_object((found.text or "").encode() if found is not None else b"")
        except ValueError as error:
            raise BadModuleAnswer(f"the status of `{self.host}` {error}", mend=MEND) from error

    async def release(self, held: str) -> None:
        """Send out again what is held under this id; it does not matter if that is gone already."""
        await self._settle({"do": "release", "held": held})

    async def refuse(self, held: str, reason: str) -> None:
        """Give what is held under this id back to its senders, with *reason*."""
        await self._settle({"do": "refuse", "held": held, "reason": reason})

    def forget(self) -> None:
        """Push whole images from now on: the server started anew, or somebody else has pushed."""
        self._in_force.clear()

    async def _changed(self, before: Image, change: Change) -> bool:
        push = change_push(change) if change.after == before.serial else None
        if push is None:
            return False
        try:
            await self._tell(push, change.name, change.serial)
        except StanzaRefused as refusal:
            if refusal.condition != "conflict":
                raise
            log.warning("change_out_of_step", image=change.name, serial=change.serial, after=change.after)
            return False
        return True

    async def _pushed(self, image: Image) -> None:
        try:
            for push in pushes(image):
                await self._tell(push, image.name, image.serial)
        except StanzaRefused as refusal:
            serial = await self._serial(image.name) if refusal.condition == "conflict" else 0
            if serial >= image.serial:
                raise SerialTaken(image.name, serial) from refusal
            raise
        log.info("image_pushed", image=image.name, serial=image.serial, rows=len(image.rows), grants=len(image.grants))

    async def _serial(self, name: str) -> int:
        return serial_in((await self.status()).get("images"), name)

    async def _tell(self, push: Push, name: str, serial: int) -> None:
        answer = (await self._ask(push)).find(APPLIED)
        if answer is None or (answer.get("image"), answer.get("serial")) != (name, str(serial)):
            raise BadModuleAnswer(f"`{self.host}` does not say that it applied `{name}` {serial}", mend=MEND)

    async def _settle(self, push: Push) -> None:
        try:
            await self._ask(push)
        except StanzaRefused as refusal:
            if refusal.condition != "item-not-found":
                raise
            log.debug("held_no_more", held=push["held"])

    async def _ask(self, push: Push) -> Element:
        payload = Element(PUSH)
        payload.text = written(push)
        return await self.stanzas.ask(self.host, "set", payload)


def serial_in(told: object, name: str) -> int:
    """Return the serial of *name* in a part of a status that has them by name; 0 for none."""
    found = told.get(name) if isinstance(told, Mapping) else None
    serial = found.get("serial") if isinstance(found, Mapping) else None
    return serial if isinstance(serial, int) else 0


def event_in(message: Element, hosts: Collection[str]) -> Mapping[str, Any] | None:
    """Return the event in a message that the module at one of our own *hosts* sent us; anything else is None.

    The server vouches for who sent it: a user's address has a user in it, and nobody else's is one of *hosts*.
    """
    found = message.find(EVENT)
    if found is None or message.get("from") not in hosts or message.get("type") == "error" or not found.text:
        return None
    if len(found.text) > MAX_EVENT_CHARACTERS:
        return None
    try:
        event = read_object(found.text.encode())
    except ValueError:
        return None
    return event if isinstance(event.get("event"), str) else None
