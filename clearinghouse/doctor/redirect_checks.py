"""What is unsafe, or fails, where peers are sent on by a door of the clearinghouse: its certificates, the DNS, who follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clearinghouse.doctor.catalogue import Seen, Severity, check
from clearinghouse.doctor.ejabberd_checks import LONGEST_RETRY_SECONDS
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.follows import Follows, reported
from clearinghouse.doctor.ground_checks import leads_to
from clearinghouse.federation.redirection.zone import DIRECT, STARTTLS, unserved

SHOWN: Final = 16
"""Digits of a pin that are shown: enough to find it."""

_DIGITS: Final = 9
"""Of a number of seconds that somebody reports; a longer one is none."""


@check(
    "D212",
    "ejabberd-dialback-beside-doors",
    Severity.DANGER,
    "ejabberd follows a door, and has `mod_s2s_dialback`: it verifies no certificates where that applies, and DNS names the clearinghouse",
    "take `mod_s2s_dialback` out of `modules`; whoever is sent on has a certificate",
)
def dialback_beside_doors(facts: Facts) -> Iterator[Seen]:
    """Look for both together, in the configuration and on the running server."""
    follows = any(each.doors for each in facts.follows)
    if facts.ejabberd is not None and follows:
        for host, _ in facts.ejabberd.hosts:
            for name, module in facts.ejabberd.joined("modules", host):
                access = module.get("access")
                if name == "mod_s2s_dialback" and (access is None or access.node.text != "none"):
                    yield Seen(str(module.place), f"`{host}` lets names be proven by dialback")
    used = facts.told.get("dialback") is True and facts.told.get("dialback_access") != "none"
    if facts.is_live("ejabberd") and used and facts.told.get("doors"):
        yield Seen("the running server", "follows a door, and has `mod_s2s_dialback` loaded")


@check(
    "D311",
    "follows-no-door",
    Severity.WARNING,
    "this server is sent on by the clearinghouse and does not go there: its users read an error instead",
    "name the door and its pin (`clearinghouse pin`) in `clearinghouse_doors` of Prosody, or `doors` of ejabberd's; renew an older module",
)
def follows_no_door(facts: Facts) -> Iterator[Seen]:
    """Look for doors that the server follows, where one is known: by its certificate, or because the DNS names it."""
    wanted = {*facts.door_pins, *(each.target for each in facts.dns if each.domain and each.target in facts.named_doors)}
    for each in facts.follows:
        if wanted and wanted.isdisjoint(each.doors):
            followed = f"; it follows {', '.join(sorted(each.doors))}" if each.doors else ""
            yield Seen(each.where, f"follows no redirection of {', '.join(sorted(wanted))}{followed}")


@check(
    "D312",
    "door-pin-differs",
    Severity.DANGER,
    "the key by which this server knows a door is not in the door's certificate: it follows nobody, or whoever has an old key",
    "take the pin from the door's certificate, which its operators publish: `clearinghouse pin`",
)
def door_pin_differs(facts: Facts) -> Iterator[Seen]:
    """Compare what the server has with the door's certificates that were named."""
    for follows in facts.follows:
        for name, pins in facts.door_pins.items():
            yield from _compared(follows, name, pins)


def _compared(follows: Follows, name: str, pins: frozenset[str]) -> Iterator[Seen]:
    known = follows.doors.get(name)
    if known is not None and known.isdisjoint(pins):
        ours, theirs = (", ".join(sorted(f"{each[:SHOWN]}..." for each in found)) or "none" for found in (known, pins))
        yield Seen(follows.where, f"knows `{name}` by {ours}, and its certificate has {theirs}")


@check(
    "D313",
    "member-cannot-follow",
    Severity.WARNING,
    "a member's server cannot go where the door sends it, as its agent reports: what its users write comes back to them",
    "have the member look at its server with `clearinghouse doctor --agent agent.toml --door-certificate FILE`",
)
def member_cannot_follow(facts: Facts) -> Iterator[Seen]:
    """Look at what the agents of members have reported, at a clearinghouse with a door."""
    for domain, report in facts.reports.items() if facts.door_pins else ():
        follows = reported(domain, report.get("doors", ""))
        if not report.get("module"):
            continue  # the fleet says who is silent
        if missing := sorted(facts.named_doors - follows.doors.keys()):
            version = f"{report.get('server', '')} {report.get('module', '')}".strip()
            followed = ", ".join(sorted(follows.doors)) or "no door"
            yield Seen(domain, f"its module ({version}) follows {followed}, and not {', '.join(missing)}")
        for name, pins in facts.door_pins.items():
            yield from _compared(follows, name, pins)
        yield from _slow(domain, report.get("retry", ""))
        if report.get("server") == "ejabberd" and report.get("dialback") == "yes":
            yield Seen(domain, "its ejabberd has `mod_s2s_dialback` loaded: it verifies no certificates there")


def _slow(domain: str, retry: str) -> Iterator[Seen]:
    if retry.isascii() and retry.isdecimal() and len(retry) <= _DIGITS and int(retry) > LONGEST_RETRY_SECONDS:
        yield Seen(domain, f"its server does not ask again for up to {int(retry)} seconds after a refusal (`s2s_max_retry_delay`)")


@check(
    "D503",
    "door-certificate-names",
    Severity.DANGER,
    "a certificate of the door does not name the door, or the member that it is shown for: nobody follows such a door",
    "have one made with that name as a DNS name, and name its file in [redirect] or [[redirect.fronted]]",
)
def door_certificate_names(facts: Facts) -> Iterator[Seen]:
    """Look at the certificate of each name that the door presents."""
    for name, certificates in facts.presented.items():
        if not certificates:
            yield Seen(name, "no certificate can be read for it")
        for each in certificates:
            if not each.covers(name):
                yield Seen(each.where, f"does not name `{name}`; it names {', '.join(sorted(set(each.names))[:5]) or 'nobody'}")


@check(
    "D603",
    "srv-without-clearinghouse",
    Severity.WARNING,
    "no service record of a member names the clearinghouse: its peers go elsewhere, or nowhere, and are not asked about",
    "publish what `clearinghouse srv` prints, or leave the member out of redirection on purpose",
)
def srv_without_clearinghouse(facts: Facts) -> Iterator[Seen]:
    """Look at the domains whose service records were asked for, and are known."""
    for domain in facts.asked_about:
        names = [prefix + domain for prefix in (STARTTLS, DIRECT)]
        if any((name, "SRV") in facts.unanswered for name in names):
            continue
        records = [each for each in facts.dns if each.domain == domain]
        if not any(leads_to(each.target, facts.doors, facts.dns) for each in records):
            targets = sorted({each.target for each in records})
            yield Seen(domain, f"its service records name {', '.join(targets)}" if targets else "has no service record")


@check(
    "D604",
    "dns-unknown",
    Severity.WARNING,
    "nobody answers what the DNS says: whether it names the clearinghouse, or fails open, is not known",
    "see that the resolver answers, or name another one with `--resolver`",
)
def dns_unknown(facts: Facts) -> Iterator[Seen]:
    """Look for questions without an answer."""
    names = sorted({name for name, _ in facts.unanswered})
    if names:
        more = f", and {len(names) - 1} more" if len(names) > 1 else ""
        yield Seen("the DNS", f"nobody answers for {names[0]}{more}")


@check(
    "D605",
    "member-not-to-be-reached",
    Severity.WARNING,
    "a member's record does not say what a peer needs that is sent there: whoever follows a redirection finds nobody, or believes nobody",
    "have the member announce the pin of its certificate, and an endpoint with STARTTLS: `clearinghouse agent join`, or `member change`",
)
def member_not_to_be_reached(facts: Facts) -> Iterator[Seen]:
    """Look at the records of members, at a clearinghouse with a door."""
    for member in facts.members if facts.presented else ():
        if why := unserved(member):
            yield Seen(member.domain, why)
        elif not member.pins:
            yield Seen(member.domain, "its record has no pins")


@check(
    "D606",
    "own-key-not-recorded",
    Severity.DANGER,
    "the key of this server's certificate is not among those in its member record: servers that follow a door take it for somebody else",
    "announce it, as `clearinghouse agent join --certificate` or `member change` do; next time before the server presents it",
)
def own_key_not_recorded(facts: Facts) -> Iterator[Seen]:
    """Compare the certificates of the server's hosts with the pins of those that are members."""
    recorded = {member.domain: member.pins for member in facts.members if member.pins}
    for host, certificates in facts.certificates.items():
        for each in certificates if host in recorded else ():
            if each.pin and each.covers(host) and each.pin not in recorded[host]:
                yield Seen(each.where, f"its key, {each.pin[:SHOWN]}..., is not in the record of `{host}`")
