"""The parts of an agent, and what each of them knows of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree.ElementTree import Element

import structlog

from clearinghouse.agent.applying.applier import Applier
from clearinghouse.agent.applying.overrides import Override, Overrides
from clearinghouse.agent.applying.picture import decision_of
from clearinghouse.agent.applying.shorthand import LocalPolicy
from clearinghouse.agent.asking.correspondence import Correspondence
from clearinghouse.agent.control import Counter
from clearinghouse.agent.following import Follower
from clearinghouse.agent.granting.authority import Authority
from clearinghouse.agent.granting.grants import Grants
from clearinghouse.agent.granting.petitions import Petitions
from clearinghouse.agent.granting.requests import Requests
from clearinghouse.agent.granting.window import Window
from clearinghouse.agent.home.clock import Clock
from clearinghouse.agent.home.journal import Journal
from clearinghouse.agent.home.keeping import StateDirectory
from clearinghouse.agent.home.links import Link
from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.reporting import Alarm, Reporter
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.status import Health, Status
from clearinghouse.enforcers.levels import LevelEnforcer, event_in
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.enforced.image import Image
from clearinghouse.settings.agent import AgentSettings

log = structlog.get_logger(__name__)

STARTED: Final = "started"

JOIN: Final = "join"
"""The kind of a signed request about the member's own record."""

ServerEvent = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class Agent:
    """An agent at work; made by `clearinghouse.agent.life.running`.

    Whoever is in ``events`` hears what the server's module tells, such as that it refused something.
    """

    settings: AgentSettings
    state: StateDirectory
    clock: Clock
    speaker: Speaker
    sources: Failover
    link: Link
    authority: Authority
    grants: Grants
    journal: Journal
    events: list[ServerEvent] = field(default_factory=list)
    follower: Follower = field(init=False)
    overrides: Overrides = field(init=False)
    applier: Applier = field(init=False)
    status: Status = field(init=False)
    alarm: Alarm = field(init=False)
    reporter: Reporter = field(init=False)
    requests: Requests = field(init=False)
    window: Window = field(init=False)
    correspondence: Correspondence = field(init=False)
    counter: Counter = field(init=False)

    def __post_init__(self) -> None:
        settings, exchange = self.settings, self.link.exchange
        self.follower = Follower(settings, self.sources, self.state, self.clock)
        policy = LocalPolicy(settings, lambda: self.authority.desk.snapshot)
        self.overrides = Overrides(settings.domain, settings.community, self.state, self.clock.now, policy.snapshot)
        enforcer = LevelEnforcer(exchange, settings.governed[0])
        self.applier = Applier(settings, self.state, self.clock, self.follower, self.overrides, policy, enforcer, self.grants)
        self.applier.linked = self.link.ready
        self.status = Status(self.follower, self.applier)
        self.alarm, self.reporter = Alarm(self.status), Reporter(self.speaker, self.status, self.sources.report, settings.report)
        self.requests = Requests(settings.domain, self.authority, self.grants, self.overrides.denied)
        self.window = Window(exchange.us, exchange.write, self.requests)
        self.correspondence = Correspondence(settings, self.speaker, self.authority, self.requests, enforcer, exchange, self.clock.now)
        self.counter = Counter(self.status, self.overrides, self.follower, Petitions(self.requests), self._join)
        self._introduce()

    def _introduce(self) -> None:
        """Let each part know of what happens in the others."""
        exchange = self.link.exchange
        exchange.overhears, exchange.serves = self._hear, self.window.take
        self.link.connected.append(self.applier.greet)
        self.follower.changed.append(self._followed)
        self.authority.heard.append(self.applier.wake.set)
        self.grants.heard.append(self.applier.wake.set)
        self.overrides.heard.append(self._overridden)
        self.applier.applied.append(self._applied)
        self.alarm.heard.append(self._turned)
        self.events += [self._server_started, self.correspondence.hear]
        self.applier.applied.append(self.correspondence.applied.note)

    # -- what the parts tell each other

    async def _followed(self) -> None:
        """Have what the community's documents say now believed by whoever decides, and applied."""
        await self.believe()
        self.applier.wake.set()

    async def believe(self) -> None:
        """Let grants and overrides be judged by the members and revocations that we have now."""
        trusted = self.follower.trusted
        if trusted is None:
            return
        try:
            await self.authority.believe(trusted)
        except ClearinghouseError as error:
            log.error("documents_not_believed", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames

    async def _join(self, words: Mapping[str, str]) -> str:
        """Ask the clearinghouse for a change of our own record; raises what the last source raised."""
        return await self.sources.join(self.speaker.sealed(JOIN, {"domain": self.settings.domain, **words}))

    def _overridden(self, what: str, override: Override) -> None:
        self.journal.note(self.clock.now(), what, override.as_json())
        self.applier.wake.set()

    def _applied(self, image: Image) -> None:
        trusted = self.follower.trusted
        head = trusted.head if trusted is not None else None
        told = {"serial": image.serial, "table": decision_of(head), "rows": len(image.rows), "grants": len(image.grants)}
        self.journal.note(self.clock.now(), "image-applied", told | {"mode": image.mode, "expires": image.expires})

    def _turned(self, before: Health, after: Health) -> None:
        self.journal.note(self.clock.now(), "health", {"before": before.value, "after": after.value})
        self.reporter.due.set()

    def _hear(self, message: Element) -> None:
        if self.sources.hears(message):
            self.follower.wake.set()
        event = event_in(message, self._hosts())
        if event is not None:
            for hear in self.events:
                hear(event)

    def _hosts(self) -> Sequence[str]:
        return self.settings.governed

    def _server_started(self, event: Mapping[str, Any]) -> None:
        """Push everything again, unless the module has what it should."""
        if event.get("event") != STARTED:
            return
        images, ours = event.get("images"), self.applier.image
        found = images.get(self.settings.domain) if isinstance(images, Mapping) else None
        if ours is None or found != ours.serial:
            self.applier.forget()
