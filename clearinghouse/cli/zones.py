"""What ``srv`` does: records of members whose peers come to the clearinghouse, and whether the DNS has them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from clearinghouse.cli.output import BAD_INPUT, as_json, clean, finish, mark, say
from clearinghouse.doctor.resolving import Answers, ask
from clearinghouse.errors import BadSettings
from clearinghouse.federation.names import normal
from clearinghouse.federation.published.members import Member, read_member
from clearinghouse.federation.redirection.zone import DIRECT, STARTTLS, Node, Service, services, unserved, zone
from clearinghouse.importing.records import read_members
from clearinghouse.settings import Settings, read_settings
from clearinghouse.storage.named import read_named

UNKNOWN: Final = BAD_INPUT + 1
"""Exit status: nothing can be said now."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What service records follow from."""

    community: str
    members: Sequence[Member]
    nodes: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about which the DNS says something else than it should, in one word and in many."""

    domain: str
    kind: str
    what: str

    def as_json(self) -> dict[str, str]:
        """Return it as ``docs/reference/json.md`` describes it."""
        return {"domain": self.domain, "kind": self.kind, "what": self.what}


def ground(config: Path, source: Path | None, domains: Sequence[str]) -> Ground:
    """Return what the records follow from: the settings, and the *domains* of the store or of a file, or all."""
    settings = read_settings(config)
    if settings.redirect is None:
        raise BadSettings("the settings have no [redirect]", mend="describe the door: see `docs/reference/settings.md`")
    nodes = [Node(each.name, each.port, each.tls_port, each.priority, each.weight) for each in settings.redirect.nodes]
    found = _present(read_members(source) if source is not None else asyncio.run(_stored(settings)))
    names = [normal(each) for each in domains]
    if missing := [name for name in names if name not in found]:
        raise BadSettings(f"`{missing[0]}` is no member", mend="see `clearinghouse member list`")
    return Ground(settings.community, [found[name] for name in names or sorted(found)], nodes)


def _present(found: Sequence[Member]) -> Mapping[str, Member]:
    newest: dict[str, Member] = {}
    for each in found:
        if each.domain not in newest or newest[each.domain].serial <= each.serial:
            newest[each.domain] = each
    return {domain: each for domain, each in newest.items() if not each.removed}


async def _stored(settings: Settings) -> Sequence[Member]:
    async with read_named(settings.store) as store:
        return [read_member(each.sealed).member for each in (await store.federation()).members]


# -- printing -----------------------------------------------------------------------------------------


def tell(found: Ground, ttl: int, *, json: bool) -> None:
    """Print the records, as a zone or as JSON."""
    if not json:
        lines = zone(found.community, found.members, found.nodes, ttl)
        sys.stdout.write("".join(f"{line}\n" for line in lines))  # as it is: nothing may be wrapped or coloured in a zone
        return
    told = [_as_json(each, found.nodes, ttl) for each in found.members]
    as_json("srv", ok=True, members=told)


def _as_json(member: Member, nodes: Sequence[Node], ttl: int) -> dict[str, Any]:
    why = unserved(member)
    wanted = () if why else services(member.domain, nodes)
    return {
        "domain": member.domain,
        "unserved": why or None,
        "records": [
            {"name": each.name, "ttl": ttl, "priority": each.priority, "weight": each.weight, "port": each.port, "target": each.target}
            for each in wanted
        ],
        "not_beside": [{"host": each.host, "port": each.port} for each in member.endpoints],
    }


# -- asking -------------------------------------------------------------------------------------------


def check(found: Ground, resolver: str, *, json: bool) -> None:
    """Ask the DNS about every member, and end with 1 where it says something else, with 3 where it says nothing."""
    answers = ask(((prefix + member.domain, "SRV") for member in found.members for prefix in (STARTTLS, DIRECT)), resolver)
    differences = [each for member in found.members for each in _differences(member, found.nodes, answers)]
    unknown = all(each.kind == "unknown" for each in differences)
    if json:
        as_json("srv", ok=not differences, checked=len(found.members), differences=[each.as_json() for each in differences])
    else:
        _tell_differences(differences, len(found.members))
    if differences and unknown:
        raise typer.Exit(UNKNOWN)
    finish(ok=not differences)


def _tell_differences(found: Sequence[Difference], count: int) -> None:
    for each in found:
        say(mark(good=False), f" {clean(each.domain)}: {each.kind}: {clean(each.what)}")
    wrong = len({each.domain for each in found})
    say(mark(good=not found), f" {count - wrong} of {count} members are as they should be in the DNS")


def _differences(member: Member, nodes: Sequence[Node], answers: Answers) -> Iterator[Difference]:
    domain = member.domain
    if unanswered := [name for name in (STARTTLS + domain, DIRECT + domain) if (name, "SRV") in answers.unknown]:
        yield Difference(domain, "unknown", f"nobody answers for {' and '.join(unanswered)}")
    there = [_service(each.name, each.data) for prefix in (STARTTLS, DIRECT) for each in answers.known.get((prefix + domain, "SRV"), ())]
    ours = {each.name for each in nodes}
    if why := unserved(member):
        if any(each.target in ours for each in there):
            yield Difference(domain, "unserved", f"its peers are led to the clearinghouse, and {why}")
        return
    wanted = services(domain, nodes)
    for each in there:
        yield from _compared(domain, each, wanted)
    for each in wanted:
        known = (each.name, "SRV") in answers.known
        if known and not any(_same_place(each, other) for other in there):
            yield Difference(domain, "missing", each.line(0).replace(" 0 IN", " IN"))


def _compared(domain: str, there: Service, wanted: Sequence[Service]) -> Iterator[Difference]:
    same = next((each for each in wanted if _same_place(each, there)), None)
    if same is None:
        yield Difference(domain, "beside", f"{there.name} names {there.target}, port {there.port}: peers go there unasked")
    elif same != there:
        told = f"priority {there.priority} and weight {there.weight}, and not {same.priority} and {same.weight}"
        yield Difference(domain, "other", f"{there.name} names {there.target}, port {there.port}, with {told}")


def _same_place(one: Service, other: Service) -> bool:
    return (one.name, one.target, one.port) == (other.name, other.target, other.port)


def _service(name: str, data: Sequence[str]) -> Service:
    priority, weight, port = map(int, data[:3])
    return Service(name, priority, weight, port, data[3])
