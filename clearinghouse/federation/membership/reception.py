"""What agents may have of a clearinghouse, as its doors see it (pure).

The doors know how bytes come in and who is at the other end; a `Library` knows members.  Whoever may not read
something hears the same as about something that is not there (rule R22).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

LONGEST_WAIT: Final = 25.0
"""Seconds that a question for news waits: proxies that give up after 30 are common."""

MAX_ASKED_BYTES: Final = 262_144
"""Bytes of an envelope that a door takes: as many as an envelope may have."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A member that reads, or whose agent does: by a key of its record, or as the domain that its server proved to be."""

    domain: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of something that was handed in: ``state`` in one word, members for JSON, or the bytes of an answer."""

    state: str
    told: Mapping[str, object] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Copy:
    """A document as it goes out; ``tag`` is the SHA-256 of ``body``."""

    body: bytes = field(repr=False)
    tag: str


class Library(Protocol):
    """What stands behind a door; methods raise errors of our tree only."""

    async def signed(self, envelope: bytes) -> Reader:
        """Return the member whose key signed the `fetch` in *envelope*; raises `NoSuchThing` for everybody else."""

    def proven(self, jid: str) -> Reader:
        """Return the member that has, or whose agent has, the authenticated *jid*; raises `NoSuchThing`."""

    def paced(self, peer: str) -> None:
        """Count a question of *peer*, an address or a domain; raises `RateLimited`."""

    def copy(self, reader: Reader, name: str) -> Copy:
        """Return the document *name* if *reader* may see it; raises `NoSuchThing`."""

    async def newer(self, reader: Reader, audience: str, tag: str, seconds: float) -> Copy | None:
        """Return the newest timestamp for *audience* once it is another than *tag*; ``None`` if that takes too long."""

    def takes(self, envelope: bytes) -> bool:
        """Say whether *envelope* is for `hand_in`, before anything about it is checked; else it is for the office."""

    async def hand_in(
        self, envelope: bytes, *, by: Reader | None = None, speaker: str = "", peer: str = "", seconds: float = 0.0
    ) -> Answer:
        """Take what somebody signed: a report, a request to join, or a request for another member's agent.

        *by* is the member that handed it in, if it proved to be one; *speaker* the JID that did, where a server has
        authenticated it; *peer* its address.  A request for somebody else waits so many *seconds* for its answer.
        """

    async def waiting(self, reader: Reader, seconds: float) -> Mapping[str, bytes]:
        """Return the requests that wait for *reader*'s agent, by id, once there are any."""

    def answered(self, reader: Reader, identity: str, answer: bytes) -> None:
        """Give the *answer* of *reader*'s agent to whoever asked; raises `NoSuchThing`."""

    async def answer(self, envelope: bytes, identity: str, seconds: float) -> bytes | None:
        """Return the answer to a request, to one of its signers: who signed the `fetch` in *envelope*.

        ``None`` while there is none; raises `NoSuchThing`.
        """
