r"""Envelopes: bytes of a named type, signed by KeyNote principals (DSSE 1.0, github.com/secure-systems-lab/dsse; pure).

::

    {"payload": BASE64, "payloadType": TYPE, "signatures": [{"keyid": PRINCIPAL, "sig": SIGNATURE}, ...]}

What is signed is DSSE's pre-authentication encoding of type and payload, and then, as for every KeyNote
signature (RFC 2704, section 4.6.7), the signature's own kind and a colon.  So no signature of an envelope
is one of a credential, whose text begins with the name of a field, and none of one kind is one of another.

Readers forgive nothing: every signature must hold, principals stand in their normal form and
signatures in lower-case hex or padded base64, so that nobody can change a byte outside the white space
without being noticed.  What a signed request must say besides is in `clearinghouse.clearing.envelope`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from clearinghouse.clearing.wire import canonical, check_members, read_object
from clearinghouse.errors import BadSignature, PeerError, TooLarge
from clearinghouse.keynote import Limits, encoding
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.principals import is_key, normalise
from clearinghouse.keynote.principals import shown as shown_principal
from clearinghouse.keynote.signatures import sign, verify

REQUEST: Final = "application/vnd.clearinghouse.request+json"
"""The payload is an `Asked`: what somebody asks a clearinghouse to do."""
CHECKPOINT: Final = "application/vnd.clearinghouse.checkpoint+json"
"""The payload is a checkpoint of a decision log."""
MEMBER: Final = "application/vnd.clearinghouse.member+json"
"""The payload is the record of one member of a community."""
ROOT: Final = "application/vnd.clearinghouse.root+json"
"""The payload is one generation of a community's root metadata."""
TABLE: Final = "application/vnd.clearinghouse.table+json"
"""The payload is the head of one version of a level table."""
TIMESTAMP: Final = "application/vnd.clearinghouse.timestamp+json"
"""The payload is what says, for minutes, which table is the newest."""
REVOCATIONS: Final = "application/vnd.clearinghouse.revocations+json"
"""The payload is all that a community has revoked."""

PAYLOAD_TYPES: Final = frozenset({REQUEST, CHECKPOINT, MEMBER, ROOT, TABLE, TIMESTAMP, REVOCATIONS})
"""Every type of payload that we sign: `seal` signs no other, so that none is invented by a slip."""

MAX_ENVELOPE_BYTES: Final = 262_144
"""Bytes of one envelope: the stanza of 256 KiB that servers accept; 65,536 bytes of credentials take 90 kB in it."""

MAX_SIGNATURES: Final = 16
"""Signatures of one envelope; checking one takes 40 us to 1 ms, and no policy that we know wants more than 3."""


class MalformedEnvelope(PeerError):
    """Bytes that are no envelope, or a payload that is not what its type promises."""

    code: ClassVar[str] = "malformed-envelope"


class WrongPayloadType(PeerError):
    """The envelope holds something else than what belongs here, however well it is signed."""

    code: ClassVar[str] = "wrong-payload-type"


class SignedTwice(PeerError):
    """One principal signed the envelope more than once, and would count as several where two are wanted."""

    code: ClassVar[str] = "signed-twice"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload whose signatures all hold; made by `opened` only.

    ``signers`` are principals in normal form, in the envelope's order, each once.
    """

    payload: bytes
    payload_type: str
    signers: tuple[str, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: lengths in bytes before both parts, so that none can grow into the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, payload_type: str, keys: Sequence[PrivateKey], *, most: int = MAX_ENVELOPE_BYTES) -> bytes:
    """Return *payload* in an envelope signed with *keys*, in canonical JSON; raises what `opened` would."""
    if payload_type not in PAYLOAD_TYPES:
        raise _wrong_type(payload_type)
    return assembled(payload, payload_type, [(key.principal, sign(pae(payload_type, payload), key)) for key in keys], most=most)


def assembled(payload: bytes, payload_type: str, signatures: Sequence[tuple[str, str]], *, most: int = MAX_ENVELOPE_BYTES) -> bytes:
    """Return the envelope of *payload* with *signatures* that were made elsewhere, each with its signer; they are not verified here."""
    members = [{"keyid": signer, "sig": signature} for signer, signature in signatures]
    raw = canonical({"payload": encoding.encode(payload, Encoding.BASE64), "payloadType": payload_type, "signatures": members})
    _check_size(raw, most)
    _read_signatures(members)
    return raw


def countersigned(raw: bytes, payload_type: str, keys: Sequence[PrivateKey], *, most: int = MAX_ENVELOPE_BYTES) -> bytes:
    """Return the envelope *raw*, all of whose signatures must hold, with one by each of *keys* more; raises what `opened` would."""
    payload = opened(raw, payload_type=payload_type, most=most).payload
    return assembled(
        payload, payload_type, [*signatures_of(raw), *((key.principal, sign(pae(payload_type, payload), key)) for key in keys)], most=most
    )


def signatures_of(raw: bytes) -> list[tuple[str, str]]:
    """Return each signer of the envelope *raw* with its signature, as `assembled` takes them; whether they hold, `opened` says."""
    return [(each["keyid"], each["sig"]) for each in _read(raw)[2]]


def opened(raw: bytes, *, payload_type: str, limits: Limits = Limits(), most: int = MAX_ENVELOPE_BYTES) -> Envelope:  # noqa: B008 - frozen
    """Return what is in the envelope *raw* and who signed it, once everything about it is right.

    1. `TooLarge` beyond *most* bytes; 2. `MalformedEnvelope`; 3. `WrongPayloadType` for any other than
    *payload_type*; 4. `TooLarge` beyond `MAX_SIGNATURES`, `SignedTwice`; 5. each signature: `BadSignature`,
    `WeakKey`, `BadPrincipal`.  Legacy kinds of keys and signatures never pass: no old software writes envelopes.
    """
    _check_size(raw, most)
    payload, found_type, signatures = _read(raw)
    if found_type != payload_type:
        raise _wrong_type(found_type, wanted=payload_type)
    signers = _read_signatures(signatures)
    signed_bytes = pae(payload_type, payload)
    for signer, each in zip(signers, signatures, strict=True):
        verify(signed_bytes, each["sig"], signer, limits=limits)
    return Envelope(payload, payload_type, signers)


def fingerprint(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    """Return what is remembered of *envelope* until it expires (rule R18): each signer, and the payload's SHA-256 in hex.

    The same payload with a signature more or less is still known by the signers that both have.
    """
    digest = hashlib.sha256(envelope.payload).hexdigest()
    return tuple((signer, digest) for signer in envelope.signers)


def _read(raw: bytes) -> tuple[bytes, str, list[Any]]:
    try:
        if b"\\" in raw:
            raise ValueError("has an escape, which nothing in it needs")  # noqa: TRY301 - one way out
        found = read_object(raw)
        check_members(found, {"payload": str, "payloadType": str, "signatures": list})
        for each in found["signatures"]:
            if not isinstance(each, dict):
                raise ValueError("has a signature that is no object")  # noqa: TRY004, TRY301 - one way out
            check_members(each, {"keyid": str, "sig": str})
    except ValueError as error:
        raise MalformedEnvelope(f"the envelope {error}", mend=_MEND) from None
    return _payload(found["payload"]), found["payloadType"], found["signatures"]


def _payload(text: str) -> bytes:
    try:
        return encoding.decode(text, Encoding.BASE64)
    except ValueError:
        raise MalformedEnvelope("the envelope's payload is not base64 in its one spelling", mend=_MEND) from None


def _read_signatures(signatures: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Return the signers; each is a key in normal form, and stands there once."""
    if not signatures:
        raise BadSignature("the envelope is not signed", mend="sign it with `clearinghouse approve --key`")
    if len(signatures) > MAX_SIGNATURES:
        raise TooLarge(f"the envelope has {len(signatures)} signatures", mend=f"at most {MAX_SIGNATURES} are checked")
    signers = tuple(each["keyid"] for each in signatures)
    for signer in signers:
        if not is_key(signer) or normalise(signer) != signer:
            raise MalformedEnvelope(f"the signer `{shown_principal(signer)}` is no key in its normal form", mend=_NORMAL)
    if len(set(signers)) != len(signers):
        raise SignedTwice("one key has signed the envelope twice", mend="leave all but one of its signatures out")
    for each in signatures:
        _check_spelling(each["sig"])
    return signers


def _check_spelling(signature: str) -> None:
    """Base64 has one spelling; hexadecimal has one in lower case."""
    kind, _, bits = signature.partition(":")
    if kind.endswith("-hex") and bits != bits.lower():
        raise MalformedEnvelope("a signature has capitals among its hexadecimal digits", mend="write them in lower case")


def _check_size(raw: bytes, most: int) -> None:
    if len(raw) > most:
        raise TooLarge(f"the envelope has {len(raw)} bytes", mend=f"at most {most} are read")


def _wrong_type(found: str, *, wanted: str = "") -> WrongPayloadType:
    mend = f"give an envelope of the type `{wanted}`" if wanted else f"it is one of {', '.join(sorted(PAYLOAD_TYPES))}"
    return WrongPayloadType(f"the payload type is `{shown_principal(found)}`", mend=mend)


_MEND = "make it with `clearinghouse approve --key`, or as the log's format page says"
_NORMAL = "write it as `clearinghouse keygen --public` does"
