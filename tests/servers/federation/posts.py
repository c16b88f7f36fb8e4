"""An agent as a program of its own beside a real server, with a directory as source that a test publishes into."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clearinghouse.demo.correspondents import Correspondent
from clearinghouse.demo.servers import Hosting, Server
from clearinghouse.doors.control.client import AGENT, NotRunning, call_at
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import read_agent_settings
from tests.agent.community import Hub, RealClock
from tests.agent.houses import settings_text
from tests.servers.federation.sites import SECRET, new_body
from tests.servers.processes import Program, done, program
from tests.world import key

DOMAIN = "a.fed"
GUARDED = Hosting((DOMAIN,), (), "agent.a.fed", SECRET, rooms=("muc.a.fed",))
"""A server of which only our agent speaks to its module."""


@dataclass(slots=True)
class Post:
    """One agent's directory: settings, secrets, and the exported documents of *hub*."""

    directory: Path
    server: Server
    hub: Hub = field(default_factory=lambda: Hub(RealClock(), DOMAIN))
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in ("policies", "credentials", "documents"):
            (self.directory / folder).mkdir()
        write_key_file(self.directory / "agent.key", key("agent a"))
        write_key_file(self.directory / "site.key", key("site"))
        secret = self.directory / "secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
        sections = self.more.pop("sections", '[admit]\nminimum = "level-2"\n\n[[source]]\nkind = "files"\ndirectory = "documents"\n')
        lines = {"hosts": '["a.fed", "muc.a.fed"]', **self.more, "sections": sections}
        self.config.write_text(settings_text(self.hub.pin, domain=DOMAIN, host=self.server.address, **lines))
        self.export()

    @property
    def config(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def settings(self) -> AgentSettings:
        return read_agent_settings(self.config)

    def export(self) -> None:
        self.hub.export(self.directory / "documents")

    def publish(self, rows: dict[str, str]) -> None:
        self.hub.publish(rows)
        self.export()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Program]:
        async with program("clearinghouse", "agent", "--config", str(self.config), "--allow-demo") as running:
            yield running

    async def asks(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a command about the agent; return exit status and answer."""
        status, out, err = await done("clearinghouse", "agent", *words, "--config", str(self.config), "--json")
        assert out, err
        return status, json.loads(out)

    async def status(self) -> dict[str, Any]:
        """Ask at the socket, as `agent status` does, without starting a program each time."""
        found: dict[str, Any] = (await self.tells("status"))["status"]
        return found

    async def tells(self, do: str, **words: str) -> dict[str, Any]:
        """Put a question at the socket, as the command of that name does."""
        return await asyncio.to_thread(lambda: call_at(self.settings.socket, do, listener=AGENT, **words))

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status of the agent is so."""
        async with asyncio.timeout(20):
            while True:
                try:
                    found = await self.status()
                except NotRunning:  # not yet, or not again
                    found = {}
                if found and true(found):
                    return found
                await asyncio.sleep(0.02)

    async def applies(self, version: int) -> dict[str, Any]:
        """Wait until the server has the table of this version."""
        return await self.until(lambda found: _shows(found, version))


def _shows(found: dict[str, Any], version: int) -> bool:
    table = found["table"] or {}
    return bool(found["health"] == "good" and table.get("version") == version == found["applied"])


async def passes(sender: Correspondent, reader: Correspondent) -> None:
    body = new_body()
    sender.write(reader.boundjid.bare, body)
    await reader.reads(body)


async def refused(sender: Correspondent, reader: Correspondent) -> str:
    """Write, and return why it came back."""
    return await sender.bounced(sender.write(reader.boundjid.bare, new_body()))
