"""Tells the server's module which keys the servers of other members have, so that it knows them wherever they are reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from clearinghouse.agent.following import Follower
from clearinghouse.agent.home.sparing import Sparing
from clearinghouse.enforcers.levels import LevelEnforcer, SerialTaken, serial_in
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.federation.published.members import Member
from clearinghouse.grid.stanzas import StanzaRefused

log = structlog.get_logger(__name__)

PEERS: Final = "peers"
"""The member of a module's status that says what it knows; a module of before there were pins has none."""

Told = Mapping[str, Sequence[str]]
Status = Mapping[str, Any]


@dataclass(slots=True)
class Introducer:
    """Keeps the pins that the module at ``enforcer`` has for the image *name* those of the members that ``follower`` believes.

    ``serial`` is what the module has by our knowledge, and ``count`` of how many domains; ``error`` is why it does
    not have what it should.
    """

    name: str
    follower: Follower
    enforcer: LevelEnforcer
    serial: int = 0
    count: int = 0
    error: ClearinghouseError | None = None
    _members: Mapping[str, Member] | None = None
    _told: Told | None = None
    _unheard: bool = False
    _sparing: Sparing = field(default_factory=Sparing)

    async def apply(self, status: Status) -> bool:
        """Push what the members' records say now, if the module has something else by its *status*; whether that need not be tried soon."""
        trusted = self.follower.trusted
        if trusted is None or trusted.members is self._members:
            return True
        peers = pins_of(trusted.members)
        if peers != self._told and self._may(peers, status):
            try:
                await self._push(peers, serial_in(status.get(PEERS), self.name))
            except ClearinghouseError as error:
                return self._failed(error, status)
            self._told, self.error, self._unheard = peers, None, False
            self._sparing.over()
        if peers == self._told:
            self._members = trusted.members
        return True

    def look(self, status: Status) -> bool:
        """Return whether the module still has what it was told; if not, it is pushed again."""
        found = serial_in(status.get(PEERS), self.name)
        if self._told is not None and self.serial and found != self.serial:
            log.warning("server_has_other_peers", image=self.name, serial=found, ours=self.serial)
            self.forget()
            return False
        return True

    def forget(self) -> None:
        """Push everything again: the server, or its module, began anew."""
        self._members = self._told = None

    def _may(self, peers: Told, status: Status) -> bool:
        """Say whether it is for us to push: not where nobody has pins, and not what may be older than what the module has."""
        told = status.get(PEERS)
        if (
            not peers and self._told is None and not (isinstance(told, Mapping) and self.name in told)
        ):  # it may have one that it cannot read
            self._told = peers
            return False
        return self.follower.caught_up or not serial_in(told, self.name)

    async def _push(self, peers: Told, there: int) -> None:
        serial = max(there, self.serial) + 1
        try:
            await self.enforcer.push_peers(self.name, serial, peers)
        except SerialTaken as error:
            serial = error.serial + 1
            await self.enforcer.push_peers(self.name, serial, peers)
        self.serial, self.count = serial, len(peers)

    def _failed(self, error: ClearinghouseError, status: Status) -> bool:
        """Say what went wrong, once; a module that has never heard of such pushes is no reason to try again soon."""
        unheard = isinstance(error, StanzaRefused) and error.condition == "bad-request" and PEERS not in status
        if unheard:
            self._members = None if self.follower.trusted is None else self.follower.trusted.members
            if not self._unheard:
                mend = "write the module again with `clearinghouse server-module ... --force`, and restart the server"
                log.warning("module_knows_no_peers", module=str(status.get("module", "")), mend=mend)
            self._unheard = True
            return True
        self.error = error
        if self._sparing.says(error.code):
            log.error("peers_not_pushed", code=error.code, reason=error.message, mend=error.mend)
        return not isinstance(error, Unavailable)


def pins_of(members: Mapping[str, Member]) -> dict[str, tuple[str, ...]]:
    """Return the pins of each member that has any."""
    return {domain: member.pins for domain, member in members.items() if member.pins}
