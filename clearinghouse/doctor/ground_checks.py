"""What is unsafe in what everything rests on: files, certificates, names in DNS, members' addresses, and expiry."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Final

from clearinghouse.doctor.catalogue import Seen, Severity, check
from clearinghouse.doctor.dns import Record
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.prosody_checks import is_loopback

WARNED_BEFORE: Final = ((timedelta(days=1), Severity.DANGER), (timedelta(days=7), Severity.WARNING), (timedelta(days=30), Severity.NOTE))
"""How long before the end of a document or certificate what is said of it."""

LONGEST_KEEPING: Final = timedelta(days=2)
"""How long an expired table may count on before that is worth a word."""

_CLOSED: Final = {"secret", "key", "store"}
"""Kinds of files that nobody else may reach; of a configuration with a secret the server's group may read."""


@check(
    "D001",
    "configuration-not-read",
    Severity.NOTE,
    "a part of the configuration says what only running it would tell, so no check has seen it",
    "write it as a plain value, or look at that part yourself",
)
def configuration_not_read(facts: Facts) -> Iterator[Seen]:
    """Name each part that was not read."""
    yield from (Seen(str(row.place), f"{row.text}: {row.fact}") for row in facts.unread)


@check(
    "D401",
    "secret-open",
    Severity.DANGER,
    "a file with a secret or a key can be reached by others, who can then speak as this agent or this server",
    "chmod 600 it, make it belong to its one user, and change the secret",
)
def secret_open(facts: Facts) -> Iterator[Seen]:
    """Look at secrets, keys, and configurations of servers, which hold the component's secret."""
    for file in facts.files:
        others = 0o077 if file.kind in _CLOSED else stat.S_IROTH | stat.S_IWOTH
        if file.kind in {*_CLOSED, "configuration"} and file.mode & others:
            yield Seen(str(file.path), f"this {file.kind} can be reached by others (mode {file.mode:04o})")


@check(
    "D402",
    "state-open",
    Severity.DANGER,
    "the agent's state can be reached by others: who writes there decides what this server enforces after a restart",
    "chmod 700 it, and make it belong to the agent's user",
)
def state_open(facts: Facts) -> Iterator[Seen]:
    """Look at the state directory."""
    for file in facts.files:
        if file.kind == "state" and file.mode & 0o077:
            yield Seen(str(file.path), f"can be reached by others (mode {file.mode:04o})")


@check(
    "D403",
    "settings-open",
    Severity.DANGER,
    "settings or policies can be written by others: who writes them decides who is trusted",
    "chmod go-w them",
)
def settings_open(facts: Facts) -> Iterator[Seen]:
    """Look at settings and folders of policies."""
    for file in facts.files:
        if file.kind != "settings":
            continue
        if file.mode & stat.S_IWOTH or (file.mode & stat.S_IWGRP and file.gid != os.getegid()):
            yield Seen(str(file.path), f"can be written by others (mode {file.mode:04o})")
        if os.geteuid() and file.uid not in {0, os.geteuid()}:  # root cannot tell as whom the service runs
            yield Seen(str(file.path), f"belongs to user {file.uid}", Severity.WARNING)


@check(
    "D404",
    "agent-link-over-network",
    Severity.DANGER,
    "the agent reaches its server over the network: the link has no TLS, so secret and images can be read and changed on the way",
    'run the agent on the machine of the server, with `host = "127.0.0.1"`',
)
def agent_link(facts: Facts) -> Iterator[Seen]:
    """Look at where the agent and the clearinghouse connect as components."""
    if facts.agent is not None and not is_loopback(facts.agent.server.host):
        yield Seen("[server] host", f"is `{facts.agent.server.host}`")
    for broker in facts.clearinghouse.broker if facts.clearinghouse else ():
        if not is_loopback(broker.host):
            yield Seen(f"[[broker]] {broker.jid}", f"is reached at `{broker.host}`", Severity.WARNING)


@check(
    "D405",
    "kept-for-long",
    Severity.WARNING,
    "an expired table goes on counting for long: who holds newer ones back is believed for that time",
    f'shorten `keep_for`, to {LONGEST_KEEPING.days} days or less, or write `when_expired = "closed"`',
)
def kept_for_long(facts: Facts) -> Iterator[Seen]:
    """Look at `keep_for`."""
    if facts.agent is not None and facts.agent.grace > LONGEST_KEEPING:
        yield Seen("keep_for", f"is {facts.agent.grace.total_seconds() / 86_400:g} days")


@check(
    "D406",
    "nobody-admitted",
    Severity.WARNING,
    "neither `[admit]` nor a policy admits anybody: the server refuses every other server",
    "set `minimum` in `[admit]`, or put policies into the folder `admit`",
)
def nobody_admitted(facts: Facts) -> Iterator[Seen]:
    """Look for any rule that admits; `gathering` has looked for policies."""
    if facts.admits is False:
        yield Seen("[admit]", "is empty, and there are no policies of that group")


@check(
    "D407",
    "registrar-online",
    Severity.WARNING,
    "the registrar's key is on the machine of the clearinghouse: who takes the machine can make members",
    "keep it offline, and sign drafts with `clearinghouse member sign`",
)
def registrar_online(facts: Facts) -> Iterator[Seen]:
    """Look for the registrar's key file."""
    if facts.clearinghouse is not None and facts.clearinghouse.registrar.key_file is not None:
        yield Seen("[registrar] key_file", f"is `{facts.clearinghouse.registrar.key_file}`")


@check(
    "D408",
    "keys-together",
    Severity.NOTE,
    "the keys for tables and for timestamps are read by the same service: who takes it can publish any table as the newest",
    "give one of them a `socket`, of another user or another machine: `clearinghouse desk --role`",
)
def keys_together(facts: Facts) -> Iterator[Seen]:
    """Look where both keys are."""
    hub = facts.clearinghouse
    if hub is not None and hub.timestamp_signer.key_file is not None and any(each.key_file for each in hub.table_signer):
        yield Seen("[timestamp_signer] key_file", "is beside that of [[table_signer]]")


@check(
    "D501",
    "certificate-names",
    Severity.DANGER,
    "no certificate of this server names one of its hosts: other servers refuse it, or fall back to dialback",
    "have one made with each host, components included, as a DNS name",
)
def certificate_names(facts: Facts) -> Iterator[Seen]:
    """Look for a certificate that covers each host of which certificates are known."""
    for host, certificates in facts.certificates.items():
        if not any(each.covers(host) for each in certificates):
            names = sorted({name for each in certificates for name in each.names})
            yield Seen(host, f"is named by no certificate; they name {', '.join(names[:5]) or 'nobody'}")


@check(
    "D502",
    "certificate-ends",
    Severity.WARNING,
    "a certificate ends soon, or has ended",
    "renew it, and let the server read it again",
)
def certificate_ends(facts: Facts) -> Iterator[Seen]:
    """Look at the best certificate of each host."""
    for host, certificates in (*facts.certificates.items(), *facts.presented.items()):
        good = [each for each in certificates if each.covers(host)]
        best = max(good, key=lambda each: each.until, default=None)
        if best is not None and (severity := _near(best.until - facts.now)) is not None:
            yield Seen(best.where, f"the certificate of `{host}` {_ends(best.until - facts.now)}", severity)


@check(
    "D601",
    "srv-fails-open",
    Severity.DANGER,
    "service records name the clearinghouse and a real address: when the first does not answer, servers deliver to the second unasked",
    "name the clearinghouse alone; the real address belongs into the member's record",
)
def srv_fails_open(facts: Facts) -> Iterator[Seen]:
    """Look at domains one of whose service records leads to the clearinghouse."""
    recorded = {(member.domain, endpoint.host.lower()) for member in facts.members for endpoint in member.endpoints}
    services: dict[str, list[Record]] = {}
    for record in facts.dns:
        if record.domain:
            services.setdefault(record.domain, []).append(record)
    for domain, records in services.items():
        through = [record for record in records if leads_to(record.target, facts.doors, facts.dns)]
        for record in records if through else ():
            if record not in through:
                kind = "recorded" if _is_recorded(domain, record.target, recorded, facts.dns) else "real"
                where = f"{record.name} (line {record.line})" if record.line else record.name
                yield Seen(where, f"`{record.target}` is the {kind} address of `{domain}`, beside the clearinghouse")


@check(
    "D602",
    "member-with-our-address",
    Severity.DANGER,
    "a member's recorded address is one of ours: what is meant for it comes to us, and requests go round in a circle",
    "ask the registrar to mend the record",
)
def member_with_our_address(facts: Facts) -> Iterator[Seen]:
    """Look at the endpoints of all members but ourselves."""
    ours = set(facts.agent.governed) if facts.agent else set[str]()
    for member in facts.members:
        for endpoint in member.endpoints if member.domain not in ours else ():
            if endpoint.host in facts.addresses or leads_to(endpoint.host, facts.addresses, facts.dns) or _is_ours_always(endpoint.host):
                yield Seen(member.domain, f"its address is `{endpoint.host}`, port {endpoint.port}")


@check(
    "D701",
    "document-ends",
    Severity.WARNING,
    "a table or root metadata ends soon, or has ended: then nothing counts but grants",
    "see that the clearinghouse publishes and that the agent reaches it; for root metadata, hold the key ceremony",
)
def document_ends(facts: Facts) -> Iterator[Seen]:
    """Look at each document; one that has more than half of its life before it is none to speak of."""
    for document in facts.lifetimes:
        left = document.expires - facts.now
        severity = _near(left)
        if severity is not None and left < (document.expires - document.issued) / 2:
            yield Seen(document.name, _ends(left), severity)


def _near(left: timedelta) -> Severity | None:
    return next((severity for within, severity in WARNED_BEFORE if left <= within), None)


def _ends(left: timedelta) -> str:
    hours = abs(left.total_seconds()) / 3_600
    length = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"  # noqa: PLR2004 - two days
    return f"ends in {length}" if left > timedelta(0) else f"ended {length} ago"


def _is_recorded(domain: str, target: str, recorded: Collection[tuple[str, str]], dns: tuple[Record, ...]) -> bool:
    """Tell whether *target* is where the record of *domain* says that its server is, itself or by its address."""
    addresses = {record.target for record in dns if record.name == target and record.type in {"A", "AAAA"}}
    return any((domain, each) in recorded for each in {target, *addresses})


def leads_to(host: str, places: frozenset[str], dns: tuple[Record, ...]) -> bool:
    """Tell whether *host* is one of *places*, itself or by an address record that was handed in."""
    addresses = {record.target for record in dns if record.name == host and record.type in {"A", "AAAA"}}
    known = places | {record.target for record in dns if record.name in places and record.type in {"A", "AAAA"}}
    return host in known or bool(addresses & known)


def _is_ours_always(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified
