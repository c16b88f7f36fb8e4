"""What the agent believes: its own policies and credentials, less what the community's signed records revoke (rules R15, R16).

The target decides under its own POLICY.  What it trusts lies in folders of its own; members and revocations come
with the tables, signed, and whoever follows them says so with `Authority.believe`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import ClassVar, Final, Protocol

import structlog

from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.enforcement import Enforcement
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.senders import SenderBudgets
from clearinghouse.clearing.snapshot import licensed
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.clearing.whitelist import KIND
from clearinghouse.errors import ClearinghouseError, Unavailable
from clearinghouse.federation.published.members import Member
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.keynote import Admissions
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.principals import normalise
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.folders import Folders, Look
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.settling import SETTLE_SECONDS, settled
from clearinghouse.storage.store import Event, Store

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between looks at the folders."""
AGAIN_SECONDS: Final = 5.0
"""Until what is believed is written down again, after the disk took nothing."""
MAX_NAMED: Final = 1_000
"""Files that one event names as left out."""


class StaleRecords(Unavailable):
    """The signed revocation set and member list are too old to grant anything new by them (rule R15)."""

    code: ClassVar[str] = "stale-records"


class Trust(Protocol):
    """What is used here of the community's signed documents (`clearinghouse.federation.trust.trusted.Trusted`)."""

    @property
    def members(self) -> Mapping[str, Member]:
        """Return the member records by domain."""

    @property
    def revocations(self) -> RevocationSet | None:
        """Return the revocation set."""

    def standing(self, now: datetime) -> str:
        """Return `fresh` while new grants may be made by these documents."""


class _Nowhere:
    """Decisions take effect through `Grants`, which the desk does not know."""

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Authority:
    """Keeps ``desk.snapshot`` what the folders say, less what is revoked; whoever is in ``heard`` is told when it changed.

    ``alone`` says that there is no clearinghouse whose records could be stale: an agent as in the paper.
    """

    desk: Desk
    folders: Folders
    loader: Loader
    store: Store
    now: Callable[[], datetime]
    alone: bool = False
    settle_seconds: float = SETTLE_SECONDS
    heard: list[Callable[[], None]] = field(default_factory=list)
    holdings: Holdings = field(default_factory=Holdings)
    _trust: Trust | None = None
    _seen: Look = ()
    _archived: str = ""
    _noted: str = field(init=False)
    _unkept: Holdings | None = None
    _speakers: Mapping[str, str] = field(default_factory=dict)
    _named: frozenset[str] = frozenset()
    _said: tuple[RevocationSet | None, Mapping[str, Member]] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _keeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._noted = self.desk.snapshot.version

    @classmethod
    def over(
        cls,
        folders: Folders,
        store: Store,
        *,
        community: str,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        cap: timedelta,
        desk: str = "",
        alone: bool = False,
    ) -> Authority:
        """Return the authority over *folders*; it believes nothing before `load`.

        *desk* is the principal that signs what the site's people approve, empty where nobody does.
        """
        loader = Loader(Admissions(), desk=desk)
        empty = Holdings().believing(desk=desk)
        judges = Desk(community, empty.snapshot, store, _Nowhere(), new_id, cap=cap)
        return cls(judges, folders, loader, store, now, alone, holdings=empty)

    # -- what is believed

    async def load(self) -> None:
        """Load the folders as they are when they have settled; raises `StoreUnavailable` as `keep` does."""
        look = await settled(self.folders, await asyncio.to_thread(self.folders.look), self.settle_seconds)
        async with self._turn:
            read = await asyncio.to_thread(self.folders.read, look)
            holdings = await asyncio.to_thread(self.loader.load, read, self.holdings)
            self._seen = look
            await self._adopt(holdings)

    async def watch(self) -> None:
        """Follow the folders until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await asyncio.to_thread(self.folders.look) != self._seen:
                    await self.load()
                await self.keep()
            except ClearinghouseError as error:
                log.error("policy_not_kept", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
                await asyncio.sleep(AGAIN_SECONDS)

    async def believe(self, trust: Trust) -> None:
        """Believe what the community's documents say now; raises `StoreUnavailable` as `keep` does."""
        said = (trust.revocations, trust.members)
        if self._said is not None and self._said[0] == said[0] and self._said[1] is said[1]:
            self._trust = trust  # the same, and said to be the newest once more
            return
        async with self._turn:
            self._trust, self._said = trust, said
            self._speakers = await asyncio.to_thread(_speakers, trust.members)
            try:
                await self._adopt(self.holdings)
            finally:
                self._tell()

    async def _adopt(self, holdings: Holdings) -> None:
        """Believe *holdings* less what is revoked, at once: what was taken away must not go on for want of room on a disk."""
        gone = self._trust.revocations if self._trust is not None else None
        believed = holdings if gone is None else await asyncio.to_thread(_less, holdings, gone)
        before, version = self.desk.snapshot.version, believed.snapshot.version
        self.holdings, self.desk.snapshot, self._unkept = holdings, believed.snapshot, believed
        self._named = frozenset(name for each in holdings.policies.get(KIND, ()) for name in licensed(each))
        if before != version:
            log.info("believed", version=version[:12], left_out=len(believed.problems))
            self._tell()
        await self.keep()

    async def keep(self) -> None:
        """Archive what is believed, and note that it changed, unless that was done; raises `StoreUnavailable`.

        A decision names its snapshot, so this comes before any decision is recorded (rule R16).
        """
        async with self._keeping:
            believed = self._unkept
            if believed is None:
                return
            version = believed.snapshot.version
            if version != self._archived:
                await self.store.archive(Archive.of(believed), at=self.now())
                self._archived = version
            if version != self._noted:
                refused = [str(each) for each in believed.problems][:MAX_NAMED]
                told = {"before": self._noted, "after": version, "refused": refused}
                await self.store.note(Event(self.now(), "policy-changed", told))
                self._noted = version
            if self._unkept is believed:
                self._unkept = None

    def _tell(self) -> None:
        for told in self.heard:
            told()

    # -- what is asked of it

    @property
    def informed(self) -> bool:
        """Whether it is known at all who is a member and what is revoked."""
        return self.alone or self._trust is not None

    def require_fresh(self) -> None:
        """Raise `StaleRecords` unless new grants may be made now (rule R15)."""
        if self.alone or (self._trust is not None and self._trust.standing(self.now()) == "fresh"):
            return
        raise StaleRecords("the community's records are too old here to grant anything new", mend="ask again in a minute")

    def member(self, domain: str) -> Member | None:
        """Return the record of *domain*, unless it is a member no more."""
        found = None if self._trust is None else self._trust.members.get(domain)
        return None if found is None or found.removed else found

    def member_with(self, key: str) -> str | None:
        """Return the domain of the member for which *key* speaks."""
        return self._speakers.get(key)

    def knows(self, key: str) -> bool:
        """Say whether *key* speaks for a member, or a policy of this site licenses it by name."""
        return key in self._speakers or key in self._named

    def with_records(self, request: Request) -> Request:
        """Return *request* with what the signed records say about the domain that it names (rule R5)."""
        domain = request.claims.get("domain", EVERYTHING)
        record = self.member(domain)
        if record is None:
            return replace(request, known={"member": "no"}, tied={})
        recorded = request.claims.get("Server_IP_Address") in {_plain(each.host) for each in record.endpoints}
        return replace(request, known={"member": "yes"}, tied={"Server_IP_Address": "domain"} if recorded else {})

    def ruled(self, request: Request) -> Decision:
        """Rule on *request* at its sender's expense."""
        return rule(self.with_records(request), self.desk, now=self.now())

    def may(self, question: Request) -> bool:
        """Say whether *question*, of another group than `whitelist`, is granted."""
        return rule(question, self.desk, now=self.now()).outcome is Outcome.GRANTED

    def ruled_for_us(self, request: Request) -> Decision:
        """Rule on *request* as `ruled` does, at nobody's expense: the question is our own."""
        return rule(self.with_records(request), replace(self.desk, senders=SenderBudgets()), now=self.now())


def _speakers(members: Mapping[str, Member]) -> Mapping[str, str]:
    return {key: domain for domain, each in members.items() if not each.removed for key in each.keys}


def _less(holdings: Holdings, gone: RevocationSet) -> Holdings:
    ids = [bytes.fromhex(each) for each in gone.credentials]
    return holdings.believing(withdrawn=ids, revoked=_normal(gone.principals), below=_normal(gone.below))


def _normal(names: Sequence[str]) -> list[str]:
    return [normalise(to_octets(each)) for each in names]


def _plain(host: str) -> str:
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host
