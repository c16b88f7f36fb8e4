"""What a granted white-list request opens at a server, and no more than was asked for (rule R5; pure).

A request names application, domain, address, user, kind of stanza and direction as the paper does; a server module
knows remote domain, user, address and one bit for each kind and direction.  What cannot be said to it in full is
refused before anything is decided, so that a grant never opens something else than it says.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import ClassVar, Final

from clearinghouse.clearing.vocabulary import EVERYTHING, Kind, domain_of, is_canonical, shown
from clearinghouse.errors import MalformedRequest, PeerError
from clearinghouse.federation.enforced.image import BITS, MAX_JID_BYTES, OUTBOUND

KINDS: Final[Mapping[str, int]] = MappingProxyType({**BITS, EVERYTHING: sum(BITS.values())})
"""Each `PacketType` as bits of what comes in; a message of the type ``groupchat`` is a kind of its own."""

DIRECTIONS: Final[Mapping[str, int]] = MappingProxyType({"in": 1, "out": OUTBOUND, EVERYTHING: 1 + OUTBOUND})
"""Each `direction`, seen from the target, as the factor of those bits."""

XMPP: Final = "XMPP"


class CannotEnforce(PeerError):
    """What is asked for cannot be said to an XMPP server, such as another application, or every domain at once."""

    code: ClassVar[str] = "cannot-enforce"


@dataclass(frozen=True, slots=True)
class PacketRule:
    """What a server lets through: of the domain *remote*, at *address*, of and to *user* there; ``*`` is all of them.

    ``mask`` has a bit for each kind of stanza and direction (see `KINDS`).
    """

    remote: str
    address: str
    user: str
    mask: int


def rule_of(claims: Mapping[str, str]) -> PacketRule:
    """Return the rule that *claims* ask for; raises `CannotEnforce` and `MalformedRequest`."""
    if (application := claims.get("App_domain", EVERYTHING)) != XMPP:
        raise CannotEnforce(f"`{shown(application)}` is no application of this agent", mend=f'ask for `App_domain` "{XMPP}"')
    remote = claims.get("domain", EVERYTHING)
    if remote == EVERYTHING or not is_canonical(Kind.DOMAIN, remote):
        raise CannotEnforce(f"`{shown(remote)}` is no one domain", mend="name the domain that is to be let in, in lower-case A-labels")
    return PacketRule(remote, _address(claims), _user(claims, remote), _mask(claims))


def _address(claims: Mapping[str, str]) -> str:
    written = claims.get("Server_IP_Address", EVERYTHING)
    if written == EVERYTHING:
        return written
    try:
        if str(ip_address(written)) == written:
            return written
    except ValueError:
        pass
    raise MalformedRequest(f"`{shown(written)}` is no IP address in its shortest form", mend="write it as 192.0.2.7 or 2001:db8::7")


def _user(claims: Mapping[str, str], remote: str) -> str:
    """Return a bare JID: a `Username` is one, or the localpart of one at the domain that is asked for."""
    written = claims.get("Username", EVERYTHING)
    if written == EVERYTHING:
        return written
    jid = written if "@" in written else f"{unicodedata.normalize('NFKC', written).lower()}@{remote}"
    if not is_canonical(Kind.JID, jid) or domain_of(jid) != remote or jid == remote or len(jid.encode()) > MAX_JID_BYTES:
        raise MalformedRequest(
            f"`{shown(written)}` is no user of `{remote}`", mend=f"write the name, or the bare JID in lower case: bob@{remote}"
        )
    return jid


def _mask(claims: Mapping[str, str]) -> int:
    kind, direction = claims.get("PacketType", EVERYTHING), claims.get("direction", EVERYTHING)
    if kind not in KINDS:
        raise MalformedRequest(f"`{shown(kind)}` is no kind of packet", mend=f"it is one of {', '.join(KINDS)}")
    if direction not in DIRECTIONS:
        raise MalformedRequest(f"`{shown(direction)}` is no direction", mend=f"it is one of {', '.join(DIRECTIONS)}")
    return KINDS[kind] * DIRECTIONS[direction]
