"""Step 1: who asks for what, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clearinghouse.clearing.vocabulary import Door, Kind, domain_of, is_canonical, shown
from clearinghouse.errors import BadPrincipal, MalformedRequest, TooLarge
from clearinghouse.keynote import POLICY
from clearinghouse.keynote.principals import is_key, normalise

REQUESTERS = 64
"""Principals that may ask together; the largest consortium policy known to us has 60 members."""
LOCAL_USER = "unix:"
"""What stands before the name of a user of the clearinghouse's own host; the kernel vouches for it."""
PRINCIPAL_CHARACTERS = 16_384
"""Characters of one requester; a certificate with an RSA-8192 key has about 6,000 in hex."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question.

    ``requesters`` are principals, as the door that authenticated them vouches (rule R9).
    ``observed`` is what that door measured, ``claims`` what the requester says.  ``known`` is what
    the clearinghouse itself holds about the matter, such as the topic's configuration.
    ``credentials`` are raw bytes handed in with a signed request; other doors hand in none.
    ``approvals`` are what the desk has signed for exactly this request, from our own store: no door sets them.
    ``validity`` is the number of seconds asked for, ``None`` for as long as may be.
    ``place`` tells the enforcer where the answer goes; it decides nothing.  ``sender`` is who answers
    for the work of ruling on it, where the door knows better than by the first requester.
    ``tied`` are dimensions of the effect whose value a signed member record ties to another one, which it
    names: the address that is recorded for the ``domain`` (rule R5).
    """

    id: str
    operation: str
    door: Door
    requesters: tuple[str, ...]
    observed: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    credentials: tuple[bytes, ...] = ()
    validity: int | None = None
    place: Place | None = None
    sender: str = ""
    approvals: tuple[bytes, ...] = ()
    tied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscription waits: the broker, the node, the subscriber exactly as written, the broker's name of it."""

    broker: str
    node: str
    subscriber: str
    subid: str = ""


def sender_of(request: Request) -> str:
    """Return whose account pays for *request*; one key has one account, however it is written."""
    name = request.sender or next(iter(request.requesters), "")
    try:
        return normalise(name)
    except BadPrincipal:
        return name


def user_of_server(jid: str, domain: str) -> tuple[str, ...]:
    """Return the principals of the bare *jid*, which the server of *domain* authenticated (rule R9).

    A user never wields ``xmpp:domain``: that is the server itself, and only its own JID, which has no
    localpart, names it.
    """
    if domain_of(jid) != domain:
        raise MalformedRequest(f"`{shown(jid)}` is no user of `{shown(domain)}`", mend="a server vouches for its own users only")
    return checked((f"xmpp:{jid}", f"xmpp-member:{domain}") if jid != domain else (f"xmpp:{jid}",))


def server(domain: str, key: str | None = None) -> tuple[str, ...]:
    """Return the principals of an authenticated server, with the key of its certificate."""
    return checked((f"xmpp:{domain}", *((key,) if key else ())))


def signers(principals: tuple[str, ...]) -> tuple[str, ...]:
    """Return the principals of a signed request: its signers, which are keys, and nobody else."""
    for principal in principals:
        if not is_key(principal):
            raise MalformedRequest(f"`{shown(principal)}` is no key and cannot have signed", mend="name the keys that signed")
    return checked(principals)


def checked(principals: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse requesters that would mean something else inside KeyNote (rule R9)."""
    if not principals:
        raise MalformedRequest("nobody asks", mend="a request names at least one principal")
    if len(principals) > REQUESTERS or any(len(principal) > PRINCIPAL_CHARACTERS for principal in principals):
        raise TooLarge(
            "the request has too many or too long requesters", mend=f"at most {REQUESTERS}, of {PRINCIPAL_CHARACTERS} characters"
        )
    for principal in principals:
        if principal in {"", POLICY} or "," in principal or not is_canonical(Kind.TEXT, principal):
            raise MalformedRequest(
                f"`{shown(principal)}` cannot be a requester", mend="`POLICY`, the empty name and names with commas are reserved"
            )
    return principals
