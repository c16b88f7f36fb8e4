"""A community that publishes, in memory: its keys, its roots, and every document by name, as a source would give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from clearinghouse.federation.published import members, revocations, roots, timestamps
from clearinghouse.federation.published.documents import digest, members_name, revocations_name, root_name, timestamp_name
from clearinghouse.federation.published.members import Endpoint, Member
from clearinghouse.federation.published.publishing import Publisher
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.roles import ceremonies
from clearinghouse.federation.roles.ceremonies import Keyholders, Plan
from clearinghouse.federation.trust.trusted import Trusted, follow
from clearinghouse.keynote.keys import PrivateKey, from_seed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
COMMUNITY = "csirt-net"
LEVELS = ("deny", "level-1", "level-2", "level-3")
MINUTE = timedelta(minutes=1)


def key(name: str) -> PrivateKey:
    """Return the key that has this *name* in the tests."""
    return from_seed(name.encode().ljust(32, b"\0"))


def who(*names: str) -> tuple[str, ...]:
    return tuple(key(name).principal for name in names)


def plan(generation: int = 1, epoch: int = 1, **changed: Keyholders) -> Plan:
    """Return the usual plan: two of three roots, one key for each role; *changed* are roles, or ``roots``."""
    roles = {name: Keyholders(who(name)) for name in ceremonies.REQUIRED}
    holders = changed.pop("roots", Keyholders(who("r1", "r2", "r3"), 2))
    return Plan(COMMUNITY, generation, epoch, NOW, NOW + timedelta(days=365), holders, roles | changed)


def made(wanted: Plan, vouchers: tuple[str, ...] = ("r1", "r2")) -> Root:
    """Return the root metadata that a ceremony of *wanted* comes to."""
    known = f"{wanted} {vouchers}"
    if known not in _made:
        _made[known] = _ceremony(wanted, vouchers)
    return _made[known]


_made: dict[str, Root] = {}
"""A ceremony takes a tenth of a second, and the same few come again and again."""


def _ceremony(wanted: Plan, vouchers: tuple[str, ...]) -> Root:
    serials = count(1)
    draft = ceremonies.drafted(wanted, lambda: f"{wanted.generation:016x}{next(serials):016x}")
    for name in vouchers:
        draft = ceremonies.vouched(draft, key(name))
    return ceremonies.finished(draft)


def sealed(root: Root, *names: str) -> bytes:
    return roots.seal_root(root, [key(name) for name in names or ("r1", "r2")])


def pin_of(root: Root) -> str:
    return digest(roots.written(root))


def member(domain: str, serial: int = 1, **more: object) -> Member:
    fresh = Member(domain, COMMUNITY, (Endpoint(domain),), who(domain), serial=serial, issued=NOW, source="import prosody.cfg.lua:3")
    return replace(fresh, **more)  # type: ignore[arg-type]  # any field


@dataclass
class Press:
    """Publishes for one audience; ``documents`` is what a source has, the newest of each name and all versions."""

    audience: str = "*"
    root: Root = field(default_factory=lambda: made(plan()))
    now: datetime = NOW
    documents: dict[str, bytes] = field(default_factory=dict)
    members: dict[str, bytes] = field(default_factory=dict)
    revoked: RevocationSet = field(default_factory=lambda: RevocationSet(COMMUNITY, 1, 0, NOW, NOW))
    signers: dict[str, tuple[str, ...]] = field(default_factory=lambda: {name: (name,) for name in ceremonies.REQUIRED})
    publisher: Publisher = field(init=False)

    def __post_init__(self) -> None:
        self.publisher = Publisher(self.root.community, self.audience, self.root.epoch, LEVELS)
        self.documents[root_name(self.root.generation)] = sealed(self.root)
        self.pin = pin_of(self.root)
        self.first = self.documents[root_name(self.root.generation)]
        self.revokes()

    def keys(self, role: str) -> list[PrivateKey]:
        return [key(name) for name in self.signers[role]]

    def enrols(self, *found: Member) -> None:
        self.members |= {each.domain: members.seal_member(each, self.keys("registrar")) for each in found}

    def revokes(self, *principals: str, credentials: tuple[str, ...] = (), below: tuple[str, ...] = (), days: float = 7) -> None:
        """Make the next revocation set, with what it had and this."""
        old = self.revoked
        self.revoked = RevocationSet(
            COMMUNITY,
            self.root.epoch,
            old.version + 1 if old.epoch == self.root.epoch else 1,
            self.now,
            self.now + timedelta(days=days),
            (*old.credentials, *credentials),
            (*old.principals, *principals),
            (*old.below, *below),
        )
        self.documents[revocations_name(self.revoked.version)] = revocations.seal_revocations(self.revoked, self.keys("revoker"))

    def prints(self, rows: Mapping[str, str] | None = None, *, days: float = 7, minutes: float = 10) -> None:
        """Publish *rows*, if they are given, and a timestamp, a second later than before."""
        self.now += timedelta(seconds=1)
        if rows is not None:
            edition = self.publisher.edition(rows, now=self.now, expires=self.now + timedelta(days=days))
            edition = edition or self.publisher.renewed(now=self.now, expires=self.now + timedelta(days=days))
            self.documents |= edition.sealed(self.keys("table"))
            self.publisher = self.publisher.after(edition)
        self.stamps(minutes=minutes)

    def stamps(self, *, minutes: float = 10) -> None:
        listed = members.listed(self.members.values())
        named = (self.revoked.version, digest(revocations.written(self.revoked)))
        stamp = self.publisher.timestamp(
            now=self.now,
            expires=self.now + minutes * MINUTE,
            root=self.root.generation,
            revocations=named,
            members=listed,
        )
        self.documents[members_name(self.audience, digest(listed))] = listed
        self.documents[timestamp_name(self.audience)] = timestamps.seal_timestamp(stamp, self.keys("timestamp"))

    def crowns(self, root: Root, *signers: str) -> None:
        """Publish the next generation of root metadata, and publish under it from now on."""
        self.root = root
        self.documents[root_name(root.generation)] = sealed(root, *signers)
        if root.epoch != self.publisher.epoch:
            self.publisher = replace(self.publisher, epoch=root.epoch)
            self.revokes()

    def fetch(self, name: str, limit: int) -> bytes | None:
        raw = self.documents.get(name)
        return None if raw is None else raw[: limit + 1]

    def trusted(self) -> Trusted:
        """Return a receiver that has the first root metadata, and nothing else."""
        return Trusted.pinned(self.first, self.pin, NOW, audience=self.audience)

    def followed(self) -> Trusted:
        """Return a receiver that has everything."""
        trusted = self.trusted()
        assert follow(trusted, self.fetch, self.now) == ()
        return trusted
