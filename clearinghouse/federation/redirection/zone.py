"""What DNS has to say of members whose peers are to come to the clearinghouse: service records, and a zone of them (pure).

Both services of servers are named (RFC 6120, section 3.2.1; XEP-0368).  What DNS names beside the clearinghouse is
where peers go when they are refused, or do not find it: nothing else may stand there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from clearinghouse.federation.published.members import Member
from clearinghouse.federation.redirection.places import written

STARTTLS: Final = "_xmpp-server._tcp."
"""Before the name of a domain: where its servers take streams that begin without TLS."""
DIRECT: Final = "_xmpps-server._tcp."
"""Before the name of a domain: where TLS begins with the first byte."""

MAX_OWNER: Final = 253
"""Bytes of a name in DNS, written with dots (RFC 1035, section 2.3.4)."""


class Node(NamedTuple):
    """A door of the clearinghouse, as DNS is to name it."""

    name: str
    port: int
    tls_port: int | None = None
    priority: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Service:
    """One service record (RFC 2782); names are without the final dot."""

    name: str
    priority: int
    weight: int
    port: int
    target: str

    def line(self, ttl: int) -> str:
        """Return it as a line of a zone."""
        return f"{self.name}. {ttl} IN SRV {self.priority} {self.weight} {self.port} {self.target}."


def services(domain: str, nodes: Sequence[Node]) -> tuple[Service, ...]:
    """Return the records by which the peers of *domain* find the clearinghouse, the most preferred first."""
    found = [Service(STARTTLS + domain, each.priority, each.weight, each.port, each.name) for each in nodes]
    direct = [Service(DIRECT + domain, each.priority, each.weight, each.tls_port, each.name) for each in nodes if each.tls_port is not None]
    return (*sorted(found, key=_preference), *sorted(direct, key=_preference))


def _preference(service: Service) -> tuple[int, int, str]:
    return service.priority, -service.weight, service.target


def unserved(member: Member) -> str:
    """Return why the door can send nobody to *member*; nothing where it can."""
    if not any(each.tls == "start" and written(each) is not None for each in member.endpoints):
        return "its record has no endpoint with STARTTLS to which a peer could be sent"
    if len(DIRECT + member.domain) > MAX_OWNER:
        return "its name is too long for a service record"
    return ""


def zone(community: str, members: Sequence[Member], nodes: Sequence[Node], ttl: int) -> Iterator[str]:
    """Yield the lines of a zone snippet for *members*, each of which copies its own part."""
    yield f"; Service records of members of {_plain(community)}: each copies its part into its own zone."
    yield "; They name the clearinghouse and nothing else. An address of the member's own beside them, under either name,"
    yield "; fails open: peers that do not reach the clearinghouse go there unasked, or even try it first."
    for member in members:
        yield ""
        if why := unserved(member):
            yield f"; {member.domain}: nothing, {why}"
            continue
        for endpoint in member.endpoints:
            yield f"; {member.domain}: must not stand here: {_plain(endpoint.host)}, port {endpoint.port}"
        yield from (each.line(ttl) for each in services(member.domain, nodes))
        if all(each.tls_port is None for each in nodes):
            yield f"; {DIRECT}{member.domain}. must have no record: no node takes streams with TLS from the first byte"


def _plain(text: str) -> str:
    """Return *text* as it may stand in a comment, which ends with its line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
