"""The other half of dialback: asks the server of a member whether a key is its own (XEP-0220, section 2.4; pure).

Our header, its header and features, TLS where it has that, then one `<db:verify/>` and its answer.  Where the server is, and whether the
certificate that it shows is that of the member, is the matter of whoever carries the bytes::

    verifying = Verifying(Question(claimed, wanted, id, key), sender="door.hub.example", must_tls=True)
    send(verifying.take())
    found = verifying.receive(data)  # StartTls(): secure the connection, then secured(); Verified(...): that is the answer
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from clearinghouse.doors.s2s import written
from clearinghouse.doors.s2s.events import StartTls
from clearinghouse.doors.s2s.headers import header_of
from clearinghouse.doors.s2s.inputs import condition_of
from clearinghouse.doors.s2s.tokens import Kind, Reader, Stop
from clearinghouse.federation.names import BadName, normal


class Question(NamedTuple):
    """A key that a peer has shown us, and the stream that it is for; names in normal form."""

    claimed: str
    wanted: str
    id: str
    key: str


class Verified(NamedTuple):
    """What the member's server said, or why it said nothing: then *valid* is false, and *reason* is not empty."""

    valid: bool
    reason: str = ""


class Phase(StrEnum):
    """What is awaited of the server."""

    HEADER = "header"
    FEATURES = "features"
    PROCEED = "proceed"
    TLS = "tls"
    ANSWER = "answer"
    DONE = "done"


_FEATURES: Final = f"{written.STREAMS}\nfeatures"
_PROCEED: Final = f"{written.TLS}\nproceed"
_STARTTLS: Final = f"{written.TLS}\nstarttls"
_VERIFY: Final = f"{written.DIALBACK}\nverify"
_ERROR: Final = f"{written.STREAMS}\nerror"

EXPECTED: Final[Mapping[Phase, str]] = MappingProxyType(
    {Phase.FEATURES: _FEATURES, Phase.PROCEED: _PROCEED, Phase.ANSWER: _VERIFY},
)
"""The only element that a server may send in each phase, beside `<stream:error/>`; anything else ends the question."""

_WHOLE: Final = frozenset({*EXPECTED.values(), _ERROR})


class Verifying:
    """One question over one connection."""

    __slots__ = ("_must_tls", "_out", "_question", "_reader", "_sender", "phase", "secure")

    def __init__(self, question: Question, *, sender: str, must_tls: bool, secure: bool = False) -> None:
        """Ask *question* in the name of *sender*; *secure* where TLS stands already, *must_tls* where the key is not shown without it."""
        self._question, self._sender, self._must_tls = question, sender, must_tls
        self._out = ""
        self.secure = secure
        self._begin()

    def _begin(self) -> None:
        self.phase = Phase.HEADER
        self._reader = Reader(_WHOLE)
        self._out += written.opening(sender=self._sender, to=self._question.claimed)

    def take(self) -> bytes:
        """Return what is to be sent, once."""
        out, self._out = self._out, ""
        return written.encoded(out)

    def secured(self) -> None:
        """Begin anew, on TLS."""
        self.secure = True
        self._begin()

    def receive(self, data: bytes) -> StartTls | Verified | None:
        """Take *data* of the server; return that TLS may begin, or the answer.  None asks for more."""
        if self.phase is Phase.DONE:
            return None
        if self.phase is Phase.TLS:
            return self._done("policy-violation") if data else None  # no longer XML, not yet TLS
        self._reader.hold(data)
        while (kind := self._reader.advance()) is not None:
            try:
                found = self._read(kind)
            except Stop as stop:
                return self._done(stop.args[0])
            if found is not None:
                return found
        return None

    def ended(self) -> Verified | None:
        """Say what it means that the connection has ended: no answer, unless there was one."""
        return None if self.phase is Phase.DONE else self._done("remote-connection-failed")

    def _read(self, kind: Kind) -> StartTls | Verified | None:
        """Do what follows from what has been read; raises `Stop`."""
        reader = self._reader
        if kind is Kind.FAULT:
            raise Stop(reader.condition)
        if kind is Kind.END:
            return self._done("remote-connection-failed")
        if kind is Kind.HEADER:
            return self._greeted()
        if reader.name == _ERROR:
            return self._done(condition_of(reader))
        if reader.name != EXPECTED[self.phase]:
            raise Stop("unsupported-stanza-type")
        return self._expected()

    def _greeted(self) -> Verified | None:
        opened = header_of(self._reader.name, self._reader.attributes, self._reader.namespaces).opened
        if opened.claimed not in ("", self._question.claimed):
            raise Stop("invalid-from")
        if opened.modern:
            self.phase = Phase.FEATURES
            return None
        return self._ask()

    def _expected(self) -> StartTls | Verified | None:
        """Go on from what the phase waited for."""
        if self.phase is Phase.ANSWER:
            return self._answered()
        if self.phase is Phase.PROCEED:
            if self._reader.held:
                raise Stop("policy-violation")  # sent in clear, it would be taken for what TLS protects
            self.phase = Phase.TLS
            return StartTls()
        if _STARTTLS in self._reader.children and not self.secure:
            self.phase = Phase.PROCEED
            self._out += written.STARTTLS
            return None
        return self._ask()

    def _ask(self) -> Verified | None:
        if self._must_tls and not self.secure:
            return self._done("no-tls")
        question = self._question
        self.phase = Phase.ANSWER
        self._out += written.verify(sender=question.wanted, to=question.claimed, identifier=question.id, key=question.key)
        return None

    def _answered(self) -> Verified:
        given, question = self._reader.attributes, self._question
        if (_named(given.get("from", "")), _named(given.get("to", "")), given.get("id")) != (
            question.claimed,
            question.wanted,
            question.id,
        ):
            raise Stop("invalid-id")
        kind = given.get("type")
        if kind == "error":
            return self._done("dialback-error")
        self._done("")
        return Verified(kind == "valid")

    def _done(self, reason: str) -> Verified:
        if self.phase is not Phase.TLS:
            self._out += written.CLOSE
        self.phase = Phase.DONE
        self._reader.close()
        return Verified(valid=False, reason=reason)


def _named(text: str) -> str:
    try:
        return normal(text)
    except BadName:
        return ""
