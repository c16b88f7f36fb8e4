"""Cases, grants, parties and the like, as tables and lines for people; every text of others is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from clearinghouse.cli.output import BAD, CAUTION, DIM, GOOD, ID_SHOWN, STRONG, clean, mark, say
from clearinghouse.cli.tabular import tell_table

Members = Mapping[str, Any]

PARTIES_SHOWN: Final = 50
"""Rows of who loses or wins what; the rest are counted, and all are in the JSON."""


def status(found: Members) -> None:
    """Print the state of each broker, and a line for each count."""
    for broker, ready in found.get("brokers", {}).items():
        say(mark(good=bool(ready)), f" {clean(broker)} ", "is ready" if ready else ("is away", BAD))
    _count({name: value for name, value in found.items() if name != "brokers"}, 2)


def _count(found: Members, indent: int) -> None:
    """Print a line for each count, those of a part below its name."""
    for name, value in found.items():
        told = clean(name).replace("_", " ")
        if name == "views" and isinstance(value, dict):  # hundreds, of which `federation status` tells
            say(f"{told}: ", (str(len(value)), STRONG), indent=indent)
        elif isinstance(value, dict) and value:
            say(f"{told}:", indent=indent)
            _count(value, indent + 2)
        elif isinstance(value, dict) or value is None:
            say(f"{told}: ", "none", indent=indent)
        else:
            lost = name == "decisions_lost" and bool(value)
            say(f"{told}: ", (_plain(value), BAD if lost else STRONG), indent=indent)


def _plain(value: object) -> str:
    """Return a count, a text, or a list of places as an address and a port each."""
    if isinstance(value, list):
        return ", ".join(":".join(map(str, each)) if isinstance(each, list) else _plain(each) for each in value) or "none"
    return clean(str(value))


def cases(found: Sequence[Members]) -> None:
    """Print one row for each case that waits."""
    if not found:
        say("nothing waits that you may see")
        return
    rows = [
        (each["id"][:ID_SHOWN], _day(each["opened"]), _minute(each["expires"]), each["subject"], f"{each['operation']} {each['topic']}")
        for each in found
    ]
    tell_table(("id", "since", "until (UTC)"), ("who", "what"), rows)


def grants(found: Sequence[Members]) -> None:
    """Print one row for each grant."""
    if not found:
        say("there are no grants that you may see")
        return
    rows = [
        (each["id"][:ID_SHOWN], _day(each["since"]), _minute(each["ended"] or each["ends"]), each["holder"], _granted(each))
        for each in found
    ]
    tell_table(("id", "since", "until (UTC)"), ("who", "what"), rows)


def _granted(grant: Members) -> str:
    what = f"{grant['operation']} {grant['topic']}"
    return f"{what} (ended: {grant['why']['text'] if grant['why'] else 'for no reason told'})" if grant["ended"] else what


def credentials(found: Sequence[Members]) -> None:
    """Print one row for each credential."""
    if not found:
        say("there are no credentials")
        return
    rows = [(each["id"][:ID_SHOWN], each["source"] or "added", each["by"]) for each in found]
    tell_table(("id",), ("from", "by"), rows)


def revocations(found: Sequence[Members]) -> None:
    """Print one row for each revocation."""
    if not found:
        say("nothing is revoked")
        return
    rows = [
        (each["id"][:ID_SHOWN], _day(each["at"]), each["kind"], each["name"], "lifted" if each["lifted"] else each["reason"], each["by"])
        for each in found
    ]
    tell_table(("id", "since", "kind"), ("what", "why", "by"), rows)


def summary(case: Members) -> None:
    """Print what an approver has to see, one fact a line."""
    for line in str(case["summary"]).splitlines():
        name, _, value = line.partition(": ")
        say((f"{clean(name)}: ", DIM), clean(value), indent=2)


def ruling(found: Members) -> None:
    """Print what came of an act on a case."""
    case, decision = found["case"], found["decision"]
    good = case["state"] == "approved" and (decision is None or decision["outcome"] == "granted")
    say(mark(good=good) if not found["waits_for"] else ("…", CAUTION), f" case {case['id'][:ID_SHOWN]} is ", (case["state"], STRONG))
    if found["waits_for"]:
        say(f"it waits for {clean(found['waits_for'])}", indent=2)
    if decision is not None:
        until = f", until {_minute(decision['until'])} UTC" if decision["until"] else ""
        say(f"decision {decision['id']}: {clean(decision['outcome'])}, {clean(decision['reason']['text'])}{until}", indent=2)


def changed(found: Members) -> None:
    """Print who loses and who wins what, and whether it was done."""
    _parties("loses", found["losing"], BAD)
    _parties("wins", found["winning"], GOOD)
    if not found["losing"] and not found["winning"]:
        say("nobody loses or wins anything")
    if found["unchecked"]:
        say(("caution: ", CAUTION), f"{found['unchecked']} pairs of platform and topic were too many to be looked at")
    if found["done"]:
        say(mark(good=True), f" done; policy is {found['version'][:12]} now")


def _parties(verb: str, found: Sequence[Members], style: Any) -> None:  # noqa: ANN401 - a style of rich
    for each in found[:PARTIES_SHOWN]:
        what = f" {each['operation']} {each['topic']}".rstrip()
        say((clean(each["jid"]), STRONG), " ", (verb, style), clean(f"{what}: {each['before']} -> {each['after']}, {each['reason']}"))
    if len(found) > PARTIES_SHOWN:
        say((f"and {len(found) - PARTIES_SHOWN} more, whom --json names", DIM))


def _minute(instant: str | None) -> str:
    return (instant or "")[:16].replace("T", " ")


def _day(instant: str) -> str:
    return instant[:10]
