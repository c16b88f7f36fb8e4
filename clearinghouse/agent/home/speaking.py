"""What the agent signs: who it is when it fetches its view, and how it is."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from clearinghouse.clearing.dsse import REQUEST, seal
from clearinghouse.clearing.envelope import Asked, written
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.keys import PrivateKey

FETCH: Final = "fetch"
"""The kind of a request that proves who wants a view."""

LIFE: Final = timedelta(minutes=2)
"""Of what is signed: the time of a wait and some skew."""

NONCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Speaker:
    """Signs as the member whose *key* stands in its record, to the clearinghouse of *community*."""

    key: PrivateKey
    community: str
    now: Callable[[], datetime]

    def sealed(self, kind: str, body: Mapping[str, str]) -> bytes:
        """Return a signed request."""
        now = self.now().replace(microsecond=0)
        asked = Asked(kind, self.community, secrets.token_urlsafe(NONCE_BYTES), now, now + LIFE, body)
        return seal(written(asked), REQUEST, [self.key])

    def authorization(self, audience: str) -> str:
        """Return the value of an HTTP header that proves that we may have the documents for *audience*."""
        return f"DSSE {encoding.encode(self.sealed(FETCH, {'audience': audience}), Encoding.BASE64)}"
