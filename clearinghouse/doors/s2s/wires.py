"""One connection: bytes in and out, before TLS and after, with a time for everything, and an orderly end.

OpenSSL is given what was read and asked for what to write: never more than `READ_BYTES` in one turn, so that no peer can
keep it busy with messages of its own.  Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from OpenSSL import SSL

from clearinghouse.doors.s2s.pace import Patience, Room
from clearinghouse.doors.s2s.turns import Turns

READ_BYTES: Final = 8_192
"""Bytes that are read at once: a peer's certificate with its chain, and more than it ever has to say."""

WRITE_BYTES: Final = 65_536
"""Bytes that wait for a peer that does not read; a door says some three kB in all, and a certificate with a long chain."""

MAX_BYTES: Final = 262_144
"""Bytes that one connection sends altogether: twice the largest chain of certificates that OpenSSL takes, and all that a stream
says.  White space, changes of keys and attempts to negotiate anew are in it; some are a hundredfold dearer to read than to send."""

LINGER_BYTES: Final = 2_097_152
"""Bytes that are read and thrown away after our last word: closing with some unread would take that word back (RST)."""


Connect = Callable[[], SSL.Connection]
"""Makes our end of a handshake."""


class Talk(Protocol):
    """What a wire tells whoever speaks on it; nothing of it raises."""

    def received(self, data: bytes) -> None:
        """Take what the peer sent, ``b""`` when it will send no more."""

    def secured(self, tls: SSL.Connection) -> None:
        """Go on after the handshake."""

    def late(self) -> None:
        """Say something to a peer that took too long, and end."""

    def shut(self) -> None:
        """Say that the door closes."""

    def gone(self) -> None:
        """Stop: the connection is closed, whoever closed it."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What the wires of one door share."""

    loop: asyncio.AbstractEventLoop
    room: Room
    turns: Turns
    patience: Patience


class Wire:
    """A connection with a peer: it reads unless `pause` says otherwise, writes at once, and is closed exactly once."""

    __slots__ = (
        "_connect",
        "_descriptor",
        "_ending",
        "_floor",
        "_ignored",
        "_left",
        "_open",
        "_over",
        "_paused",
        "_queued",
        "_read",
        "_sock",
        "_talk",
        "_tls",
        "_watched",
        "_writing",
        "address",
        "due",
        "ends",
        "host",
    )

    def __init__(self, taken: socket.socket, host: str, address: str, floor: Floor) -> None:
        """Be the connection *taken* from *host*, which counts as *address*; nothing is read before `begin`."""
        self._sock, self._floor = taken, floor
        self._descriptor = taken.fileno()
        self.host, self.address = host, address
        self._talk: Talk | None = None
        self._connect: Connect | None = None
        self._tls: SSL.Connection | None = None
        self._open = self._over = self._ending = self._paused = self._ignored = self._queued = self._watched = self._writing = False
        self._left = b""
        self._read = 0
        now = floor.loop.time()
        self.due, self.ends = now + floor.patience.header, now + floor.patience.whole

    def begin(self, talk: Talk, connect: Connect | None = None) -> None:
        """Tell *talk* from now on; with *connect* it is secured first, and OpenSSL is asked when the first byte has come."""
        self._talk, self._connect = talk, connect
        self._watch()

    # -- reading ------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Read no more: whoever has asked waits for the answer, as long as a connection lasts."""
        self.due = self.ends
        self._paused = True  # most say nothing meanwhile, so watching goes on until one does

    def _watch(self) -> None:
        """Look for what comes, or not: while others have their turn, while the answer is awaited, and after the peer's end."""
        wanted = self._talk is not None and not self._queued and not self._over and (self._ending or not self._ignored)
        if wanted is not self._watched:
            self._watched = wanted
            if wanted:
                self._floor.loop.add_reader(self._descriptor, self._readable)
            else:
                self._floor.loop.remove_reader(self._descriptor)

    def _readable(self) -> None:
        """Have what has come looked at, now or in turn."""
        if self._paused and not self._ending:
            self._ignored = True
            self._watch()
        elif not self._floor.turns.take(self.address, self._look):
            self._queued = True
            self._watch()

    def _look(self) -> None:
        self._queued = False
        if self._talk is None:
            return
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            self._watch()
            return
        except OSError:
            self.abort()
            return
        self._read += len(data)
        if self._ending:
            self._throw(data)
        elif self._read > MAX_BYTES:
            self.abort()
        elif not data:
            self._ended()
        elif self._tls is None and self._connect is None:
            self._tell(data)
        else:
            self._decrypt(data)
        self._watch()

    def _tell(self, data: bytes) -> None:
        if self._talk is not None and not self._ending:
            self._talk.received(data)

    def _ended(self) -> None:
        """The peer sends no more."""
        self._over = True
        if self._is_mute:
            self.abort()
        else:
            self._tell(b"")

    @property
    def _is_mute(self) -> bool:
        """Whether nothing can be said now: before a handshake, and while it lasts."""
        return self._connect is not None or (self._tls is not None and not self._open)

    def progressed(self) -> None:
        """Give the peer time for what comes next; it got further."""
        self._wait(self._floor.patience.header)

    def _wait(self, seconds: float) -> None:
        self.due = self._floor.loop.time() + seconds
        self._floor.room.progressed(self)

    def proven(self) -> None:
        """Give way to nobody until the answer: the peer has proven who it is, and waits for us."""
        self._floor.room.proven(self)

    # -- TLS ----------------------------------------------------------------------------------------------

    def secure(self, connect: Connect) -> None:
        """Begin a handshake; `Talk.secured` is told when it is done."""
        self._connect = connect
        self._wait(self._floor.patience.handshake)

    def _decrypt(self, data: bytes) -> None:
        """Give OpenSSL what was read, and the peer what OpenSSL says to it."""
        if self._connect is not None:
            self._tls, self._connect = self._connect(), None
        tls = self._tls
        if tls is None or self._talk is None:
            return
        was_open = self._open
        try:
            tls.bio_write(data)
            if not was_open:
                tls.do_handshake()
                self._open = True
                self._talk.secured(tls)
            self._read_all(tls)
        except SSL.WantReadError:
            if self._paused:
                pass  # an answer follows, and takes along what there is
            elif self._open is was_open or tls.get_protocol_version() != SSL.TLS1_3_VERSION:
                self._flush()
            else:
                self._acknowledge()
        except SSL.ZeroReturnError:
            self._ended()
        except SSL.Error:
            self._flush()  # the alert that says what was wrong
            self.abort()

    def _acknowledge(self) -> None:
        """Let the peer go on without a packet of ours: what OpenSSL has to say after a handshake are tickets, which can wait.

        Its own kernel may hold its header back until what came before is acknowledged, and ours that for 40 ms (RFC 896, RFC 1122).
        """
        with suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _read_all(self, tls: SSL.Connection) -> None:
        while self._talk is not None and not self._ending:
            self._tell(tls.recv(READ_BYTES))

    # -- writing ------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write *data*: in one piece, unless the peer does not read."""
        if self._talk is None or not data:
            return
        if self._tls is None:
            self._write(data)
            return
        try:
            self._tls.send(data)
        except SSL.Error:
            self.abort()
            return
        self._flush()

    def _flush(self) -> None:
        """Write what OpenSSL has for the peer."""
        if self._tls is not None and self._talk is not None:
            with suppress(SSL.WantReadError):
                self._write(self._tls.bio_read(WRITE_BYTES))

    def _write(self, data: bytes) -> None:
        if self._left:
            self._left += data
            if len(self._left) > WRITE_BYTES:
                self.abort()
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.abort()
            return
        if sent < len(data):
            self._left, self._writing = data[sent:], True
            self._floor.loop.add_writer(self._descriptor, self._writable)

    def _writable(self) -> None:
        data, self._left, self._writing = self._left, b"", False
        self._floor.loop.remove_writer(self._descriptor)
        self._write(data)

    # -- the end ------------------------------------------------------------------------------------------

    def close(self, data: bytes) -> None:
        """Write *data*, and end when the peer does; what it sends until then is thrown away."""
        if self._talk is None or self._ending:
            return
        self.send(data)
        if self._over and not self._left:
            self.abort()
            return
        self._ending, self._read = True, 0
        self.ends = min(self.ends, self._floor.loop.time() + self._floor.patience.lingering)
        self._floor.room.answered(self)
        self._watch()

    def _throw(self, data: bytes) -> None:
        self._over = not data or self._hangs_up(data)
        if self._over or self._read > LINGER_BYTES:
            self.abort()

    def _hangs_up(self, data: bytes) -> bool:
        """Say whether *data* ends TLS: then the peer sends no more, though it may wait for us to close the connection."""
        if self._tls is None or not self._open or self._read > MAX_BYTES:
            return False
        try:
            self._tls.bio_write(data)
            while True:
                self._tls.recv(READ_BYTES)
        except SSL.WantReadError:
            return False
        except SSL.Error:
            return True

    def look(self, now: float) -> None:
        """End where its time is over: with a word where that can be said."""
        if self._talk is None or now < min(self.due, self.ends):
            return
        if self._ending or now >= self.ends or self._is_mute:
            self.abort()
        else:
            self.due = self.ends
            self._talk.late()

    def give_way(self) -> None:
        """End at once, for another."""
        self.abort()

    def shut(self) -> None:
        """End with a word where that can be said: the door closes."""
        if self._talk is not None and not self._ending and not self._is_mute:
            self._talk.shut()
        self.abort()

    def abort(self) -> None:
        """Close now."""
        talk, self._talk = self._talk, None
        if talk is None:
            return
        if self._watched:
            self._floor.loop.remove_reader(self._descriptor)
        if self._writing:
            self._floor.loop.remove_writer(self._descriptor)
        self._floor.room.leave(self)
        if self._tls is not None and self._open and not self._over:
            with suppress(SSL.Error, OSError):
                self._tls.shutdown()
                self._sock.send(self._tls.bio_read(WRITE_BYTES))
        self._sock.close()
        talk.gone()
