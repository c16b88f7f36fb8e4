"""What a door answers, and the part behind it that decides (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.seen import Require, Seen

POLICY_VIOLATION: Final = "policy-violation"
"""The stream error of nearly every refusal (RFC 6120, section 4.9.3.14)."""

ID_CHARACTERS: Final = 12
"""Characters of a decision's id that a peer is told: enough to find it in the log, and to read it out."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go to ``place``: the value of `see-other-host` (RFC 6120, section 4.9.3.19)."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Go nowhere: a stream error of ``condition``, without words where ``text`` is empty."""

    text: str = ""
    condition: str = POLICY_VIOLATION


Answer = Redirect | Refused


class Porter(Protocol):
    """Decides for a door.  A door needs nothing else of the clearinghouse."""

    @property
    def require(self) -> Require:
        """What a peer must prove to hear more than a bare refusal."""

    async def answer(self, seen: Seen) -> Answer:
        """Return what the peer is told, once that is on the log.

        Raises nothing but `asyncio.CancelledError`: whatever fails is a refusal with a reason of its own.
        """

    def recorded(self, domain: str) -> tuple[Endpoint, ...]:
        """Return the endpoints in the signed record of the member *domain*, none where it is none: dialback is verified there."""
