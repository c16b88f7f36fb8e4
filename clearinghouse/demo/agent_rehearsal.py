"""Rehearse an agent: your own settings and the community's real tables, beside a server in memory.

usage: python -m clearinghouse.demo.agent_rehearsal CONFIG DOMAIN...

The agent is the one that ``clearinghouse agent`` runs, with its own state directory; only the server beside it
is played.  Of each DOMAIN it prints what that server lets pass, first and whenever it changes.  Meanwhile
``clearinghouse agent status``, ``override`` and the others speak to it as they do to an agent.  It ends with
TERM or Ctrl-C, and after ten minutes.

exit status: 0 it was ended; 2 a domain or the settings cannot be used
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clearinghouse import telemetry
from clearinghouse.agent.life import Outside, running, utc_now
from clearinghouse.cli.output import BAD_INPUT, clean, say, tell_error
from clearinghouse.demo.server_module import MemoryLink, MemoryServer
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.enforced.image import EVERYTHING, NOTHING, Image
from clearinghouse.federation.names import normal
from clearinghouse.settings.reading import read_agent_settings

WAIT_SECONDS: Final = 600.0
"""For people to act: as long as one reads a tutorial's step, twice."""


@dataclass(slots=True)
class Watch:
    """Prints what passes between the server and each of *domains*, whenever that changes."""

    server: MemoryServer
    domains: Sequence[str]
    _said: dict[str, str] = field(default_factory=dict)

    def look(self, image: Image) -> None:
        """Look at what *image* has changed; what comes before the first table would be taken for its word."""
        if not image.decision:
            return
        for domain in self.domains:
            words = ("if it were enforced, " if image.mode == "shadow" else "") + self._words(image, domain)
            if self._said.get(domain) != words:
                self._said[domain] = words
                say(f"{domain}: {words} ({image.decision})")

    def _words(self, image: Image, domain: str) -> str:
        mask = self.server.mask(domain)
        if mask == EVERYTHING:
            return "everything passes"
        if mask != NOTHING:
            return "some of it passes"
        row = image.rows.get(domain)
        reason = image.default_reason if row is None else image.classes[row].reason
        return f"nothing passes: {clean(reason)}"


async def rehearse(config: Path, domains: Sequence[str]) -> None:
    """Run the agent of the settings in *config*, and print what becomes of *domains*."""
    settings = read_agent_settings(config)
    watched = tuple(map(normal, domains))
    server = MemoryServer(settings.governed[0], settings.server.component, lambda: int(utc_now().timestamp()))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, Outside(link=lambda _: MemoryLink(server))) as agent:
        agent.applier.applied.append(Watch(server, watched).look)
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await stop.wait()


def main(arguments: list[str]) -> int:
    """Do what the usage says and return the exit status."""
    if {"-h", "--help"} & set(arguments):
        say(str(__doc__))
        return 0
    match arguments:
        case [config, first, *others] if not any(each.startswith("-") for each in arguments):
            telemetry.configure(level=logging.ERROR)
            try:
                asyncio.run(rehearse(Path(config), (first, *others)))
            except ClearinghouseError as error:
                tell_error(error)
                return error.exit_code
            return 0
        case _:
            say(str(__doc__), error=True)
            return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
