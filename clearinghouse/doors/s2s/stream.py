"""A stream between servers, at the server that is connected to: bytes in, events and bytes out (RFC 6120; pure).

What a stream does in each state is in one table (`clearinghouse.doors.s2s.table`); this is how it does it::

    event = stream.receive(data)
    while event is not None:
        ...  # the door's word: offer(), answer(), proceed(), proven(), ...
        send(stream.take())
        event = stream.receive(b"")
    send(stream.take())

Each event ends exactly with its own last byte.  What the peer sent behind it is held back, and not looked at before the door's word; behind
`<starttls/>` there must be nothing, so that no byte sent in clear is ever taken for one that TLS protects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import ClassVar, Final

from clearinghouse.doors.s2s import sasl, written
from clearinghouse.doors.s2s.events import Ended, Event, Opened
from clearinghouse.doors.s2s.headers import MAX_REMEMBERED_BYTES, Header, header_in, header_of
from clearinghouse.doors.s2s.inputs import WHOLE, Context, Read, read_element
from clearinghouse.doors.s2s.table import TABLE, Act, Input, State
from clearinghouse.doors.s2s.tokens import Kind, Reader, Stop
from clearinghouse.errors import InternalError
from clearinghouse.federation.redirection.answers import Redirect, Refused

VERIFICATIONS: Final = 16
"""Keys that a peer may ask about in one connection; a server asks for each of its domains, and all answers are the same."""

MAX_HELD_BYTES: Final = 131_072
"""Bytes that are held back while the door decides: two reads of a socket; a door that stops reading meanwhile never sees this."""

# What each connection needs; looking up a member of an enumeration is dear in Python 3.11.
_HEADER, _ENDED, _CHOOSING, _UPGRADING = State.HEADER, State.ENDED, State.CHOOSING, State.UPGRADING
_READ, _HOLD = Act.READ, Act.HOLD
_ON_BYTES: Final = {state: rows[Input.BYTES].act for state, rows in TABLE.items()}
_HAS_HEADER, _HAS_ELEMENT, _HAS_END = Kind.HEADER, Kind.ELEMENT, Kind.END
_ANSWERED, _GREETED = Input.ANSWER, Input.HEADER

_NOBODY: Final = Header(Opened("", "", modern=True, dialback=False), written.answering())
_NOTHING_OFFERED: Final = Context()
_NOTHING_READ: Final = Read(Input.BYTES)


class Starttls(StrEnum):
    """Whether a peer may, or must, choose TLS."""

    NO = "no"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Stream:
    """One connection of a peer: its first stream, and those that begin anew after TLS and after SASL."""

    __slots__ = (
        "_attempts", "_context", "_event",
        "_first", "_header", "_last", "_new_id", "_opened", "_out", "_reader", "_verifications",
        "id", "proven_as", "secure", "state",
    )  # fmt: skip

    def __init__(self, *, secure: bool, new_id: Callable[[], str]) -> None:
        """Begin; *secure* where TLS stands already (XEP-0368), *new_id* gives ids that nobody guesses."""
        self.secure = secure
        self.proven_as = ""
        """Whom the peer was proven to be by SASL."""
        self._new_id = new_id
        self._out = ""
        self._attempts = self._verifications = 0
        self._begin(b"")

    def _begin(self, held: bytes) -> None:
        """Begin a stream, with a parser that knows nothing of the one before (RFC 6120, section 4.3.3)."""
        self.state = _HEADER
        self.id = ""
        self._opened = False
        self._header, self._context, self._last = _NOBODY, _NOTHING_OFFERED, _NOTHING_READ
        self._event: Event | None = None
        self._first = b""
        self._reader: Reader | None = None
        if held:
            self._reading().hold(held)

    def _reading(self) -> Reader:
        """Return the reader of this stream, which there is once a header was not answered at once."""
        if self._reader is None:
            self._reader = Reader(WHOLE)
            if self._first:
                self._reader.hold(self._first)
                self._reader.advance()
        return self._reader

    # ------------------------------------------------------------------------------------------------------ in and out

    def take(self) -> bytes:
        """Return what is to be sent, once."""
        out, self._out = self._out, ""
        return written.encoded(out)

    def receive(self, data: bytes) -> Event | None:
        """Take *data* and return what the door must say something to; without data, go on with what was held back."""
        act = _ON_BYTES[self.state]
        if act is _READ:
            if self._reader is None and self.state is _HEADER:
                return self._receive_first(data)
            self._reading().hold(data)
            return self._read_on()
        if not data:
            return None
        if act is _HOLD:
            reader = self._reading()
            reader.hold(data)
            return None if reader.held <= MAX_HELD_BYTES else self._do(Input.FAULT, "policy-violation")
        return self._do(Input.BYTES)

    def _receive_first(self, data: bytes) -> Event | None:
        """Take the first bytes of a stream: in nearly every one they are its whole header, and have been read before."""
        if not data:
            return None
        try:
            if len(data) <= MAX_REMEMBERED_BYTES:
                header = header_in(data)
                self._first = data
                return self._greeted(header)
        except Stop:
            self._first = b""  # whatever it is, it is read as everything else is
        self._reading().hold(data)
        return self._read_on()

    # ----------------------------------------------------------------------------------------------------- the door's word

    def offer(self, *, starttls: Starttls, external: bool, dialback: bool) -> None:
        """Open our stream and offer that; a peer of an old version reads no features, and goes on with dialback.

        Raises `InternalError` where nothing is offered: that would end the negotiation, and the peer would send stanzas.
        """
        if self.state is not _ENDED:
            _check_offer(starttls, external=external, dialback=dialback, secure=self.secure, proven=bool(self.proven_as))
        told = written.features(starttls=starttls, external=external, dialback=dialback)
        self._do(Input.OFFER, told if self._header.opened.modern else "")
        self._context = Context(self.id, self._header.opened.claimed, starttls is not Starttls.NO, external)

    def answer(self, answer: Redirect | Refused) -> None:
        """Say where the peer finds whom it wants, or that it may not; that ends the stream."""
        if isinstance(answer, Redirect):
            told = written.stream_error("see-other-host", answer.text, answer.place)
        else:
            told = written.stream_error(answer.condition, answer.text)
        self._do(_ANSWERED, told)

    def proceed(self) -> None:
        """Let TLS begin.  Nothing is received before `secured`."""
        self._do(Input.PROCEED)

    def secured(self) -> None:
        """Begin anew, on TLS."""
        self._do(Input.SECURED)

    def proven(self, name: str) -> None:
        """Let the peer be *name*, and begin anew: the answer comes at the header that it sends then, before any features."""
        if self.state is State.AUTHENTICATING:
            self.proven_as = name
        self._do(Input.PROVEN)

    def refuse_sasl(self, condition: str = "not-authorized") -> None:
        """Say that the certificate is not enough; the peer may try again, or try dialback."""
        self._do(Input.REFUSE_SASL, condition)

    def refuse_dialback(self, condition: str = "policy-violation") -> None:
        """Say that the key could not be verified, by a stanza error's *condition*; the stream goes on."""
        self._do(Input.REFUSE_DIALBACK, condition)

    def timeout(self) -> None:
        """End a stream that has taken too long."""
        self._do(Input.TIMEOUT)

    def end(self) -> None:
        """Forget a stream whose connection is gone."""
        self._do(Input.END)

    # --------------------------------------------------------------------------------------------------------- by the table

    def _do(self, found: Input, told: str = "") -> Event | None:
        """Do what the table says of *found*; *told* is what is sent, where the table does not say it."""
        step = TABLE[self.state].get(found)
        if step is None:
            raise InternalError(f"`{found}` came to a stream in the state `{self.state}`")
        self.state = step.then
        return self._acts[step.act](self, step.condition or told)

    def _read_on(self) -> Event | None:
        """Read until the door is told something; None where the peer must send more."""
        while _ON_BYTES[self.state] is _READ:
            kind = self._reading().advance()
            if kind is None:
                return None
            try:
                event = self._found(kind)
            except Stop as stop:
                event = self._do(Input.FAULT, stop.args[0])
            if event is not None:
                return event
        return None

    def _found(self, kind: Kind) -> Event | None:
        """Do what has been read; raises `Stop`."""
        reader = self._reading()
        if kind is _HAS_HEADER:
            return self._greeted(header_of(reader.name, reader.attributes, reader.namespaces))
        if kind is _HAS_END:
            self._event = Ended("", by_peer=True)
            return self._do(Input.CLOSE)
        if kind is not _HAS_ELEMENT:
            raise Stop(reader.condition)
        self._last = read = read_element(reader, self._context)
        self._count(read.input)
        self._event = read.event
        return self._do(read.input, read.condition)

    def _greeted(self, header: Header) -> Event | None:
        self._header, self._event = header, header.opened
        if self.proven_as:
            if header.opened.claimed not in ("", self.proven_as):
                raise Stop("invalid-from")  # 4.9.3.9: not the name that was authenticated
            self._event = header.opened._replace(claimed=self.proven_as)
        return self._do(_GREETED)

    def _count(self, found: Input) -> None:
        """Raise `Stop` where a peer has tried too often (6.4.5)."""
        if found is Input.VERIFY:
            self._verifications += 1
        elif found in _ATTEMPTS and self.state is _CHOOSING:
            self._attempts += 1
        if self._attempts > sasl.ATTEMPTS or self._verifications > VERIFICATIONS:
            raise Stop("policy-violation")

    # ----------------------------------------------------------------------------------------------------------- what it does

    def _open(self) -> None:
        """Send our header, once; it says `from` only to a peer that named us (4.7.1)."""
        if not self._opened:
            self._opened = True
            self.id = self._new_id()
            self._out += written.header(self.id, self._header.reply)

    def _finish(self, told: str, ended: Ended) -> Ended:
        self._out += told
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        return ended

    def _ignore(self, told: str) -> None:
        del told

    def _tell(self, told: str) -> Event | None:
        del told
        return self._do(Input.BYTES) if self.state is _UPGRADING and self._reading().held else self._event

    def _send(self, told: str) -> None:
        self._open()
        self._out += told

    def _challenge(self, told: str) -> None:
        self._out += told + written.CHALLENGE

    def _fail_sasl(self, told: str) -> None:
        self._out += written.sasl_failure(told)

    def _proceed(self, told: str) -> None:
        self._out += told + written.PROCEED

    def _deny_verify(self, told: str) -> None:
        self._fail_dialback(told, "verify")

    def _fail_dialback(self, told: str, kind: str = "result") -> None:
        last = self._last
        if self._header.opened.modern:
            self._out += written.dialback_error(kind, sender=last.wanted, to=last.claimed, identifier=last.id, condition=told)
        else:
            self._out += written.dialback_invalid(kind, sender=last.wanted, to=last.claimed, identifier=last.id)

    def _succeed(self, told: str) -> None:
        self._restart(told + written.SUCCESS)

    def _restart(self, told: str) -> None:
        self.secure = True  # TLS stands now, or stood before SASL could succeed
        self._out += told
        reader = self._reading()
        held = reader.release()
        reader.close()
        self._begin(held)

    def _answer(self, told: str) -> Ended:
        self._open()
        return self._finish(told, Ended(""))

    def _error(self, condition: str) -> Ended:
        self._open()
        return self._finish(written.stream_error(condition), Ended(condition))

    def _fail_tls(self, told: str) -> Ended:
        return self._close(told + written.TLS_FAILURE)

    def _close(self, told: str) -> Ended:
        return self._finish(told + written.CLOSE, self._event if isinstance(self._event, Ended) else Ended(""))

    def _stop(self, told: str) -> Ended:
        del told
        return self._finish("", Ended(""))

    _acts: ClassVar[Mapping[Act, Callable[[Stream, str], Event | None]]] = {
        Act.IGNORE: _ignore,
        Act.TELL: _tell,
        Act.OFFER: _send,
        Act.CHALLENGE: _challenge,
        Act.FAIL_SASL: _fail_sasl,
        Act.FAIL_TLS: _fail_tls,
        Act.FAIL_DIALBACK: _fail_dialback,
        Act.DENY_VERIFY: _deny_verify,
        Act.PROCEED: _proceed,
        Act.RESTART: _restart,
        Act.SUCCEED: _succeed,
        Act.ANSWER: _answer,
        Act.ERROR: _error,
        Act.CLOSE: _close,
        Act.STOP: _stop,
    }
    """How each act of the table is done; `READ` and `HOLD` are done by `receive`."""


def _check_offer(starttls: Starttls, *, external: bool, dialback: bool, secure: bool, proven: bool) -> None:
    """Raise `InternalError` where the door offers what this stream cannot have, or nothing."""
    if proven or (external and not secure) or (starttls is not Starttls.NO and secure):
        raise InternalError("a stream was offered what it cannot have")
    if starttls is Starttls.NO and not external and not dialback:
        raise InternalError("a stream was offered nothing")


_ATTEMPTS: Final = frozenset({Input.AUTH, Input.AUTH_BARE, Input.AUTH_BAD, Input.RESPONSE, Input.RESPONSE_BAD, Input.ABORT})
