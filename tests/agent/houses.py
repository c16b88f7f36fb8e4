"""An agent at work in memory: its settings, its server, its source, and a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clearinghouse.agent.life import Outside, running
from clearinghouse.agent.parts import Agent
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.clearing.dsse import REQUEST, opened
from clearinghouse.clearing.envelope import read_asked
from clearinghouse.demo.server_module import MemoryLink, MemoryServer
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import parse_agent_settings
from tests.agent.community import NAME, US, Clock, Hub, MemorySource
from tests.world import key

PATIENCE_SECONDS = 10.0


def settings_text(pin: str, *, domain: str = US, host: str = "127.0.0.1", **more: str) -> str:
    """Return the settings of an agent that admits from level 2 up; *more* are lines at the top, and ``sections`` what follows."""
    lines = {
        "community": f'"{NAME}"',
        "domain": f'"{domain}"',
        "root_digest": f'"{pin}"',
        "key_file": '"agent.key"',
        "poll": '"1 second"',
        "override_keys": f'["{key("site").principal}"]',
    } | {name: text for name, text in more.items() if name != "sections"}
    top = "\n".join(f"{name} = {text}" for name, text in lines.items())
    server = f'[server]\nkind = "prosody"\ncomponent = "agent.{domain}"\nsecret_file = "secret"\nhost = "{host}"\n'
    admit = '[admit]\nminimum = "level-2"\n'
    return f"{top}\n\n{server}\n{more.get('sections', admit)}"


@dataclass(slots=True)
class House:
    """Everything around one agent; ``agent`` is the one that runs now."""

    directory: Path
    hub: Hub
    clock: Clock
    source: MemorySource = field(init=False)
    server: MemoryServer = field(init=False)
    link: MemoryLink = field(init=False)
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source = MemorySource(self.hub)
        self.server = MemoryServer(US, "agent.a.example", self.clock.seconds)
        for folder in ("policies", "credentials"):
            (self.directory / folder).mkdir(parents=True)
        write_key_file(self.directory / "agent.key", key("agent a"))

    @property
    def settings(self) -> AgentSettings:
        text = settings_text(self.hub.pin, **self.more)
        return parse_agent_settings(text, file="agent.toml", directory=self.directory)

    @asynccontextmanager
    async def agent(self, *others: MemorySource) -> AsyncIterator[Agent]:
        self.link = MemoryLink(self.server)
        failover = Failover([self.source, *others])
        outside = Outside(now=self.clock, link=lambda _: self.link, sources=lambda *_: failover, allow_demo=True, pause=0.01, settle=0.0)
        async with running(self.settings, outside) as agent:
            yield agent

    async def follows(self, agent: Agent) -> None:
        """Wait until the agent and its server have the newest version."""
        agent.follower.wake.set()
        self.source.news.set()
        await until(lambda: self.shows(agent) and _applied(agent) == self.hub.version)

    async def follows_again(self, agent: Agent) -> None:
        """Publish the same rows once more, and wait as `follows` does."""
        self.hub.publish()
        await self.follows(agent)

    def shows(self, agent: Agent) -> bool:
        image = self.server.images.get(US)
        return image is not None and agent.applier.image is not None and image.serial == agent.applier.image.serial

    def reported(self) -> dict[str, str]:
        """Return what the last report says."""
        envelope = opened(self.source.reports[-1], payload_type=REQUEST)
        asked = read_asked(envelope, audience=NAME, now=self.clock())
        assert (asked.kind, envelope.signers) == ("status", (key("agent a").principal,))
        return dict(asked.body)

    def passing(self, *domains: str) -> set[str]:
        """Which of *domains* pass messages in."""
        return {each for each in domains if self.server.passes(each)}


def _applied(agent: Agent) -> int:
    image = agent.applier.image
    return int(image.decision.rpartition(".")[2]) if image is not None and image.decision else 0


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
