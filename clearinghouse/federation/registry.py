"""What a clearinghouse keeps of its members, beside what is published: records, drafts, and how their agents are (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
