"""A request to be let in at a target, in a signed envelope: its kind, its body, and the question that it puts (pure).

The paper's parameters and statements are the members of the body, under their own names (``domain``,
``Server_IP_Address``, ``Username``, ``role``, the audit's), and ``seconds`` is the period that is asked for.  The
audience is the target's domain: its own agent decides, and no other decision point takes the envelope (rule R18).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from clearinghouse.clearing.dsse import Envelope
from clearinghouse.clearing.envelope import Asked
from clearinghouse.clearing.request import Request, signers
from clearinghouse.clearing.vocabulary import Door, shown
from clearinghouse.errors import MalformedRequest

KIND: Final = "whitelist"
"""The kind of envelope, and the operation that it asks for."""
SECONDS: Final = "seconds"
"""The member of the body that says for how long."""

_is_seconds = re.compile(r"[1-9][0-9]{0,8}").fullmatch


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a target: ``claims`` by the names of the vocabulary, for so many ``seconds`` or as long as may be."""

    claims: Mapping[str, str] = field(default_factory=dict)
    seconds: int | None = None

    def body(self) -> dict[str, str]:
        """Return the body of the envelope."""
        return dict(self.claims) | ({} if self.seconds is None else {SECONDS: str(self.seconds)})


def read_wish(asked: Asked) -> Wish:
    """Return what *asked* wants; raises `MalformedRequest`.  Which claims there are, the vocabulary says, when it is ruled on."""
    if asked.kind != KIND:
        raise MalformedRequest(f"`{shown(asked.kind)}` is nothing that an agent is asked for", mend=f"ask for `{KIND}`")
    claims = dict(asked.body)
    seconds = claims.pop(SECONDS, None)
    if seconds is not None and not _is_seconds(seconds):
        raise MalformedRequest(f"`{SECONDS}` is no length of time", mend="write a whole number, at least 1")
    return Wish(claims, None if seconds is None else int(seconds))


def request_of(asked: Asked, envelope: Envelope, *, identity: str, sender: str) -> Request:
    """Return the question that *envelope* puts, in which its signers ask and nobody else (rule R9); raises `MalformedRequest`.

    *sender* pays for the work of answering: what anybody can make anew, such as a key, is no account.
    """
    wish = read_wish(asked)
    return Request(
        identity,
        KIND,
        Door.ENVELOPE,
        signers(envelope.signers),
        claims=wish.claims,
        credentials=tuple(each.encode() for each in asked.credentials),
        validity=wish.seconds,
        sender=sender,
    )
