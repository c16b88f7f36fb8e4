"""Step 1: who asks for what, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import MalformedRequest


@dataclass(frozen=True, slots=True)
class Request:
    """One question.

    ``requesters`` are principals, as the door that authenticated them vouches (rule R9).
    ``observed`` is what that door measured, ``claims`` what the requester says.  ``known`` is what
    the clearinghouse itself holds about the matter, such as the topic's configuration.
    ``credentials`` are raw bytes handed in with a signed request; other doors hand in none.
    ``validity`` is the number of seconds asked for, ``None`` for as long as may be.
    ``place`` tells the enforcer where the answer goes; it decides nothing.
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscription waits: the broker, the node, the subscriber exactly as written, the broker's name of it."""

    broker: str
    node: str
    subscriber: str
    subid: str = ""


def user_of_server(jid: str, domain: str) -> tuple[str, ...]:
    """Return the principals of a user whom the user's own server authenticated (rule R9).

    A user never wields ``xmpp:domain``: that is the server itself.
    """
    return checked((f"xmpp:{jid}", f"xmpp-member:{domain}"))


def server(domain: str, key: str | None = None) -> tuple[str, ...]:
    """Return the principals of an authenticated server, with the key of its certificate."""
    return checked((f"xmpp:{domain}", *((key,) if key else ())))


def signers(principals: tuple[str, ...]) -> tuple[str, ...]:
    """Return the principals of a signed request: its signers and nobody else."""
    return checked(principals)


def checked(principals: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse requesters that would mean something else inside KeyNote (rule R9)."""
    if not principals:
        raise MalformedRequest("nobody asks", mend="a request names at least one principal")
    for principal in principals:
        if principal in {"", "POLICY"} or "," in principal:
            raise MalformedRequest(
                f"`{principal}` cannot be a requester", mend="`POLICY`, the empty name and names with commas are reserved"
            )
    return principals
