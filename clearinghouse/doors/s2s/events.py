"""What a stream tells the door (pure).  Each event waits for the door's word, and nothing that came after it is looked at until then.

==================== =====================================================================
`Opened`             `offer` what the peer may choose from, or `answer`
`StartTls`           `proceed`, then `secured` once TLS stands
`Authenticating`     `proven`, `refuse_sasl`, or `answer`
`DialbackAsked`      `answer`, or `refuse_dialback`
`Ended`              nothing: send what `take` returns, and close
==================== =====================================================================

Names are in the form in which they compare (`clearinghouse.federation.names`), and empty where the peer gave none.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Opened(NamedTuple):
    """A stream header has come: the first one, the one after TLS, or the one after SASL."""

    claimed: str
    """Who the peer says it is (`from`); after SASL, who it was proven to be."""

    wanted: str
    """Whom it wants to reach (`to`)."""

    modern: bool
    """It reads `<features/>`: version 1.0 or later."""

    dialback: bool
    """It declares the namespace of dialback."""


class StartTls(NamedTuple):
    """The peer asks for TLS, and has sent nothing behind that."""


class Authenticating(NamedTuple):
    """The peer asks to be taken for *name* by its certificate."""

    name: str
    """Its authorization identity, or else the `from` of its header; empty where it gave neither."""


class DialbackAsked(NamedTuple):
    """The peer shows a key that the server of *claimed* made for this stream, if it is who it says (XEP-0220)."""

    claimed: str
    wanted: str
    key: str
    id: str
    """The stream's id, for which the key was made."""


class Ended(NamedTuple):
    """The stream is over, by a stream error of *condition* or, where that is empty, in peace."""

    condition: str
    by_peer: bool = False


Event: TypeAlias = Opened | StartTls | Authenticating | DialbackAsked | Ended
