"""What a request says that an agent writes by itself: the least that helps, and the credentials that it needs (pure).

The more a request narrows, the less it opens: the user and the kind of packet are named wherever the credentials that
we hold allow that, and all of a server is asked for only where they allow nothing less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from clearinghouse.agent.asking.when import Matter
from clearinghouse.clearing.dsse import REQUEST, seal
from clearinghouse.clearing.envelope import LONGEST_LIFE, Asked, written
from clearinghouse.clearing.vocabulary import EVERYTHING, OPERATIONS
from clearinghouse.clearing.whitelist import KIND, Wish
from clearinghouse.federation.disclosure import needed_chain
from clearinghouse.federation.enforced.packet_rules import XMPP
from clearinghouse.federation.published.members import Member
from clearinghouse.keynote import Admitted
from clearinghouse.keynote.keys import PrivateKey

LIFE: Final = timedelta(minutes=1)
"""How long a request that we send by itself may take to arrive."""

_VALUES: Final = OPERATIONS[KIND].values or ()


@dataclass(frozen=True, slots=True)
class Letter:
    """A request for *target* before it is signed."""

    target: str
    wish: Wish
    chain: tuple[Admitted, ...] = ()

    def sealed(self, keys: Sequence[PrivateKey], *, nonce: str, now: datetime, life: timedelta = LIFE) -> bytes:
        """Return it signed, to be sent now."""
        texts = tuple(each.raw.decode() for each in self.chain)
        asked = Asked(KIND, self.target, nonce, now, now + min(life, LONGEST_LIFE), self.wish.body(), texts)
        return seal(written(asked), REQUEST, keys)


@dataclass(frozen=True, slots=True)
class Composer:
    """Writes a member's requests, signed with its *key*.

    ``claims`` are what stands in every request, such as ``role`` and what was audited; ``held`` are the credentials that
    may be shown to others; ``roots`` are keys that targets trust beside those of their member records.
    """

    key: PrivateKey
    new_nonce: Callable[[], str]
    claims: Mapping[str, str] = field(default_factory=dict)
    held: tuple[Admitted, ...] = ()
    roots: tuple[str, ...] = ()
    seconds: int = 3600

    def to_peer(self, matter: Matter, target: Member, us: Member | None, now: datetime) -> Letter:
        """Return what *target* is asked: that stanzas of our user may come in."""
        address = {} if us is None else {"Server_IP_Address": address_of(us)}
        fixed = {"App_domain": XMPP, "domain": matter.pair.local, **address, **self.claims}
        wishes = [{**fixed, **narrow} for narrow in _narrowings(matter.user, matter.kind)]
        for claims in wishes:
            chain = self.chain(claims, target.keys, now)
            if chain is not None:
                return Letter(target.domain, Wish(claims, self.seconds), chain)
        return Letter(target.domain, Wish(wishes[0], self.seconds))

    def to_ourselves(self, matter: Matter, remote: Member) -> Letter:
        """Return what our own desk is asked: that stanzas to that user of *remote* may go out, and the answers come in."""
        claims = {"App_domain": XMPP, "domain": remote.domain, "Server_IP_Address": address_of(remote)}
        return Letter(matter.pair.local, Wish({**claims, "Username": matter.to, "PacketType": matter.kind}, self.seconds))

    def chain(self, claims: Mapping[str, str], targets: Iterable[str], now: datetime) -> tuple[Admitted, ...] | None:
        """Return the credentials that *claims* need, the fewest; ``None`` where those that we hold do not give them."""
        absent = {each.name: each.default for each in OPERATIONS[KIND].attributes.values() if each.default is not None}
        action = {**absent, **claims, "operation": KIND, "ValidityPeriod": str(self.seconds)}
        keys = (*targets, *self.roots)
        return needed_chain(self.held, requester=self.key.principal, targets=keys, action=action, values=_VALUES, now=now)

    def sealed(self, letter: Letter, now: datetime) -> bytes:
        """Return *letter* signed, with a new nonce each time: what may have been taken is not sent again."""
        return letter.sealed([self.key], nonce=self.new_nonce(), now=now)


def address_of(member: Member) -> str:
    """Return the first address of *member* that is on record as one, in the form that requests have; `*` where there is none."""
    for endpoint in member.endpoints:
        try:
            return str(ip_address(endpoint.host.strip("[]")))
        except ValueError:
            continue
    return EVERYTHING


def _narrowings(user: str, kind: str) -> Iterator[Mapping[str, str]]:
    """Yield what may be left to narrow, the narrowest first; credentials name a user by the bare JID or by the localpart."""
    local = user.rpartition("@")[0]
    for packets in ({"PacketType": kind}, {}):
        for name in (user, local):
            yield {"Username": name, **packets}
    yield {"PacketType": kind}
    yield {}
