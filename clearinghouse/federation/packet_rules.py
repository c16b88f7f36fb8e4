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

KINDS: Final[Mapping[str, int]] = MappingProxyType({"message": 1, "presence": 2, "iq": 4, "groupchat": 8, EVERYTHING: 15})
"""Each kind of stanza as the bit of a packet that comes in; a message of the type ``groupchat`` is a kind of its own."""

_OUT: Final = 4
"""Bits by which a packet that goes out lies above the same kind coming in."""

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
    if not is_canonical(Kind.JID, jid) or domain_of(jid) != remote or jid == remote:
        raise MalformedRequest(
            f"`{shown(written)}` is no user of `{remote}`", mend=f"write the name, or the bare JID in lower case: bob@{remote}"
        )
    return jid


def _mask(claims: Mapping[str, str]) -> int:
    kind, direction = claims.get("PacketType", EVERYTHING), claims.get("direction", EVERYTHING)
    if kind not in KINDS:
        raise MalformedRequest(f"`{shown(kind)}` is no kind of packet", mend=f"it is one of {', '.join(KINDS)}")
    match direction:
        case "in":
            return KINDS[kind]
        case "out":
            return KINDS[kind] << _OUT
        case "*":
            return KINDS[kind] * 0x11
        case _:
            raise MalformedRequest(f"`{shown(direction)}` is no direction", mend="it is `in`, `out` or `*`")
