"""What is known about a server, an agent and what they rest on, as plain values; `gathering` fetches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clearinghouse.doctor.certificates import Certificate
from clearinghouse.doctor.dns import Record
from clearinghouse.doctor.follows import Follows
from clearinghouse.federation.enforced.image import Image
from clearinghouse.federation.published.members import Member
from clearinghouse.importing.ejabberd import EjabberdConfig
from clearinghouse.importing.entries import Unread
from clearinghouse.importing.prosody import ProsodyConfig
from clearinghouse.settings import Settings
from clearinghouse.settings.agent import AgentSettings

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FileMode:
    """A file or folder: what it is for us, and who can reach it."""

    path: Path
    kind: str
    mode: int
    uid: int
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A document that expires: its name, and from when to when it counts."""

    name: str
    issued: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known; ``None`` and empty is *not known*, and then not judged.

    *live* is the last status of the server's module, taken at *live_at*; *status* the agent's own; *images* were made
    at *images_at*.  *asked* says that an agent was named, so that it is a finding where nothing is known of its module.
    *doors* are the names and addresses of a clearinghouse's listener, *addresses* our own.

    *named_doors* are those of *doors* that send peers on, *door_pins* the keys in their certificates, and *follows* what a
    server says of whom it follows.  A clearinghouse's door has certificates for the names in *presented*, and *reports* are what its
    members' agents said.  *asked_about* are domains whose service records were asked for, *unanswered* what nobody answered.
    """

    now: datetime
    prosody: ProsodyConfig | None = None
    ejabberd: EjabberdConfig | None = None
    modules: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    files: tuple[FileMode, ...] = ()
    certificates: Mapping[str, tuple[Certificate, ...]] = field(default_factory=lambda: EMPTY)
    agent: AgentSettings | None = None
    clearinghouse: Settings | None = None
    asked: bool = False
    live: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    live_at: datetime | None = None
    status: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    images: tuple[Image, ...] = ()
    images_at: datetime | None = None
    dns: tuple[Record, ...] = ()
    doors: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    members: tuple[Member, ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()
    admits: bool | None = None
    unread: tuple[Unread, ...] = ()
    named_doors: frozenset[str] = frozenset()
    follows: tuple[Follows, ...] = ()
    door_pins: Mapping[str, frozenset[str]] = field(default_factory=lambda: EMPTY)
    presented: Mapping[str, tuple[Certificate, ...]] = field(default_factory=lambda: EMPTY)
    reports: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: EMPTY)
    asked_about: tuple[str, ...] = ()
    unanswered: frozenset[tuple[str, str]] = frozenset()

    @property
    def told(self) -> Mapping[str, Any]:
        """What the module says of its server."""
        facts = self.live.get("facts")
        return facts if isinstance(facts, Mapping) else EMPTY

    @property
    def is_older(self) -> bool:
        """Whether the module has not been asked since the last image was pushed, so that nothing follows from a difference."""
        return self.live_at is not None and self.images_at is not None and self.live_at <= self.images_at

    def is_live(self, server: str) -> bool:
        """Whether the module of that kind of server has spoken."""
        return self.live.get("server") == server and bool(self.told)
