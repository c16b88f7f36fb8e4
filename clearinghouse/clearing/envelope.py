"""What a signed request says: for whom it is meant, how long it lives, and what is asked (rule R18; pure).

The envelope that carries it, `seal` and `opened` among the rest, is `clearinghouse.clearing.dsse`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from clearinghouse.clearing.dsse import (
    CHECKPOINT,
    PAYLOAD_TYPES,
    REQUEST,
    Envelope,
    MalformedEnvelope,
    SignedTwice,
    WrongPayloadType,
    fingerprint,
    opened,
    pae,
    seal,
)
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.clearing.wire import canonical, check_members, read_object, read_stamp, stamp
from clearinghouse.errors import PeerError, TooLarge
from clearinghouse.keynote import Limits

__all__ = [
    "CHECKPOINT",
    "PAYLOAD_TYPES",
    "REQUEST",
    "Asked",
    "Envelope",
    "EnvelopeNotYet",
    "LivesTooLong",
    "MalformedEnvelope",
    "Replayed",
    "SignedTwice",
    "StaleEnvelope",
    "WrongAudience",
    "WrongPayloadType",
    "fingerprint",
    "opened",
    "pae",
    "read_asked",
    "seal",
    "written",
]

LONGEST_LIFE: Final = timedelta(minutes=5)
"""From issue to expiry (rule R18): what has to be remembered against replay stays small."""

SKEW: Final = timedelta(seconds=2)
"""What the sender's clock may be ahead of ours; hosts with NTP are within 0.1 s."""

MAX_MEMBERS: Final = 64
"""Members of a request's body; an approval has 4."""

MAX_NAME_CHARACTERS: Final = 64
"""Characters of a member's name; an attribute's is the longest, and the longest of those has 26."""

MAX_CREDENTIALS: Final = Limits().assertions
"""Credentials of one request: what the engine looks at of a stranger's."""

MAX_CREDENTIAL_CHARACTERS: Final = Limits().request_bytes
"""Characters of all credentials of a request together; each has a byte at least, and the engine reads so many bytes."""

MAX_AUDIENCE_CHARACTERS: Final = 1_023
"""Characters of the audience; a community or a domain name, and XMPP's longest has 1,023 bytes (RFC 7622, section 3.2)."""

_is_kind = re.compile(r"[a-z][a-z0-9-]{0,63}").fullmatch
_is_nonce = re.compile(r"[A-Za-z0-9_-]{16,64}").fullmatch


class WrongAudience(PeerError):
    """The envelope is meant for another clearinghouse."""

    code: ClassVar[str] = "wrong-audience"


class StaleEnvelope(PeerError):
    """The envelope has expired."""

    code: ClassVar[str] = "stale-envelope"


class EnvelopeNotYet(PeerError):
    """The envelope was issued in our future."""

    code: ClassVar[str] = "envelope-not-yet"


class LivesTooLong(PeerError):
    """More time lies between issue and expiry than any envelope may live."""

    code: ClassVar[str] = "envelope-lives-too-long"


class Replayed(PeerError):
    """The envelope was taken once already; raised by whoever remembers its `fingerprint`."""

    code: ClassVar[str] = "replayed"
    stanza_condition: ClassVar[str] = "conflict"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    ``kind`` is what is asked for, such as ``approve``; lower-case letters, digits and hyphens, 64 at most.
    ``audience`` is the one decision point that is meant: a community whose clearinghouse is asked, or a
    domain whose agent is.  ``nonce`` has 16 to 64 letters, digits,
    ``_`` or ``-`` and is new each time.  ``issued`` and ``expires`` are in UTC.  ``body`` is what the kind wants.
    ``credentials`` are texts of KeyNote that the request rests on; nobody has looked at them yet (rule R21).
    """

    kind: str
    audience: str
    nonce: str
    issued: datetime
    expires: datetime
    body: Mapping[str, str]
    credentials: tuple[str, ...] = ()


def written(asked: Asked) -> bytes:
    """Return the payload of *asked* in canonical JSON; raises `MalformedEnvelope` or `LivesTooLong` as reading it would."""
    _check_form(asked)
    _check_life(asked)
    members: dict[str, Any] = {
        "audience": asked.audience,
        "body": dict(asked.body),
        "expires": stamp(asked.expires),
        "issued": stamp(asked.issued),
        "kind": asked.kind,
        "nonce": asked.nonce,
    }
    return canonical(members | ({"credentials": list(asked.credentials)} if asked.credentials else {}))


def read_asked(envelope: Envelope, *, audience: str, now: datetime) -> Asked:
    """Return what *envelope* asks of *audience* at *now*.

    1. its type and form: `WrongPayloadType`, `MalformedEnvelope`, `TooLarge`; 2. `WrongAudience`; 3. `LivesTooLong`;
    4. `EnvelopeNotYet`, `StaleEnvelope`.  What remains is the caller's, who has the memory: `Replayed`.
    """
    if envelope.payload_type != REQUEST:
        raise WrongPayloadType("the envelope holds no request", mend=f"give one of the type `{REQUEST}`")
    asked = _read(envelope.payload)
    if asked.audience != audience:
        raise WrongAudience(f"the envelope is meant for `{shown(asked.audience)}`", mend=f"sign one for `{audience}`")
    _check_life(asked)
    if asked.issued > now + SKEW:
        raise EnvelopeNotYet(f"the envelope was issued at {stamp(asked.issued)}, which is to come", mend="set the signer's clock right")
    if asked.expires <= now:
        raise StaleEnvelope(f"the envelope expired at {stamp(asked.expires)}", mend="sign a new one")
    return asked


def _read(payload: bytes) -> Asked:
    members: dict[str, type] = {"audience": str, "body": dict, "expires": str, "issued": str, "kind": str, "nonce": str}
    try:
        found = read_object(payload)
        check_members(found, {**members, "credentials": list}, optional=("credentials",))
        asked = Asked(
            found["kind"],
            found["audience"],
            found["nonce"],
            read_stamp(found["issued"]),
            read_stamp(found["expires"]),
            _texts(found["body"]),
            _credentials(found.get("credentials")),
        )
    except ValueError as error:
        raise MalformedEnvelope(f"the request {error}", mend="make it with `clearinghouse approve --key`") from None
    _check_form(asked)
    return asked


def _texts(body: dict[str, Any]) -> dict[str, str]:
    for name, value in body.items():
        if not isinstance(value, str):
            raise ValueError(f"has a member `{shown(name)}` of its body that is no text")  # noqa: TRY004 - of the text that is read
    return body


def _credentials(found: list[Any] | None) -> tuple[str, ...]:
    if found is None:
        return ()
    if not found:
        raise ValueError("has an empty list of credentials, which is left out")
    if not all(isinstance(each, str) and each for each in found):
        raise ValueError("has a credential that is no text")
    return tuple(found)


def _check_form(asked: Asked) -> None:
    if not _is_kind(asked.kind):
        raise MalformedEnvelope(f"`{shown(asked.kind)}` is no kind of request", mend="it has lower-case letters, digits and hyphens")
    if not _is_nonce(asked.nonce):
        raise MalformedEnvelope("the nonce is none", mend="give 16 to 64 random letters and digits")
    if not 1 <= len(asked.audience) <= MAX_AUDIENCE_CHARACTERS:
        raise MalformedEnvelope("the request names no audience", mend=f"give a name of at most {MAX_AUDIENCE_CHARACTERS} characters")
    if len(asked.body) > MAX_MEMBERS or any(len(name) > MAX_NAME_CHARACTERS for name in asked.body):
        raise TooLarge(
            "the body has too many members, or too long names", mend=f"at most {MAX_MEMBERS}, of {MAX_NAME_CHARACTERS} characters"
        )
    if len(asked.credentials) > MAX_CREDENTIALS or sum(map(len, asked.credentials)) > MAX_CREDENTIAL_CHARACTERS:
        raise TooLarge(
            "the request has too many credentials, or too long ones",
            mend=f"at most {MAX_CREDENTIALS}, of {MAX_CREDENTIAL_CHARACTERS} characters together",
        )


def _check_life(asked: Asked) -> None:
    if asked.expires <= asked.issued:
        raise MalformedEnvelope("the request expires before it is issued", mend="set `expires` after `issued`")
    if asked.expires - asked.issued > LONGEST_LIFE:
        raise LivesTooLong(
            f"the request lives for {asked.expires - asked.issued}", mend=f"at most {LONGEST_LIFE.total_seconds():.0f} seconds are allowed"
        )
