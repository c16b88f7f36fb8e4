"""How many connections there are, in all and of one address, how often one address may come, and how long each may take.

A host of IPv6 has a network of 64 bits for itself, which counts as one address (`sockets.gate.address_of`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

HEADER_SECONDS: Final = 10.0
"""From a connection's beginning, or from a restart of its stream, until something complete was said."""

HANDSHAKE_SECONDS: Final = 10.0
"""From the first byte of a TLS handshake until it is done; a honest one takes two round trips."""

WHOLE_SECONDS: Final = 60.0
"""A whole connection, with the verification of a dialback key and the decision."""

LINGER_SECONDS: Final = 2.0
"""For the peer to hang up after our last word (RFC 6120, section 4.4); ejabberd loses the word if we are quicker."""

SWEEP_SECONDS: Final = 1.0
"""How often connections are looked at that took too long; each has this much longer at most."""

MAX_KNOWN: Final = 4_096
"""Addresses that are known, some 100 bytes each: of the servers of all members, as a rule."""

FAMILIAR: Final = 10
"""Connections of an address that is known, for which it gives way to nobody else; a server has a few open at one time."""

MAX_ADDRESSES: Final = 10_000
"""Addresses whose rate is remembered, about 200 bytes each; the longest silent is forgotten first, and begins anew."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take, in seconds."""

    header: float = HEADER_SECONDS
    handshake: float = HANDSHAKE_SECONDS
    whole: float = WHOLE_SECONDS
    lingering: float = LINGER_SECONDS
    sweep: float = SWEEP_SECONDS


class Guest(Protocol):
    """A connection, as far as the room for it goes."""

    address: str
    """Who is at its other end, as far as the network shows."""

    def give_way(self) -> None:
        """End at once and leave the room, for another."""

    def look(self, now: float) -> None:
        """End if it took too long."""

    def shut(self) -> None:
        """End with a word: the door closes."""


@dataclass(slots=True)
class _Guests:
    """The connections of one address: those that may give way, the longest idle first, and the count of all."""

    unproven: OrderedDict[Guest, None] = field(default_factory=OrderedDict)
    count: int = 0


class _Crowds:
    """Addresses by how many connections each has, so that the largest is found at once, however many there are."""

    def __init__(self) -> None:
        self._by_count: dict[int, OrderedDict[str, None]] = {}
        self._most = 0

    def move(self, address: str, before: int, after: int) -> None:
        """Note that *address* has *after* connections, no more *before*."""
        if before:
            peers = self._by_count[before]
            del peers[address]
            if not peers:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, OrderedDict())[address] = None
        self._most = max(self._most, after)
        while self._most and self._most not in self._by_count:
            self._most -= 1

    def largest(self) -> str:
        """Return an address of which nobody has more, empty where there is none."""
        return next(iter(self._by_count[self._most])) if self._most else ""


class Room:
    """Room for *most* connections, and for *each* of one address.

    Where there is none, somebody gives way: the longest idle of those that have proven nothing, of the newcomer's own
    address where that has its share, else of the address that has the most.  Idle is who gets no further; bytes that
    complete nothing are no progress.  An address is known from which somebody has proven something: `FAMILIAR` of its
    connections do not count, from however many addresses others come.
    """

    def __init__(self, most: int, each: int) -> None:
        """Make an empty one."""
        self._most, self._each = most, each
        self._all: set[Guest] = set()
        self._guests: dict[str, _Guests] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._crowds: _Crowds | None = None
        """Counted while the room is full, or was a moment ago."""
        self.refused = self.gave_way = 0

    @property
    def guests(self) -> list[Guest]:
        """All who are in."""
        return list(self._all)

    def enter(self, guest: Guest) -> bool:
        """Let *guest* in, and say whether there was room, or somebody gave way."""
        own = self._guests.get(guest.address)
        if own is not None and own.count >= self._each:
            full = guest.address
        elif len(self._all) >= self._most:
            full = self._crowd()
        else:
            full = ""
        if full and not self._make_room(full):
            self.refused += 1
            return False
        self._add(guest)
        return True

    def knows(self, address: str) -> bool:
        """Say whether somebody has proven something from *address*."""
        return address in self._known

    def _crowd(self) -> str:
        """Return the address that has the most that count."""
        if self._crowds is None:
            self._crowds = _Crowds()
            for address, guests in self._guests.items():
                self._crowds.move(address, 0, _counting(guests.count, known=address in self._known))
        return self._crowds.largest() or max(self._guests, key=lambda address: self._guests[address].count)

    def _make_room(self, address: str) -> bool:
        longest = next(iter(self._guests[address].unproven), None)
        if longest is None:
            return False
        self.gave_way += 1
        longest.give_way()
        return True

    def _add(self, guest: Guest) -> None:
        own = self._guests.get(guest.address)
        if own is None:
            own = self._guests[guest.address] = _Guests()
        own.unproven[guest] = None
        own.count += 1
        self._all.add(guest)
        if self._crowds is not None:
            self._recount(self._crowds, guest.address, own.count - 1, own.count)

    def progressed(self, guest: Guest) -> None:
        """Note that *guest* got further, so that others give way before it."""
        own = self._guests.get(guest.address)
        if own is not None and guest in own.unproven:
            own.unproven.move_to_end(guest)

    def proven(self, guest: Guest) -> None:
        """Note that *guest* has proven who it is; it gives way to nobody, and its address is known."""
        own = self._guests.get(guest.address)
        if own is not None:
            own.unproven.pop(guest, None)
            self._know(guest.address, own.count)

    def _know(self, address: str, count: int) -> None:
        if address in self._known:
            self._known.move_to_end(address)
            return
        self._known[address] = None
        forgotten = self._known.popitem(last=False)[0] if len(self._known) > MAX_KNOWN else ""
        if self._crowds is not None:
            self._crowds.move(address, count, _counting(count, known=True))
            if forgotten in self._guests:
                whole = self._guests[forgotten].count
                self._crowds.move(forgotten, _counting(whole, known=True), whole)

    def answered(self, guest: Guest) -> None:
        """Note that *guest* has had its answer; it is the first to give way."""
        own = self._guests.get(guest.address)
        if own is not None:
            own.unproven[guest] = None
            own.unproven.move_to_end(guest, last=False)

    def leave(self, guest: Guest) -> None:
        """Count *guest* no more; it says so once."""
        self._all.remove(guest)
        own = self._guests[guest.address]
        own.unproven.pop(guest, None)
        own.count -= 1
        if not own.count:
            del self._guests[guest.address]
        if 2 * len(self._all) < self._most:
            self._crowds = None
        elif self._crowds is not None:
            self._recount(self._crowds, guest.address, own.count + 1, own.count)

    def _recount(self, crowds: _Crowds, address: str, before: int, after: int) -> None:
        known = address in self._known
        crowds.move(address, _counting(before, known=known), _counting(after, known=known))


def _counting(count: int, *, known: bool) -> int:
    """Return how many of an address's connections make it a crowd."""
    return max(0, count - FAMILIAR) if known else count


@dataclass(slots=True)
class Rates:
    """How often each address may come: *per_second*, and *burst* times at once after a pause (a bucket of tokens)."""

    per_second: float
    burst: float
    elapsed: Callable[[], float]
    limited: int = 0
    _full_at: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def take(self, address: str) -> bool:
        """Say whether *address* may come now, and count it."""
        now = self.elapsed()
        full_at = max(self._full_at.get(address, 0.0), now) + 1 / self.per_second
        if full_at - now > self.burst / self.per_second + _ROUNDING:
            self.limited += 1
            return False
        self._full_at[address] = full_at
        self._full_at.move_to_end(address)
        if len(self._full_at) > MAX_ADDRESSES:
            self._full_at.popitem(last=False)
        return True


_ROUNDING: Final = 1e-9
"""Seconds: sums of fractions must not take the last token of a full bucket."""
