"""Why nobody is sent on, whatever policy says: what the signed records of members say (pure)."""

from __future__ import annotations

from enum import StrEnum

from clearinghouse.clearing.vocabulary import shown
from clearinghouse.federation.redirection.seen import Seen


class Fault(StrEnum):
    """The log tells it as the reason; the peer hears what it hears when policy refuses (rule R22)."""

    NONE = ""
    NOT_A_MEMBER = "not-a-member"
    """The peer is no member, or none any more."""
    NO_SUCH_MEMBER = "no-such-member"
    """Whom it wants to reach is none, or none any more."""
    NO_ENDPOINT = "no-endpoint"
    """The record of whom it wants to reach has no address to which a redirected peer can go."""

    def sentence(self, seen: Seen) -> str:
        """Return what an operator reads."""
        match self:
            case Fault.NONE:
                return ""
            case Fault.NOT_A_MEMBER:
                return f"`{shown(seen.claimed)}` is no member"
            case Fault.NO_SUCH_MEMBER:
                return f"`{shown(seen.wanted)}` is no member"
            case Fault.NO_ENDPOINT:
                return f"the record of `{shown(seen.wanted)}` has no address for a stream that begins with STARTTLS"
