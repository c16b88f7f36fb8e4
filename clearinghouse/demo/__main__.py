"""``python -m clearinghouse.demo``: platforms ask for incidents, the clearinghouse and people decide."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import typer

from clearinghouse import telemetry
from clearinghouse.cli.output import BAD, CAUTION, STRONG, as_json, fail, say
from clearinghouse.demo import ejabberd, prosody
from clearinghouse.demo.community import Community, example_community
from clearinghouse.demo.league import story as league
from clearinghouse.demo.league.story import Act
from clearinghouse.demo.life import FIRST_CHAPTER
from clearinghouse.demo.story import PEOPLE, NotAsTold, Outcomes, play
from clearinghouse.demo.telling import Silent, Teller, act_members, as_members, tell_end
from clearinghouse.demo.worlds import MemoryWorld, World, server_world
from clearinghouse.errors import ClearinghouseError
from clearinghouse.runtime.chance import utc_now

NOT_AS_TOLD, INTERRUPTED = 1, 130

_TITLES = {"ejabberd": "an ejabberd", "prosody": "a Prosody"}

Memory = Annotated[bool, typer.Option("--memory", help="Play in memory, without a server.")]
Json = Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object.")]


def main() -> None:
    """Run the demonstration on the arguments of this process."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(demo)
    app()


def demo(*, memory: Memory = False, json: Json = False) -> None:
    """Show the clearinghouse at work, at an ejabberd and a Prosody of its own on loopback.

    An analyst is approved and receives an incident; a stranger and a former member are not. A consultant waits
    for a person, who approves her in an ordinary client, and later takes it back. Then three domains federate by
    signed levels, until one of them loses its level, and a signed request brings one of its users back. At last the
    DNS names the clearinghouse alone, whose door sends on who may, and tells the other why not.

    Exit status: 0 all went as told; 1 something did not; 2 it could not be played.
    """
    log = io.StringIO()
    telemetry.configure(stream=log)
    try:
        asyncio.run(_played(memory=memory, json=json))
    except NotAsTold as problem:
        say(("not as told: ", BAD), str(problem), error=True)
        _tell_log(log)
        sys.exit(NOT_AS_TOLD)
    except (ClearinghouseError, TimeoutError) as problem:
        _tell_log(log)
        sys.exit(_failed(problem, json=json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(INTERRUPTED)


def _failed(problem: ClearinghouseError | TimeoutError, *, json: bool) -> int:
    if isinstance(problem, ClearinghouseError):
        return fail(problem, command="demo", json_wanted=json)
    say(("not as told: ", BAD), "somebody waited in vain", error=True)
    return NOT_AS_TOLD


def _tell_log(log: io.StringIO) -> None:
    for line in log.getvalue().splitlines():
        say(line, error=True, indent=2)


async def _played(*, memory: bool, json: bool) -> None:
    _end_on_sigterm()
    names = _worlds(memory=memory, json=json)
    played = {name: await _play(name, json=json, first=name == names[0]) for name in names}
    act = await _among_servers(json=json) if set(_TITLES) <= set(names) else None
    if json:
        worlds = [as_members(outcomes, name) for name, outcomes in played.items()]
        as_json("demo", ok=True, worlds=worlds, federation=None if act is None else act_members(act))
    else:
        tell_end(sum(each.seconds for each in played.values()) + (0.0 if act is None else act.seconds))


async def _among_servers(*, json: bool) -> Act:
    """Play the acts among three servers, which cannot be played in memory: what falls there are real streams."""
    return await league.play(Silent() if json else Teller())


def _worlds(*, memory: bool, json: bool) -> list[str]:
    """Return where it is played: at each server that there is, or in memory."""
    there = {"ejabberd": ejabberd.is_installed(), "prosody": prosody.is_installed()}
    for name, installed in there.items():
        if not installed and not memory and not json:
            say(("caution: ", CAUTION), f"the Debian package `{name}` is not installed: apt-get install {name}")
    return [name for name, installed in there.items() if installed and not memory] or ["memory"]


async def _play(name: str, *, json: bool, first: bool) -> Outcomes:
    """Play the story in one world; after the first one, only the life of a subscription is told."""
    teller = Teller("" if first else FIRST_CHAPTER)
    if not json:
        _begin(name, first=first)
    with example_community(utc_now().date()) as community:
        async with _world(name, community) as world:
            outcomes = await play(world, community, Silent() if json else teller)
    if first and not json:
        teller.decisions(outcomes)
    return outcomes


def _begin(name: str, *, first: bool) -> None:
    where = "with a broker in memory: no server, no network" if name == "memory" else f"at {_TITLES[name]} of its own on loopback"
    if first:
        say(f"A clearinghouse decides who may receive incidents, {where}.")
    else:
        say("")
        say((f"The same life of a subscription, {where}", STRONG))


@asynccontextmanager
async def _world(name: str, community: Community) -> AsyncIterator[World]:
    if name == "memory":
        yield MemoryWorld()
        return
    async with server_world(name, PEOPLE, secret=community.secret) as world:
        yield world


def _end_on_sigterm() -> None:
    """End as Ctrl-C does: servers and files go before we do."""
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


if __name__ == "__main__":
    main()
