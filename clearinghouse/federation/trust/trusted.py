"""What a receiver of published documents believes: a state machine without input or output (pure).

Bytes go in with the time; what may be believed comes out, and a refusal changes nothing.  A receiver asks
`Trusted.wanted` what to fetch next::

    trusted = Trusted.pinned(root, pin, now, audience="a.example")
    trusted.begin()
    while (name := trusted.wanted()) is not None:
        raw = fetch(name, trusted.limit(name))  # None where there is no such document
        trusted.absent(name) if raw is None else trusted.update(name, raw, now)

One update has one *now*, fixed when it begins (TUF, section 5).  A document that was refused, or that is not
there, is not wanted again before the next `begin`; where there is a way round it, that is wanted: the whole
table for a delta, the next root metadata for a timestamp that the last one does not allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from clearinghouse.clearing.clear import ClockBehind
from clearinghouse.clearing.wire import stamp
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published.documents import (
    MAX_DELTA_BYTES,
    MAX_HEAD_BYTES,
    MAX_REVOCATIONS_BYTES,
    MAX_ROOT_BYTES,
    MAX_VERSION,
    delta_name,
    members_name,
    revocations_name,
    root_name,
    table_name,
    timestamp_name,
)
from clearinghouse.federation.published.members import Member
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.published.tables import Head, Table
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.federation.trust import believing, keeping
from clearinghouse.federation.trust.state import State

MAX_DELTAS: Final = 64
"""Versions that are caught up one by one; with more to catch up the whole table is less to fetch."""

CLOCK_STEP: Final = timedelta(seconds=30)
"""What a clock may be set back without harm (rule R17); NTP steps clocks by less, or slews them."""

_NO_ROWS: Final[Mapping[str, str]] = MappingProxyType({})


class Standing(StrEnum):
    """How far what we have can be relied upon at one moment."""

    FRESH = "fresh"
    """Table, members and revocations are the newest, as somebody said a few minutes ago: new grants may be made."""
    STALE = "stale"
    """The table holds, but nobody has said lately that it is the newest, or what is revoked: no new grants (rule R15)."""
    EXPIRED = "expired"
    """There is no table that holds: what the agent's settings say happens, `closed` by default."""


class Trusted:
    """What is believed of one community, for one audience, a domain or `*`."""

    def __init__(self, state: State) -> None:
        """Use `pinned` or `restored`."""
        self._state = state
        self._done: set[str] = set()  # what was refused in this update, or is not there
        self._due = True  # the timestamp has not been looked at in this update
        self._root_wanted = False  # a timestamp was refused that the next root metadata may allow
        self._whole = False  # a delta was refused: only the whole table helps

    @classmethod
    def pinned(cls, raw: bytes, pin: str, now: datetime, *, audience: str, community: str = "") -> Trusted:
        """Return what is believed at first: the sealed root metadata *raw*, whose payload has the SHA-256 *pin*.

        Raises `NotThePinnedRoot`, `WrongCommunity`, `NotApprovedByNewRoots`, and what reading it raises.  Expired
        root metadata is taken: the generations after it are still to come.
        """
        return cls(believing.pinned(raw, pin, audience, community, now))

    @classmethod
    def restored(cls, kept: Mapping[str, bytes], pin: str, *, audience: str, community: str = "") -> Trusted:
        """Return what `kept` kept, verified again but for the time: expired copies still tell what is older.

        Raises what a document raises that is not what was kept; begin with `pinned` then.
        """
        return cls(keeping.restored(kept, pin, audience, community))

    def kept(self) -> dict[str, bytes]:
        """Return what has to be kept on disk, by file name; `restored` takes it back.  Kept all at once, or not at all."""
        return keeping.kept(self._state)

    def copy(self) -> Trusted:
        """Return another one in the same state, for an update that is to happen as a whole or not at all."""
        made = Trusted(self._state)
        made._due, made._root_wanted, made._whole = self._due, self._root_wanted, self._whole
        made._done = set(self._done)
        return made

    @property
    def state(self) -> State:
        """Everything that is believed, as one immutable value."""
        return self._state

    # -- what is believed ---------------------------------------------------------------------------------

    @property
    def root(self) -> Root:
        """The newest root metadata."""
        return self._state.rights.root

    @property
    def audience(self) -> str:
        """For whom the table is, a domain or `*`."""
        return self._state.audience

    @property
    def timestamp(self) -> Timestamp | None:
        """What says what is the newest; it may have expired."""
        return self._state.named

    @property
    def revocations(self) -> RevocationSet | None:
        """What is revoked; it may have expired, and counts all the same."""
        return None if self._state.revoked is None else self._state.revoked.revocations

    @property
    def table(self) -> Table | None:
        """The table; it may have expired."""
        return None if self._state.tabled is None else self._state.tabled.table

    @property
    def head(self) -> Head | None:
        """The head of the table."""
        return None if self.table is None else self.table.head

    @property
    def rows(self) -> Mapping[str, str]:
        """Domain to level; the lowest level stands nowhere.  Empty where there is no table; never changed in place."""
        return _NO_ROWS if self.table is None else self.table.rows

    @property
    def members(self) -> Mapping[str, Member]:
        """Domain to record, removed ones left out; never changed in place."""
        return self._state.enrolled.members

    @property
    def seen(self) -> datetime:
        """The highest time at which a timestamp was believed, at first that of the root metadata (rule R17)."""
        return self._state.seen

    def standing(self, now: datetime) -> Standing:
        """Say how far what is believed holds at *now*; a clock that was set back means that nothing does (rule R17)."""
        head = self.head
        if head is None or head.expires <= now or now < self.seen - CLOCK_STEP:
            return Standing.EXPIRED
        ends = (self.root.expires, *(each.expires for each in (self.timestamp, self.revocations) if each is not None))
        return Standing.FRESH if self._state.is_whole() and min(ends) > now else Standing.STALE

    def may_publish(self, operation: str, signers: tuple[str, ...], now: datetime, *, audience: str = "*", member: str = "") -> bool:
        """Say whether the root metadata, less what is revoked, lets *signers* do *operation* of the group `publish`, as `publish-grant`."""
        return self._state.rights.allows(operation, signers, now=now, audience=audience, member=member)

    # -- updates ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin an update: the timestamp is wanted next."""
        self._done.clear()
        self._due = True
        self._root_wanted = False

    def wanted(self) -> str | None:
        """Return the name of the document to fetch next; ``None`` where there is nothing more to be had in this update."""
        state, named = self._state, self._state.named
        root = root_name(self.root.generation + 1)
        if self._root_wanted and root not in self._done:
            return root
        if self._due:
            name = timestamp_name(state.audience)
            return name if name not in self._done else None
        if named is None:
            return None
        names = [
            *(() if state.has_revocations() else (revocations_name(named.revocations),)),
            *(() if state.has_members() else (members_name(state.audience, named.members_digest),)),
            *(() if state.has_table() else self._ways(named)),
        ]
        return next((each for each in names if each not in self._done), None)

    def _ways(self, named: Timestamp) -> tuple[str, ...]:
        """Return the documents that lead to the table that is named, the best first."""
        whole = table_name(self.audience, named.version)
        behind = named.version - self._latest()
        if self._whole or not 1 <= behind <= MAX_DELTAS:
            return (whole,)
        return delta_name(self.audience, named.version - behind + 1), whole

    def limit(self, name: str) -> int:
        """Return how many bytes the document *name*, which is wanted, may have; nobody need read one more."""
        named = self.timestamp
        match name.split("/")[-2:]:
            case ["root", _]:
                return MAX_ROOT_BYTES
            case ["revocations", _]:
                return MAX_REVOCATIONS_BYTES
            case ["delta", _]:
                return MAX_HEAD_BYTES + 1 + MAX_DELTA_BYTES
            case ["table", _] if named is not None:
                return MAX_HEAD_BYTES + 1 + named.size
            case ["members", _] if named is not None:
                return named.members_size
            case _:
                return MAX_HEAD_BYTES

    def absent(self, name: str) -> None:
        """Take note that the source has no document *name*: it is not wanted again in this update."""
        self._done.add(name)

    def update(self, name: str, raw: bytes, now: datetime) -> None:
        """Believe the document *name*, or raise why not: one of those below.

        A timestamp that the next root metadata may allow is not refused before that was looked for.
        """
        steps: Mapping[str, Callable[[bytes, datetime], None]] = {
            "root": self.update_root,
            "revocations": self.update_revocations,
            "members": self.update_members,
            "table": self.update_table,
            "delta": self.update_delta,
        }
        kind = "timestamp" if name.endswith("/timestamp") else name.split("/")[-2:][0]
        if kind != "timestamp":
            steps[kind](raw, now)
            return
        try:
            self.update_timestamp(raw, now)
        except believing.MENDED_BY_ROOT:
            if not self._root_wanted or root_name(self.root.generation + 1) in self._done:
                raise

    def update_root(self, raw: bytes, now: datetime) -> None:
        """Believe the next generation of root metadata."""
        self._believe(root_name(self.root.generation + 1), believing.next_root, raw, now)
        self._root_wanted = False
        self._due = self._due or self._state.named is None
        self._done.discard(timestamp_name(self.audience))

    def update_timestamp(self, raw: bytes, now: datetime) -> None:
        """Believe what is the newest; raises `RootBehind` where root metadata has to be fetched first, and `wanted` says so."""
        name = timestamp_name(self.audience)
        try:
            self._believe(name, believing.next_timestamp, raw, now)
        except believing.MENDED_BY_ROOT:
            if root_name(self.root.generation + 1) not in self._done:
                self._root_wanted = True
                self._done.discard(name)
            raise
        self._due = self._root_wanted = False

    def update_revocations(self, raw: bytes, now: datetime) -> None:
        """Believe the revocation set that the timestamp names; what rested on a key that it takes away is forgotten."""
        self._believe(revocations_name(self._number()), believing.next_revocations, raw, now)

    def update_members(self, raw: bytes, now: datetime) -> None:
        """Believe the records in the list that the timestamp names."""
        named = self.timestamp.members_digest if self.timestamp is not None else ""
        self._believe(members_name(self.audience, named), believing.next_members, raw, now)

    def update_table(self, raw: bytes, now: datetime) -> None:
        """Believe the whole table that the timestamp names."""
        version = self.timestamp.version if self.timestamp is not None else 0
        self._believe(table_name(self.audience, version), believing.next_table, raw, now)
        self._whole = False

    def update_delta(self, raw: bytes, now: datetime) -> None:
        """Take the next version of the table, and believe it when it is the named one; after a refusal the whole table is wanted."""
        try:
            self._believe(delta_name(self.audience, self._latest() + 1), believing.next_delta, raw, now)
        except ClearinghouseError:
            self._whole = True
            raise

    def _latest(self) -> int:
        """Return the version to which deltas have led, where there is none the highest: no delta leads on from it."""
        return MAX_VERSION if self._state.latest is None else self._state.latest.table.head.version

    def _number(self) -> int:
        return self.timestamp.revocations if self.timestamp is not None else 0

    def _believe(self, name: str, step: Callable[[State, bytes, datetime], State], raw: bytes, now: datetime) -> None:
        """Put the next state in the place of this one, or note that *name* was refused and raise why."""
        if now < self.seen - CLOCK_STEP:
            raise ClockBehind(f"the clock shows less than {stamp(self.seen)}, which it has shown before", mend="set it right")
        try:
            self._state = step(self._state, raw, now)
        except ClearinghouseError:
            self._done.add(name)
            raise


def follow(trusted: Trusted, fetch: Callable[[str, int], bytes | None], now: datetime) -> tuple[ClearinghouseError, ...]:
    """Update *trusted* by what *fetch* gives, and return what was refused on the way; *fetch* takes a name and a limit."""
    refused: list[ClearinghouseError] = []
    trusted.begin()
    while (name := trusted.wanted()) is not None:
        raw = fetch(name, trusted.limit(name))
        if raw is None:
            trusted.absent(name)
            continue
        try:
            trusted.update(name, raw, now)
        except ClockBehind as error:
            return (*refused, error)
        except ClearinghouseError as error:
            refused.append(error)
    return tuple(refused)
