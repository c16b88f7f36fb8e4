"""What a door saw becomes a question, and the question a request (rules R9 and R11; pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from clearinghouse.clearing.request import Request, server
from clearinghouse.clearing.vocabulary import NOBODY, Door
from clearinghouse.errors import PeerError
from clearinghouse.federation.redirection.faults import Fault
from clearinghouse.federation.redirection.seen import NONE, Proof, Seen
from clearinghouse.sockets.gate import address_of

FEDERATE: Final = "federate"


class NotProven(PeerError):
    """A peer has proven less than the door demands, so nothing is asked for it."""

    code: ClassVar[str] = "not-proven"


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that an answer rests on but the clock: two equal ones have one answer, while no instant passes that changes it (rule R20).

    ``from_level`` and ``to_level`` are those of the published table, ``version`` names the snapshot.
    """

    seen: Seen
    from_level: str
    to_level: str
    fault: Fault
    version: str


def sender_of(seen: Seen) -> str:
    """Return who answers for the work and the pace of a question: a proven domain, else the address (rule R21)."""
    return f"xmpp:{seen.claimed}" if seen.proof is not Proof.NOTHING else f"address {address_of(seen.address)}"


def request_of(question: Question, identity: str, *, proven: bool) -> Request:
    """Return the request of a peer that has *proven* who it is, or of one that only says so; raises `MalformedRequest`."""
    return _proven(question, identity) if proven else _unproven(question, identity)


def _proven(question: Question, identity: str) -> Request:
    seen = question.seen
    observed = {"from_domain": seen.claimed, **_session(seen), "certificate_issuer": seen.issuer if seen.key else NONE}
    known = {"from_level": question.from_level, "to_level": question.to_level}
    return Request(identity, FEDERATE, Door.STREAM, server(seen.claimed, seen.key), observed, known=known, sender=sender_of(seen))


def _unproven(question: Question, identity: str) -> Request:
    """Return the request of a peer whose name is a claim: nothing that is known of that name goes into it."""
    seen = question.seen
    observed = {"claimed_from_domain": seen.claimed, **_session(seen)}
    known = {"to_level": question.to_level}
    return Request(identity, FEDERATE, Door.UNPROVEN, (NOBODY,), observed, known=known, sender=sender_of(seen))


def _session(seen: Seen) -> dict[str, str]:
    return {
        "to_domain": seen.wanted,
        "direction": "in",
        "auth_method": seen.proof.value,
        "tls_version": seen.tls_version,
        "tls_cipher": seen.cipher,
        "address": seen.address,
    }
