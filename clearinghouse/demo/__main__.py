"""``python -m clearinghouse.demo``: three platforms ask for incidents, and the clearinghouse decides."""

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
from clearinghouse.cli.output import BAD, CAUTION, as_json, fail, say
from clearinghouse.demo import ejabberd
from clearinghouse.demo.community import Community, example_community
from clearinghouse.demo.story import PEOPLE, NotAsTold, Outcomes, play
from clearinghouse.demo.telling import Silent, Teller, as_members
from clearinghouse.demo.worlds import MemoryWorld, World, ejabberd_world
from clearinghouse.errors import ClearinghouseError
from clearinghouse.runtime.chance import utc_now

NOT_AS_TOLD, INTERRUPTED = 1, 130

Memory = Annotated[bool, typer.Option("--memory", help="Play in memory, without a server.")]
Json = Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object.")]


def main() -> None:
    """Run the demonstration on the arguments of this process."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(demo)
    app()


def demo(*, memory: Memory = False, json: Json = False) -> None:
    """Show the clearinghouse at work, at an ejabberd of its own on loopback.

    An analyst is approved and receives an incident; a stranger and a former member are not.

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
    teller = Teller()
    missing = "" if memory or ejabberd.is_installed() else "the Debian package `ejabberd` is not installed: apt-get install ejabberd"
    name = "memory" if memory or missing else "ejabberd"
    if not json:
        _begin(name, missing)
    with example_community(utc_now().date()) as community:
        async with _world(name, community) as world:
            outcomes: Outcomes = await play(world, community, Silent() if json else teller)
    if json:
        as_json("demo", ok=True, **as_members(outcomes, name))
    else:
        teller.decisions(outcomes)
        teller.end(outcomes)


def _begin(name: str, missing: str) -> None:
    where = "at an ejabberd of its own on loopback" if name == "ejabberd" else "with a broker in memory: no server, no network"
    if missing:
        say(("caution: ", CAUTION), missing)
    say(f"A clearinghouse decides who may receive incidents, {where}.")


@asynccontextmanager
async def _world(name: str, community: Community) -> AsyncIterator[World]:
    if name == "memory":
        yield MemoryWorld()
        return
    async with ejabberd_world(PEOPLE, secret=community.secret) as world:
        yield world


def _end_on_sigterm() -> None:
    """End as Ctrl-C does: servers and files go before we do."""
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


if __name__ == "__main__":
    main()
