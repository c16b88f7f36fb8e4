"""What ``redirect`` does, apart from its options: run a node, tell how it is, or what it would start with."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import typer

from clearinghouse import telemetry
from clearinghouse.cli.output import BAD, BAD_INPUT, CAUTION, GOOD, STRONG, as_json, clean, error_json, finish, mark, say, tell_error
from clearinghouse.doors.control.client import NODE, call_at
from clearinghouse.runtime.node import Look, looked_at, redirect_of, serve, socket_of
from clearinghouse.runtime.redirection.watching import Standing
from clearinghouse.settings import LogFormat, read_settings


def run(config: Path, *, json: bool) -> None:
    """Run the node until it is told to end."""
    settings = read_settings(config)
    telemetry.configure(as_json=json or settings.log.format is LogFormat.JSON)
    asyncio.run(serve(settings))


def check(config: Path, *, json: bool) -> None:
    """Print what the node would start with; exit status 2 where the door could not be opened."""
    settings = read_settings(config)
    telemetry.configure(as_json=json or settings.log.format is LogFormat.JSON, level=logging.WARNING)
    found = asyncio.run(looked_at(settings))
    if json:
        as_json(
            "redirect",
            ok=not found.problems,
            name=found.name,
            snapshot=found.snapshot,
            members=found.members,
            table=found.table,
            problems=[error_json(each) for each in found.problems],
            cautions=list(found.cautions),
        )
    else:
        _tell_look(found)
    if found.problems:
        raise typer.Exit(BAD_INPUT)


def _tell_look(found: Look) -> None:
    say((clean(found.name), STRONG), ": a redirect node")
    say(mark(good=True), f" the store has the snapshot {found.snapshot[:12]}, {_counted(found.members, 'member')}, table {found.table}")
    for caution in found.cautions:
        say(("caution: ", CAUTION), clean(caution))
    for problem in found.problems:
        tell_error(problem, error=False)


def status(config: Path, *, json: bool) -> None:
    """Print how the node is; status 1 unless all is well."""
    settings = read_settings(config)
    found = call_at(socket_of(redirect_of(settings)), "status", listener=NODE)["status"]
    well = found["health"] == Standing.GOOD
    if json:
        as_json("redirect status", ok=well, **found)
    else:
        _tell(found, well=well)
    finish(ok=well)


def _tell(found: dict[str, Any], *, well: bool) -> None:
    say((clean(found["name"]), STRONG), f" in {clean(found['community'])}: ", (found["health"], GOOD if well else BAD))
    say(f"store    seen {found['contact'][:19]}; answers until {found['until'][:19]} without it", indent=2)
    say(f"policy   {found['snapshot'][:12]}, {_counted(found['members'], 'member')}, table {found['table']}", indent=2)
    door = found.get("door", {})
    answers = ", ".join(f"{count} {clean(what)}" for what, count in sorted(door.get("answers", {}).items()))
    say(f"answers  {answers or 'none yet'}", indent=2)
    if found["journaled_bytes"] or found["unrecorded"]:
        say(f"journal  {found['journaled_bytes']} bytes wait for the log; {found['unrecorded']} refusals could not be written", indent=2)
    if found["error"] is not None:
        say(mark(good=False), " ", clean(found["error"]))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
