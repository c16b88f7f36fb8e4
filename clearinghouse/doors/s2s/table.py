"""The stream machine as one table: what each state does with each input, and which state comes then (RFC 6120, XEP-0220; pure).

A pair that is not in the table is a mistake of ours (`clearinghouse.errors.InternalError`), never a default.
`docs/reference/s2s.md` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class State(StrEnum):
    """Where a stream is."""

    HEADER = "header"
    """The peer's stream header is awaited: at first, after TLS, and after SASL."""
    OPENED = "opened"
    """It has come; the door says what it offers, or answers."""
    CHOOSING = "choosing"
    """Features are out, and the peer chooses."""
    CHALLENGED = "challenged"
    """The peer chose EXTERNAL without saying who it is, and is asked."""
    UPGRADING = "upgrading"
    """`<starttls/>` has come; the door says that TLS may begin."""
    SECURING = "securing"
    """`<proceed/>` is out; nothing is read until TLS stands."""
    AUTHENTICATING = "authenticating"
    """A whole SASL exchange has come; the door judges the certificate."""
    DIALLED = "dialled"
    """A dialback key has come; the door has it verified, and answers."""
    ENDED = "ended"
    """Nothing more is said, and nothing more is read."""


class Input(StrEnum):
    """What may happen to a stream."""

    BYTES = "bytes"
    """Bytes of the peer, not yet read."""
    HEADER = "stream header"
    STARTTLS = "<starttls/>"
    STARTTLS_NOT_OFFERED = "<starttls/>, not offered"
    AUTH = "<auth/>"
    AUTH_BARE = "<auth/>, no initial response"
    AUTH_BAD = "<auth/>, unusable"
    RESPONSE = "<response/>"
    RESPONSE_BAD = "<response/>, unusable"
    ABORT = "<abort/>"
    RESULT = "<db:result/>"
    VERIFY = "<db:verify/>"
    STANZA = "a stanza"
    OTHER = "any other element"
    PEER_ERROR = "<stream:error/>"
    CLOSE = "</stream:stream>"
    FAULT = "a fault"
    """What may not be read, or is too much: the stream error is that of the fault."""

    OFFER = "offer()"
    ANSWER = "answer()"
    PROCEED = "proceed()"
    SECURED = "secured()"
    PROVEN = "proven()"
    REFUSE_SASL = "refuse_sasl()"
    REFUSE_DIALBACK = "refuse_dialback()"
    TIMEOUT = "timeout()"
    END = "end()"


class Act(StrEnum):
    """What a stream does."""

    READ = "reads on"
    HOLD = "holds them back"
    IGNORE = "does nothing"
    TELL = "tells the door"
    OFFER = "sends its header and features"
    CHALLENGE = "sends an empty challenge"
    FAIL_SASL = "sends a SASL failure"
    FAIL_TLS = "sends a TLS failure, and closes"
    FAIL_DIALBACK = "sends a dialback error"
    DENY_VERIFY = "says that it can verify nothing"
    PROCEED = "sends `<proceed/>`"
    RESTART = "begins a new stream"
    SUCCEED = "sends `<success/>`, and begins a new stream"
    ANSWER = "sends the answer, and closes"
    ERROR = "sends a stream error, and closes"
    CLOSE = "closes"
    STOP = "sends nothing more"


class Step(NamedTuple):
    """What is done, which state comes then, and the condition that is sent where it is always the same."""

    act: Act
    then: State
    condition: str = ""


_FAULT = Step(Act.ERROR, State.ENDED)
_ANSWER = Step(Act.ANSWER, State.ENDED)
_STOP = Step(Act.STOP, State.ENDED)
_LATE = Step(Act.ERROR, State.ENDED, "connection-timeout")  # RFC 6120, 4.9.3.4
_EARLY = Step(Act.ERROR, State.ENDED, "not-authorized")  # 4.9.3.12: stanzas "or other outbound data" before authentication
_PIPELINED = Step(Act.ERROR, State.ENDED, "policy-violation")
_PEER_ENDS = Step(Act.CLOSE, State.ENDED)
_NOTHING = Step(Act.IGNORE, State.ENDED)

TABLE: Final[Mapping[State, Mapping[Input, Step]]] = MappingProxyType(
    {
        State.HEADER: {
            Input.BYTES: Step(Act.READ, State.HEADER),
            Input.HEADER: Step(Act.TELL, State.OPENED),
            Input.FAULT: _FAULT,
            Input.ANSWER: _ANSWER,  # the door has heard enough: too many connections
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.OPENED: {
            Input.BYTES: Step(Act.HOLD, State.OPENED),
            Input.FAULT: _FAULT,
            Input.OFFER: Step(Act.OFFER, State.CHOOSING),
            Input.ANSWER: _ANSWER,
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.CHOOSING: {
            Input.BYTES: Step(Act.READ, State.CHOOSING),
            Input.STARTTLS: Step(Act.TELL, State.UPGRADING),
            Input.STARTTLS_NOT_OFFERED: Step(Act.FAIL_TLS, State.ENDED),  # 5.4.2.2
            Input.AUTH: Step(Act.TELL, State.AUTHENTICATING),
            Input.AUTH_BARE: Step(Act.CHALLENGE, State.CHALLENGED),
            Input.AUTH_BAD: Step(Act.FAIL_SASL, State.CHOOSING),
            Input.RESPONSE: Step(Act.FAIL_SASL, State.CHOOSING, "malformed-request"),
            Input.RESPONSE_BAD: Step(Act.FAIL_SASL, State.CHOOSING, "malformed-request"),
            Input.ABORT: Step(Act.FAIL_SASL, State.CHOOSING, "aborted"),
            Input.RESULT: Step(Act.TELL, State.DIALLED),
            Input.VERIFY: Step(Act.DENY_VERIFY, State.CHOOSING, "item-not-found"),  # XEP-0220, 2.5: not a domain of ours
            Input.STANZA: _EARLY,
            Input.OTHER: Step(Act.ERROR, State.ENDED, "unsupported-stanza-type"),  # 4.9.3.24
            Input.PEER_ERROR: _PEER_ENDS,
            Input.CLOSE: _PEER_ENDS,
            Input.FAULT: _FAULT,
            Input.ANSWER: _ANSWER,
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.CHALLENGED: {
            Input.BYTES: Step(Act.READ, State.CHALLENGED),
            Input.STARTTLS_NOT_OFFERED: _EARLY,
            Input.AUTH: _EARLY,
            Input.AUTH_BARE: _EARLY,
            Input.AUTH_BAD: _EARLY,
            Input.RESPONSE: Step(Act.TELL, State.AUTHENTICATING),
            Input.RESPONSE_BAD: Step(Act.FAIL_SASL, State.CHOOSING),
            Input.ABORT: Step(Act.FAIL_SASL, State.CHOOSING, "aborted"),  # 6.4.4
            Input.RESULT: _EARLY,
            Input.VERIFY: _EARLY,
            Input.STANZA: _EARLY,
            Input.OTHER: _EARLY,
            Input.PEER_ERROR: _PEER_ENDS,
            Input.CLOSE: _PEER_ENDS,
            Input.FAULT: _FAULT,
            Input.ANSWER: _ANSWER,
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.UPGRADING: {
            Input.BYTES: _PIPELINED,  # 5.3.3: not even white space; carried over, it would be taken for what TLS protects
            Input.ANSWER: _ANSWER,
            Input.PROCEED: Step(Act.PROCEED, State.SECURING),
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.SECURING: {
            Input.BYTES: _STOP,  # no longer XML, not yet TLS
            Input.SECURED: Step(Act.RESTART, State.HEADER),  # 4.3.3, 5.4.3.3
            Input.ANSWER: _STOP,
            Input.TIMEOUT: _STOP,
            Input.END: _STOP,
        },
        State.AUTHENTICATING: {
            Input.BYTES: Step(Act.HOLD, State.AUTHENTICATING),
            Input.FAULT: _FAULT,
            Input.ANSWER: _ANSWER,
            Input.PROVEN: Step(Act.SUCCEED, State.HEADER),  # 6.4.6
            Input.REFUSE_SASL: Step(Act.FAIL_SASL, State.CHOOSING),  # 6.4.5
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.DIALLED: {
            Input.BYTES: Step(Act.HOLD, State.DIALLED),
            Input.FAULT: _FAULT,
            Input.ANSWER: _ANSWER,
            Input.REFUSE_DIALBACK: Step(Act.FAIL_DIALBACK, State.CHOOSING),
            Input.TIMEOUT: _LATE,
            Input.END: _STOP,
        },
        State.ENDED: {
            Input.BYTES: _NOTHING,
            # The door's word may come when the time is already over.
            Input.OFFER: _NOTHING,
            Input.ANSWER: _NOTHING,
            Input.PROCEED: _NOTHING,
            Input.SECURED: _NOTHING,
            Input.PROVEN: _NOTHING,
            Input.REFUSE_SASL: _NOTHING,
            Input.REFUSE_DIALBACK: _NOTHING,
            Input.TIMEOUT: _NOTHING,
            Input.END: _NOTHING,
        },
    }
)
"""All of it.  Where a state has no row for an input, the input cannot come there."""
