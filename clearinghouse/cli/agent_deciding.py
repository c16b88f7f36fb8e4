"""What the commands about an agent's grants do: ask the agent that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clearinghouse.clearing.people import NoSuchThing
from clearinghouse.cli import deciding
from clearinghouse.cli.carrying import confirm
from clearinghouse.cli.output import ID_SHOWN, as_json, clean, mark, say
from clearinghouse.doors.control.client import AGENT, call_at
from clearinghouse.settings.reading import read_agent_settings

_EVERYBODY = "*"


def grants(config: Path, *, ended: bool, json: bool) -> None:
    """Print the grants."""
    found = _asked(config, "grants", ended="yes" if ended else "")["grants"]
    if json:
        as_json("agent grants", ok=True, grants=found)
        return
    for each in found:
        over = f", ended {each['ended'][:19]}: {clean(each['why'])}" if each["ended"] else ""
        say(f"{each['id'][:ID_SHOWN]}  {_opened(each)}  until {each['until'][:19]}{over}")
    if not found:
        say("nothing is granted")


def _opened(grant: dict[str, Any]) -> str:
    user = f"all of {grant['domain']}" if grant["user"] == _EVERYBODY else grant["user"]
    packets = "everything" if grant["packet"] == _EVERYBODY else grant["packet"]
    way = "" if grant["direction"] == _EVERYBODY else f" {grant['direction']}"
    return clean(f"{user}  {packets}{way}  from {'any address' if grant['address'] == _EVERYBODY else grant['address']}")


def end_grant(config: Path, grant: str, reason: str, *, json: bool) -> None:
    """End a grant."""
    found = _asked(config, "end-grant", id=grant, reason=reason)["grant"]
    if json:
        as_json("agent end-grant", ok=True, grant=found)
    else:
        say(mark(good=True), f" ended {found['id'][:ID_SHOWN]}  {_opened(found)}")


def pending(config: Path, *, json: bool) -> None:
    """Print what waits."""
    found = _asked(config, "pending")["cases"]
    if json:
        as_json("agent pending", ok=True, cases=found)
        return
    for each in found:
        _show(each)
    if not found:
        say("nothing waits for a person")


def _show(case: dict[str, Any]) -> None:
    approved = f", approved by {', '.join(map(clean, case['approvals']))}" if case["approvals"] else ""
    say(f"{case['id'][:ID_SHOWN]}  {case['state']} until {case['expires'][:19]}{approved}")
    for line in case["summary"].splitlines():
        say(clean(line), indent=2)


def approve(config: Path, case: str, held: str | None, *, yes: bool, json: bool) -> None:
    """Approve what waits, once it was seen."""
    period = deciding.period(held)
    waiting = [each for each in _asked(config, "pending")["cases"] if each["id"].startswith(case)]
    if len(waiting) != 1:
        raise NoSuchThing("no such request waits, or several do", mend="`clearinghouse agent pending` lists their ids")
    if not json:
        _show(waiting[0])
    confirm("Approve this?", yes=yes, json=json)
    seconds = "" if period is None else str(int(period.total_seconds()))
    found = _asked(config, "approve", case=waiting[0]["id"], shown=waiting[0]["shown"], seconds=seconds)["case"]
    if json:
        as_json("agent approve", ok=True, case=found)
    else:
        say(mark(good=True), f" {'it waits for somebody else, too' if not found['outcome'] else found['outcome']}")


def deny(config: Path, case: str, reason: str, *, json: bool) -> None:
    """Deny what waits."""
    found = _asked(config, "deny-case", case=case, reason=reason)["case"]
    if json:
        as_json("agent deny", ok=True, case=found)
    else:
        say(mark(good=True), f" {found['state']} {found['id'][:ID_SHOWN]}")


def _asked(config: Path, do: str, **words: str) -> dict[str, Any]:
    return call_at(read_agent_settings(config).socket, do, listener=AGENT, **words)
