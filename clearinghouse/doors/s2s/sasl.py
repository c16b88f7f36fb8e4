"""SASL EXTERNAL between servers: who a peer asks to be taken for (RFC 6120, section 6; XEP-0178; pure)."""

from __future__ import annotations

import binascii
from typing import Final

from clearinghouse.doors.s2s.tokens import Stop
from clearinghouse.federation.names import BadName, normal

ATTEMPTS: Final = 3
"""Exchanges in one stream: RFC 6120, section 6.4.5, advises between 2 and 5; after that the stream ends with `policy-violation`."""

EMPTY: Final = "="
"""An initial response without content (section 6.4.2)."""


def identity(text: str, claimed: str) -> str:
    """Return whom the initial response, or a response, *text* names; *claimed* where it names nobody.

    Raises `Stop` with the SASL failure (section 6.5).
    """
    if text in ("", EMPTY):
        return claimed
    try:
        name = normal(binascii.a2b_base64(text, strict_mode=True).decode("utf-8"))
    except (UnicodeDecodeError, BadName):
        raise Stop("invalid-authzid") from None
    except ValueError:  # `binascii.Error` is one, and so is what it says of text that is not ASCII
        raise Stop("incorrect-encoding") from None
    if claimed and name != claimed:
        raise Stop("invalid-authzid")  # XEP-0178: one stream, one name
    return name
