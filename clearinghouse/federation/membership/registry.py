"""What a clearinghouse keeps of its members, beside what is published: records, drafts, and how their agents are (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from clearinghouse.clearing.people import Changed, Speaker

REGISTRAR: Final = "the registrar's signature: `clearinghouse member sign`"
"""What a draft waits for that somebody who may has decided about."""


class Source(StrEnum):
    """Who wanted a record."""

    PERSON = "person"
    """Somebody who may `enrol` members, at the command line or by a signed envelope."""
    CHAT = "chat"
    """A person at a chat client, on their host's word: a proposal (rule R10)."""
    JOIN = "join"
    """The member itself, by a signed request."""
    FILE = "file"
    """A record that the registrar has signed elsewhere."""


@dataclass(frozen=True, slots=True)
class KeptMember:
    """A member's record as the registrar signed it; ``removed`` is a record that says so, which stays."""

    domain: str
    serial: int
    sealed: bytes = field(repr=False)
    at: datetime
    by: str
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that nobody has signed yet; ``payload`` is what the registrar would sign.

    ``why`` says what it waits for, in words.
    """

    id: str
    domain: str
    payload: bytes = field(repr=False)
    source: Source
    by: str
    at: datetime
    expires: datetime
    why: str = ""

    @property
    def accepted(self) -> bool:
        """Whether nothing is missing but the registrar's signature."""
        return self.why == REGISTRAR


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What the agent of *domain* said last about itself, and when; ``report`` has the members of a status report."""

    domain: str
    at: datetime
    report: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """All that lasts of a federation; ``documents`` are what is published, by name."""

    members: Sequence[KeptMember] = ()
    drafts: Sequence[Draft] = ()
    documents: Mapping[str, bytes] = field(default_factory=dict)
    agents: Sequence[AgentStatus] = ()


@dataclass(frozen=True, slots=True)
class Enrolled(Changed):
    """What became of a record: ``names`` are the domain and, where it waits, the draft's id; ``waits_for`` says for whom."""

    waits_for: str = ""


class Registry(Protocol):
    """What people can do about members; methods raise `NotEntitled`, `NeedsSignature`, `StoreUnavailable`, and what they name.

    ``wanted`` is as `clearinghouse.federation.membership.enrolment` says.
    """

    async def enrol(self, who: Speaker, act: str, words: Mapping[str, str], *, dry_run: bool = False) -> Enrolled:
        """Make or change a record, or say whose level that changes; at a chat it becomes a draft.

        Raises `MalformedRequest`, `BadName`.
        """

    async def accept(self, who: Speaker, identity: str, *, dry_run: bool = False) -> Enrolled:
        """Have a draft signed, or let it wait for the registrar alone; raises `NoSuchThing`."""

    async def drop(self, who: Speaker, identity: str) -> Enrolled:
        """Drop a draft; raises `NoSuchThing`."""

    async def signed(self, sealed: bytes) -> Enrolled:
        """Take a record that the registrar has signed elsewhere; raises what reading it does, and `DocumentRefused`."""

    def members(self, who: Speaker) -> Sequence[Mapping[str, Any]]:
        """Return every record and its level in the community's table, by domain."""

    def drafts(self, who: Speaker) -> Sequence[Draft]:
        """Return every draft, by domain."""

    def fleet(self, who: Speaker) -> Sequence[Mapping[str, Any]]:
        """Return how each member's agent is, by domain."""

    def published(self) -> Mapping[str, Any]:
        """Return how publishing is."""
