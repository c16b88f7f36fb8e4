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
from clearinghouse.federation.members import Member
from clearinghouse.federation.revocations import RevocationSet
from clearinghouse.keynote import Admissions
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.principals import normalise
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.folders import Folders, Look
from clearinghouse.storage.holdings import Holdings, Loader
from clearinghouse.storage.store import Event, Store

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between looks at the folders."""
SETTLE_SECONDS: Final = 0.2
"""Two looks so far apart must agree before what they see is read: an editor may be half-way."""
MAX_SETTLES: Final = 25
"""Looks that may differ before the last one is taken: whoever goes on writing must not keep a removal from counting."""
MAX_NAMED: Final = 1_000
"""Files that one event names as left out."""


class StaleRecords(Unavailable):
    """The signed revocation set and member list are too old to grant anything new by them (rule R15)."""

    code: ClassVar[str] = "stale-records"


class Trust(Protocol):
    """What is used here of the community's signed documents (`clearinghouse.federation.trust.Trusted`)."""

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
    _speakers: Mapping[str, str] = field(default_factory=dict)
    _named: frozenset[str] = frozenset()
    _said: tuple[RevocationSet | None, Mapping[str, Member]] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        """Load the folders as they are when they have settled; raises `StoreUnavailable`, and then everything stays as it was."""
        look = await asyncio.to_thread(self.folders.look)
        for _ in range(MAX_SETTLES):
            await asyncio.sleep(self.settle_seconds)
            again = await asyncio.to_thread(self.folders.look)
            if again == look:
                break
            look = again
        async with self._turn:
            read = await asyncio.to_thread(self.folders.read, look)
            holdings = await asyncio.to_thread(self.loader.load, read, self.holdings)
            await self._adopt(holdings)
            self._seen = look

    async def watch(self) -> None:
        """Follow the folders until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await asyncio.to_thread(self.folders.look) != self._seen:
                    await self.load()
            except ClearinghouseError as error:
                log.error("policy_not_adopted", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames

    async def believe(self, trust: Trust) -> None:
        """Believe what the community's documents say now; raises `StoreUnavailable`, and then nothing changes."""
        said = (trust.revocations, trust.members)
        if self._said is not None and self._said[0] == said[0] and self._said[1] is said[1]:
            self._trust = trust  # the same, and said to be the newest once more
            return
        async with self._turn:
            before, self._trust = self._trust, trust
            try:
                await self._adopt(self.holdings)
            except BaseException:
                self._trust = before
                raise
            self._speakers, self._said = await asyncio.to_thread(_speakers, trust.members), said
        self._tell()

    async def _adopt(self, holdings: Holdings) -> None:
        gone = self._trust.revocations if self._trust is not None else None
        believed = holdings if gone is None else await asyncio.to_thread(_less, holdings, gone)
        before, version = self.desk.snapshot.version, believed.snapshot.version
        if version != self._archived:
            # A decision names its snapshot, so that one is kept before any decision is made from it (rule R16).
            await self.store.archive(Archive.of(believed), at=self.now())
            self._archived = version
        if before != version:
            refused = [str(each) for each in believed.problems][:MAX_NAMED]
            await self.store.note(Event(self.now(), "policy-changed", {"before": before, "after": version, "refused": refused}))
        self.holdings, self.desk.snapshot = holdings, believed.snapshot
        self._named = frozenset(name for each in holdings.policies.get(KIND, ()) for name in licensed(each))
        if before != version:
            log.info("believed", version=version[:12], left_out=len(believed.problems))
            self._tell()

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
