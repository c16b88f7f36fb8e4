"""Members, drafts and agents as tables and lines for people; every text of others is escaped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from clearinghouse.cli.output import BAD, CAUTION, DIM, GOOD, ID_SHOWN, STRONG, clean, mark, say
from clearinghouse.cli.tabular import tell_table

Members = Mapping[str, Any]

ROOT_DAYS: Final = 30
"""Days before the end of root metadata from which on it is told: a ceremony takes three people's calendars."""


def enrolled(found: Members) -> None:
    """Print what became of a record."""
    domain, *draft = found["names"]
    if found["waits_for"]:
        say(("…", CAUTION), f" {clean(domain)} waits as draft ", (draft[0][:ID_SHOWN] if draft else "", STRONG))
        say(f"it waits for {clean(found['waits_for'])}", indent=2)
        return
    for verb, parties, style in (("loses", found["losing"], BAD), ("wins", found["winning"], GOOD)):
        for each in parties:
            say((clean(each["jid"]), STRONG), " ", (verb, style), clean(f" in {each['topic']}: {each['before']} -> {each['after']}"))
    if not found["losing"] and not found["winning"]:
        say("no level changes")
    if found["done"]:
        say(mark(good=True), f" done: {clean(domain)}")


def taken(found: Sequence[Members]) -> None:
    """Print what became of many records: each that was refused, and how many were not."""
    refused = [each for each in found if "error" in each]
    for each in refused:
        say(mark(good=False), f" {clean(each['domain'] or 'a line')}: {clean(each['error']['message'])}")
        say(clean(each["error"]["mend"]), indent=2)
    waiting = sum(bool((each.get("changed") or {}).get("waits_for")) for each in found)
    say(mark(good=not refused), f" {len(found) - len(refused)} taken, {waiting} of them wait as drafts, {len(refused)} refused")


def members(found: Sequence[Members], drafts: Sequence[Members]) -> None:
    """Print one row for each member, and one for each draft."""
    present = [each for each in found if each["removed"] == "no"]
    if present:
        rows = [(each["domain"], each["level"], str(each["serial"]), each["at"][:10], _endpoints(each)) for each in present]
        tell_table(("domain", "level", "serial", "since"), ("endpoints",), rows)
    else:
        say("there are no members")
    if len(found) > len(present):
        gone = len(found) - len(present)
        say((f"and {gone} former member{'' if gone == 1 else 's'}, whom --json names", DIM))
    if drafts:
        say("drafts:")
        there = {each["domain"] for each in present}
        waiting = [
            (each["id"][:ID_SHOWN], each["record"]["domain"], _act(each["record"], there), each["source"], each["by"], each["waits_for"])
            for each in drafts
        ]
        tell_table(("draft", "domain", "is to", "source"), ("by", "waits for"), waiting)


def _act(record: Members, there: Collection[str]) -> str:
    """Return what a draft does once it is signed, so that nobody signs a removal for a change."""
    if record["removed"] != "no":
        return "leave"
    return "change" if record["domain"] in there else "join"


def record(found: Sequence[Members], drafts: Sequence[Members]) -> None:
    """Print a record, one fact a line, and the draft that waits."""
    for each in (*found, *({**each["record"], "draft": each["id"], "waits_for": each["waits_for"]} for each in drafts)):
        for name, value in each.items():
            text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            if name == "endpoints":
                text = _endpoints(each)
            if text:
                say((f"{clean(name).replace('_', ' ')}: ", DIM), clean(text), indent=2)


def fleet(found: Sequence[Members], newest: Members) -> None:
    """Print one row for each agent, and what is wrong with those that are stale."""
    rows = []
    for each in found:
        has = f"{each.get('table', '-')}" + (f" ({each['view']})" if each.get("view") not in {None, "community"} else "")
        module = f"{each.get('server', '')} {each.get('module', '')}".strip()
        state = "stale" if each["stale"] else each.get("standing", "")
        rows.append((each["domain"], state, has, each.get("reported", "never")[:19], module, each.get("mode", ""), "; ".join(each["why"])))
    if rows:
        tell_table(("domain", "state", "table", "reported (UTC)"), ("module", "mode", "why"), rows)
    else:
        say("there are no members")
    stale = sum(bool(each["stale"]) for each in found)
    say(mark(good=not stale), f" {stale} of {len(found)} are stale")
    for audience, view in newest["views"].items():
        say((f"newest table for {'the community' if audience == '*' else clean(audience)}: {view['version']}", DIM), indent=2)


def published(found: Members) -> None:
    """Print what is published for each view."""
    problem = found["problem"]
    for audience, view in found["views"].items():
        name = "the community" if audience == "*" else clean(audience)
        say(mark(good=problem is None), f" {name}: table ", (str(view["version"]), STRONG), f", {view['count']} domains")
        say(f"until {view['expires'][:16].replace('T', ' ')} UTC; its timestamp until {view['timestamp_expires'][11:19]}", indent=2)
    say(f"epoch {found['epoch']}, {found['members']} members, {found['drafts']} drafts")
    days = found["root_days"]
    if days is not None and days < ROOT_DAYS:
        say(
            ("caution: ", CAUTION),
            f"root metadata {found['root']['generation']} ends in {days} days: have the roots make the next generation",
        )
    if problem is not None:
        say(("not published: ", BAD), clean(problem["message"]))
        say(clean(problem["mend"]), indent=2)


def _endpoints(found: Members) -> str:
    return " ".join(f"{each['host']}:{each['port']}" + (":direct" if each["tls"] == "direct" else "") for each in found["endpoints"])
