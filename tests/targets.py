"""A target in memory: an agent's own desk, with folders, a clock that is set, and everything that a request needs to be signed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from clearinghouse.agent.granting.answers import Answer
from clearinghouse.agent.granting.authority import Authority
from clearinghouse.agent.granting.grants import Grants
from clearinghouse.agent.granting.requests import Paces, Requests
from clearinghouse.clearing import envelope
from clearinghouse.clearing.dsse import REQUEST
from clearinghouse.clearing.envelope import LONGEST_LIFE, seal, written
from clearinghouse.clearing.senders import Rate
from clearinghouse.clearing.whitelist import KIND, Wish
from clearinghouse.cli.scenario_file import Asked
from clearinghouse.demo.keys import demonstration_key
from clearinghouse.federation.enforced import image
from clearinghouse.federation.published.members import Endpoint, Member
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.storage.folders import Folders
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Store
from tests.world import NOON, key

ROOT = Path(__file__).resolve().parents[1]
TARGET = "target.example"
HOST = {"App_domain": "XMPP", "domain": "partner.example", "Server_IP_Address": "192.168.40.55"}
"""What the paper's requests are about."""
_OFTEN = Rate(10_000, 10_000)
FREELY = Paces(_OFTEN, _OFTEN, _OFTEN)


def seal_wish(
    claims: Mapping[str, str],
    *keys: PrivateKey,
    credentials: Iterable[str] = (),
    seconds: int | None = None,
    now: datetime = NOON,
    audience: str = TARGET,
    life: timedelta = LONGEST_LIFE,
    nonce: str = "0123456789abcdef",
    kind: str = KIND,
) -> bytes:
    """Return a signed request as any implementation would send it."""
    asked = envelope.Asked(kind, audience, nonce, now, now + life, Wish(claims, seconds).body(), tuple(credentials))
    return seal(written(asked), REQUEST, keys)


def of_folder(name: str, *names: str) -> list[str]:
    """Return the example credentials of the folder *name*: all of them, or those of *names*."""
    files = sorted((ROOT / "credentials" / name).glob("*.kn"))
    return [each.read_text() for each in files if not names or each.stem in names]


def member(domain: str, *keys: str, address: str = "", removed: bool = False) -> Member:
    """Return what the registrar has signed about *domain*; *keys* are names of demonstration keys."""
    principals = tuple(demonstration_key(each).principal for each in keys)
    return Member(domain, "partner-net", (Endpoint(address),) if address else (), principals, removed=removed)


def gone(*, credentials: tuple[str, ...] = (), principals: tuple[str, ...] = (), below: tuple[str, ...] = ()) -> RevocationSet:
    """Return a revocation set that was checked."""
    return RevocationSet("partner-net", 1, 1, NOON, NOON + timedelta(days=1), credentials, principals, below)


@dataclass(frozen=True)
class Records:
    """The community's documents as an agent has checked them, good until ``fresh_until``."""

    members: Mapping[str, Member] = field(default_factory=dict)
    revocations: RevocationSet | None = None
    fresh_until: datetime = NOON + timedelta(days=3650)

    def standing(self, now: datetime) -> str:
        """Return `fresh` or `stale`."""
        return "fresh" if now < self.fresh_until else "stale"


@dataclass
class Target:
    """One agent's desk; ``now`` is its clock, and ``told`` counts how often the image was said to have changed."""

    place: Path
    now: datetime = NOON
    store: Store = field(default_factory=MemoryStore)
    told: int = 0
    authority: Authority = field(init=False)
    grants: Grants = field(init=False)
    requests: Requests = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def policy(self, text: str, group: str = "whitelist", name: str = "own.kn") -> Target:
        """Put *text* into the folder of policies."""
        folder = self.place / "policies" / group
        folder.mkdir(parents=True, exist_ok=True)
        (self.place / "credentials").mkdir(exist_ok=True)
        (folder / name).write_text(text)
        return self

    async def open(self, *, alone: bool = True, cap: timedelta = timedelta(days=90), desk: str = "") -> Target:
        """Begin, or begin again after a crash, with what the store has; *desk* is the demonstration key that signs approvals."""
        key = demonstration_key(desk) if desk else None
        folders = Folders(self.place / "policies", self.place / "credentials")
        self.authority = Authority.over(
            folders,
            self.store,
            community="partner-net",
            now=lambda: self.now,
            new_id=self._id,
            cap=cap,
            alone=alone,
            desk=key.principal if key else "",
        )
        self.authority.settle_seconds = 0  # nobody is half-way through writing
        await self.authority.load()
        self.grants = await Grants.opened(self.store, self.authority, desk=key)
        self.grants.heard.append(self._hear)
        self.requests = Requests(TARGET, self.authority, self.grants, paces=FREELY)
        return self

    async def believe(self, records: Records) -> Target:
        """Take what the community has signed, as an agent that follows it does."""
        await self.authority.believe(records)
        await self.grants.review()
        return self

    async def ask(self, claims: Mapping[str, str], *names: str, via: str = "ip:192.0.2.99", **more: object) -> Answer:
        """Ask as the demonstration keys *names*, at the agent's own time."""
        return await self.requests.answer(self.sealed(claims, *names, **more), via=via)

    def sealed(self, claims: Mapping[str, str], *names: str, **more: object) -> bytes:
        """Return the envelope that `ask` would hand in."""
        rest = {"now": self.now, "nonce": f"nonce-{next(self._numbers):012d}", **more}
        return seal_wish(claims, *(demonstration_key(each) for each in names), **rest)  # type: ignore[arg-type]  # as given

    def sealed_by(self, names: str, claims: Mapping[str, str], **more: object) -> bytes:
        """Return an envelope signed with the keys that `tests.world` knows by *names*, joined with `+`."""
        rest = {"now": self.now, "nonce": f"nonce-{next(self._numbers):012d}", **more}
        return seal_wish(claims, *(key(each) for each in names.split("+")), **rest)  # type: ignore[arg-type]  # as given

    def live(self) -> tuple[image.Grant, ...]:
        """Return what the server module has to know now."""
        return self.grants.live(self.now)

    def sleep(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    def _id(self) -> str:
        return f"{next(self._numbers):016x}"

    def _hear(self) -> None:
        self.told += 1


def paper(place: Path, section: int, now: datetime) -> Target:
    """Return the target of one of the paper's sections, with the policy that the examples have."""
    [policy] = (ROOT / f"policies/paper-section-{section}/whitelist").glob("*.kn")
    return Target(place, now).policy(policy.read_text())


async def run_on(target: Target, base: Path, asked: Asked) -> Answer:
    """Send the request of a scenario file to *target*, signed by those who ask there."""
    claims = {name: value for name, value in asked.claims.items() if name not in asked.without}
    files = [file for each in asked.credentials for file in _files(base / each)]
    return await target.ask(claims, *asked.requesters, credentials=[each.read_text() for each in files], seconds=asked.validity)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.kn")) if path.is_dir() else [path]
