"""What people and platforms may ask the clearinghouse itself over XMPP, as its door sees it (pure).

The door knows stanzas, and who sent them; a `Reception` knows policy.  What crosses between them is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from clearinghouse.clearing.people import Office, Speaker
from clearinghouse.grid.topics import Subscriber, Topic

MAX_PAGE: Final = 100
"""Topics in one answer: 100 of the longest names make 0.1 MB, below the 256 kB of a stanza that servers take as packaged."""


@dataclass(frozen=True, slots=True)
class PlatformAsked:
    """A platform asks the clearinghouse itself, in the form of ``urn:x-clearinghouse:1``.

    ``operation`` is one of `grid.requests.OPERATIONS`.  ``broker`` is the JID of a publish-subscribe service as the
    platform wrote it, known or not, and ``topic`` a node there.  ``payload_type`` and ``title`` are for a topic that
    is to be made, else empty.  ``seconds`` is how long the grant is asked for, ``None`` for as long as may be.
    ``receipt`` says whether a signed receipt is wanted.  ``vouched_by`` is the host on whose word *asker* rests
    (rule R10); the runtime, which knows our host, fills it.
    """

    operation: str
    broker: str
    topic: str
    asker: Subscriber
    payload_type: str = ""
    title: str = ""
    seconds: int | None = None
    receipt: bool = False
    vouched_by: str = ""


@dataclass(frozen=True, slots=True)
class PlatformAnswered:
    """What a platform is told.

    ``id`` is the decision's, random; ``outcome`` one of `clearing.decision.Outcome`; ``value`` the compliance value.
    ``reason`` is a code and never a sentence (rule R22).  ``ends`` is when a grant ends by itself, in UTC.
    ``receipt`` is a sealed DSSE envelope, if one was asked for and can be had.
    """

    id: str
    outcome: str
    value: str
    reason: str
    ends: datetime | None = None
    receipt: bytes = b""


@dataclass(frozen=True, slots=True)
class TopicPage:
    """Some of the topics that somebody may discover, in the order of `place_of`.

    ``complete`` says that nothing comes after them or, when paging backwards, before them.
    """

    topics: tuple[Topic, ...]
    complete: bool


def place_of(topic: Topic) -> str:
    """Return where *topic* stands among all: its UID for XEP-0059, and the key by which pages are sorted."""
    return f"{topic.broker}/{topic.node}"


class Reception(Protocol):
    """What stands behind the XMPP door; methods raise errors of our tree only."""

    @property
    def office(self) -> Office:
        """Where people are served."""

    def person(self, jid: str) -> Speaker | None:
        """Return the person of the settings with the bare JID *jid*, or ``None`` for a stranger."""

    def paced(self, asker: Subscriber) -> None:
        """Count an envelope that *asker* brings, whose signatures cost us up to 40 ms; raises `RateLimited`."""

    async def platform_asked(self, asked: PlatformAsked) -> PlatformAnswered:
        """Rule on what a platform asks, and carry it out.

        Denied, unknown and not-a-member are one answer (rule R22).  Raises `Unavailable` when nothing can be
        decided now, `RateLimited` among them.
        """

    async def topics_for(self, asker: Subscriber, *, after: str = "", before: str | None = None, limit: int = MAX_PAGE) -> TopicPage:
        """Return at most *limit* topics that *asker* may discover, sorted by `place_of`.

        They come directly after the place *after* or, unless *before* is ``None``, directly before *before*, where
        the empty place is the end of all.  A place need not be any topic's, so it tells nobody what there is.
        """
