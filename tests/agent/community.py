"""A community that publishes, in memory: real keys, real documents, and a source that lies when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

from clearinghouse.agent.sources.source import NoSuchDocument, SourceUnavailable
from clearinghouse.federation.published.documents import digest, members_name, revocations_name, root_name, timestamp_name
from clearinghouse.federation.published.members import Member, listed, seal_member
from clearinghouse.federation.published.publishing import Publisher
from clearinghouse.federation.published.refusals import EndlessData
from clearinghouse.federation.published.revocations import RevocationSet, seal_revocations
from clearinghouse.federation.published.revocations import written as written_revocations
from clearinghouse.federation.published.roots import Root, seal_root
from clearinghouse.federation.published.roots import written as written_root
from clearinghouse.federation.published.timestamps import seal_timestamp
from tests.world import NOON, key

NAME = "csirt-net"
US = "a.example"
LEVELS = ("deny", "level-1", "level-2", "level-3")
TABLE_LIFE = timedelta(hours=12)
TIMESTAMP_LIFE = timedelta(minutes=10)


def policy(epoch: int, audience: str, online: str) -> tuple[str, ...]:
    """Say who may sign: one root, and one online key for the rest."""
    community = f'table_community == "{NAME}"'
    bound = f'{community} && epoch == "{epoch}"'
    ours = f'(audience == "{audience}" || audience == "*")'
    return (
        _licensed("root", f'operation == "publish-root" && {community}'),
        _licensed(online, f'operation == "publish-revocations" && {bound}'),
        _licensed(online, f'operation == "publish-member" && {bound} && member ~= "^[a-z0-9.-]+[.](example|fed)$"'),
        *(_licensed(online, f'operation == "{name}" && {bound} && {ours}') for name in ("publish-table", "publish-timestamp")),
    )


def _licensed(name: str, test: str) -> str:
    return f'Authorizer: "POLICY"\nLicensees: "{key(name).principal}"\nConditions: {test} -> "allow";\n'


class RealClock:
    """The time of day, for a hub that publishes for real programs."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> int:
        return int(self.now.timestamp())


@dataclass(slots=True)
class Clock:
    """A clock that the test sets."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, **period: float) -> None:
        self.now += timedelta(**period)

    def seconds(self) -> int:
        return int(self.now.timestamp())


@dataclass(slots=True)
class Hub:
    """A clearinghouse as far as an agent sees it: documents by name, all that ever were published."""

    clock: Callable[[], datetime]
    audience: str = US
    epoch: int = 1
    generation: int = 1
    online: str = "online"
    table_life: timedelta = TABLE_LIFE
    timestamp_life: timedelta = TIMESTAMP_LIFE
    documents: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    publisher: Publisher = field(init=False)
    revoked: int = 0
    pin: str = ""
    _set: RevocationSet = field(init=False)

    def __post_init__(self) -> None:
        self.publisher = Publisher(NAME, self.audience, self.epoch, LEVELS)
        self.rotate()
        self.pin = digest(written_root(self._root()))
        self.revoke()
        self.publish()

    def _root(self) -> Root:
        texts = policy(self.epoch, self.audience, self.online)
        return Root(NAME, self.generation, self.epoch, NOON, NOON + timedelta(days=365), texts)

    def rotate(self) -> None:
        self.documents[root_name(self.generation)] = seal_root(self._root(), [key("root")])

    def revoke(self, *principals: str) -> None:
        self.revoked += 1
        now = self.clock()
        self._set = RevocationSet(NAME, self.epoch, self.revoked, now, now + TABLE_LIFE, principals=principals)
        self.documents[revocations_name(self.revoked)] = seal_revocations(self._set, [key(self.online)])

    def enrol(self, domain: str, *keys: str) -> None:
        serial = self.members[domain].serial + 1 if domain in self.members else 1
        self.members[domain] = Member(domain, NAME, keys=keys, serial=serial, issued=self.clock())

    def publish(self, rows: Mapping[str, str] | None = None) -> None:
        """Publish a new version with *rows*, or with the same ones for a longer time, and a timestamp that names it."""
        now = self.clock()
        self.rows = dict(self.rows if rows is None else rows)
        edition = self.publisher.edition(self.rows, now=now, expires=now + self.table_life)
        edition = edition or self.publisher.renewed(now=now, expires=now + self.table_life)
        self.publisher = self.publisher.after(edition)
        self.documents |= edition.sealed([key(self.online)])
        self.stamp()

    def stamp(self) -> None:
        now = self.clock()
        records = listed(seal_member(each, [key(self.online)]) for each in self.members.values())
        self.documents[members_name(self.audience, digest(records))] = records
        named = (self.revoked, digest(written_revocations(self._set)))
        timestamp = self.publisher.timestamp(
            now=now, expires=now + self.timestamp_life, root=self.generation, revocations=named, members=records
        )
        self.documents[timestamp_name(self.audience)] = seal_timestamp(timestamp, [key(self.online)])

    @property
    def version(self) -> int:
        assert self.publisher.last is not None
        return self.publisher.last.head.version

    def export(self, directory: Path) -> None:
        """Write every document as a file, the timestamp last."""
        for name, raw in sorted(self.documents.items(), key=lambda each: each[0].endswith("/timestamp")):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".new").write_bytes(raw)
            path.with_suffix(".new").replace(path)


@dataclass(slots=True)
class MemorySource:
    """Gives what *hub* has, unless a test says otherwise: it is cut off, or some documents are replaced (``None``: missing)."""

    hub: Hub
    place: str = "memory"
    cut: bool = False
    lies: dict[str, bytes | None] = field(default_factory=dict)
    ahead: timedelta | None = None
    asked: list[str] = field(default_factory=list)
    reports: list[bytes] = field(default_factory=list)
    joins: list[bytes] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, name: str, *, limit: int) -> bytes:
        self.asked.append(name)
        if self.cut:
            raise SourceUnavailable("cut off", mend="mend it")
        raw = self.lies[name] if name in self.lies else self.hub.documents.get(name)
        if raw is None:
            raise NoSuchDocument(f"no `{name}`", mend="nothing")
        if len(raw) > limit:
            raise EndlessData(f"`{name}` is too long", mend="nothing")
        return raw

    async def wait(self, view: str, after: str, seconds: float) -> None:
        del view, after
        try:
            async with asyncio.timeout(seconds):
                await self.news.wait()
        except TimeoutError:
            pass
        self.news.clear()

    async def report(self, sealed: bytes) -> None:
        if self.cut:
            raise SourceUnavailable("cut off", mend="mend it")
        self.reports.append(sealed)

    async def join(self, sealed: bytes) -> str:
        if self.cut:
            raise SourceUnavailable("cut off", mend="mend it")
        self.joins.append(sealed)
        return "waits"

    def hears(self, message: Element) -> bool:
        del message
        return False

    async def close(self) -> None:
        pass
