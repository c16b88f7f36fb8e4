"""What an agent beside a server is told; ``docs/reference/agent-settings.md`` describes every setting."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, StrictInt, ValidationInfo, field_validator, model_validator

from clearinghouse.settings.agent_requests import Requests
from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.model import Credentials, Log, Policies
from clearinghouse.settings.section import Section
from clearinghouse.settings.values import BesidePath, Domain, Duration, Key, Name, Words

CONTROL_SOCKET: Final = "control.sock"
"""Name of the agent's socket in its state directory."""

_is_digest = re.compile(r"[0-9a-f]{64}").fullmatch


def _digest(text: str) -> str:
    if not _is_digest(text):
        raise wrong(f"is `{text[:80]}`, which is no digest", "write the 64 hexadecimal digits that the community's roots published")
    return text


def _url(text: str) -> str:
    found = urlsplit(text)
    if found.scheme != "https" or not found.hostname or found.query or found.fragment or found.username:
        raise wrong(f"is `{text[:256]}`, which is no address of HTTPS", "write it as in `https://hub.example:8443`")
    return text.rstrip("/")


Digest = Annotated[str, AfterValidator(_digest)]
Url = Annotated[Words, AfterValidator(_url)]


class ServerKind(StrEnum):
    """Which server the agent stands beside."""

    PROSODY = "prosody"
    EJABBERD = "ejabberd"


class Server(Section):
    """The agent's own server, and the component as which it talks to its module (XEP-0114).

    ``certificate_files`` are the certificates that the server presents to others, and the next one before it does:
    `clearinghouse agent join` puts their pins into the member's record.
    """

    kind: ServerKind
    component: Domain
    secret_file: BesidePath
    host: Words = "127.0.0.1"
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] = 5347
    certificate_files: tuple[BesidePath, ...] = ()


class SourceKind(StrEnum):
    """How documents reach the agent."""

    HTTPS = "https"
    XMPP = "xmpp"
    FILES = "files"


class Source(Section):
    """Where tables come from: the ``url`` of a clearinghouse, its ``component``, or a ``directory``.

    ``ca`` is the file of certificates that vouch for the URL's host; without one the system's do.  ``broker`` is the
    publish-subscribe service at which a component tells of new tables.
    """

    kind: SourceKind
    url: Url | None = None
    ca: BesidePath | None = None
    component: Domain | None = None
    broker: Domain | None = None
    directory: BesidePath | None = None

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        given = {name for name in ("url", "ca", "component", "broker", "directory") if getattr(self, name) is not None}
        needed, allowed = _OF_KIND[self.kind]
        if needed not in given:
            raise wrong(f"is of the kind `{self.kind}` and has no `{needed}`", f"add `{needed} = ...`")
        if more := sorted(given - allowed):
            raise wrong(f"is of the kind `{self.kind}` and has `{more[0]}`", "leave it out, or describe another source of its own")
        return self

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return str(self.url or self.component or self.directory)


_OF_KIND: Final = MappingProxyType(
    {
        SourceKind.HTTPS: ("url", frozenset({"url", "ca"})),
        SourceKind.XMPP: ("component", frozenset({"component", "broker"})),
        SourceKind.FILES: ("directory", frozenset({"directory"})),
    }
)
"""What a source of each kind needs, and what it may have."""


class Packet(StrEnum):
    """The kinds of stanza that policy tells apart, as `PacketType` names them."""

    MESSAGE = "message"
    PRESENCE = "presence"
    IQ = "iq"
    GROUPCHAT = "groupchat"


class Stanzas(Section):
    """Which kinds of stanza a level lets through, in and out; a level that is not described lets all of them."""

    level: Name
    inbound: tuple[Packet, ...] = tuple(Packet)
    outbound: tuple[Packet, ...] = tuple(Packet)


class Admitting(Section):
    """Whom the server admits, in the short form: from a level up, or at certain levels.

    Both are abbreviations of assertions in the policy group ``admit``, and add to those in the folder.
    """

    minimum: Name | None = None
    levels: tuple[Name, ...] = ()


class Mode(StrEnum):
    """Whether the server obeys, or only counts what it would do."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class WhenExpired(StrEnum):
    """What becomes of the last table once it has expired and no newer one came."""

    CLOSED = "closed"
    KEEP = "keep"


class Audience(StrEnum):
    """Which table is followed: the one made for this domain, or the one of the whole community."""

    OWN = "own"
    COMMUNITY = "community"


class AgentSettings(Section):
    """Everything that an agent is told.

    ``domain`` is the member as which it speaks, ``hosts`` the domains of its server that it governs.  ``root_digest``
    is the SHA-256 of the payload of root metadata number ``root_generation``: all trust begins there.  ``override_keys`` are
    keys of this site that may admit a domain for a time without the network.
    """

    community: Name
    domain: Domain
    hosts: tuple[Domain, ...] = ()
    audience: Audience = Audience.OWN
    root_digest: Digest
    root_generation: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 1
    key_file: BesidePath
    mode: Mode = Mode.ENFORCE
    ask: StrictBool = False
    when_expired: WhenExpired = WhenExpired.CLOSED
    keep_for: Duration | None = None
    state: BesidePath = Path("state")
    poll: Duration = timedelta(seconds=60)
    report: Duration = timedelta(seconds=60)
    grant_cap: Duration = timedelta(days=90)
    override_keys: tuple[Key, ...] = ()
    server: Server
    admit: Admitting = Admitting()
    policies: Policies = Policies()
    credentials: Credentials = Credentials()
    requests: Requests = Requests()
    log: Log = Log()
    source: tuple[Source, ...] = ()
    stanzas: tuple[Stanzas, ...] = ()

    @property
    def governed(self) -> tuple[str, ...]:
        """The local domains whose streams are ruled over."""
        return self.hosts or (self.domain,)

    @property
    def view(self) -> str:
        """The audience of the table that is followed, as document names write it."""
        return "community" if self.audience is Audience.COMMUNITY else self.domain

    @property
    def grace(self) -> timedelta:
        """How long rows count after the table has expired."""
        return self.keep_for or timedelta(0)

    @property
    def socket(self) -> Path:
        """Where the command line reaches the agent while it runs."""
        return self.state / CONTROL_SOCKET

    @field_validator("keep_for")
    @classmethod
    def _only_where_kept(cls, found: timedelta | None, info: ValidationInfo) -> timedelta | None:
        keeps = info.data.get("when_expired") is WhenExpired.KEEP
        if keeps and found is None:
            raise wrong("is missing", 'say how long, as in `keep_for = "12 hours"`, or write `when_expired = "closed"`')
        if found is not None and not keeps:
            raise wrong("is set, and nothing is kept", 'write `when_expired = "keep"`, or leave it out')
        return found

    @field_validator("hosts")
    @classmethod
    def _once(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(hosts)) != len(hosts):
            raise wrong("names a host twice", "name each once")
        return hosts

    @field_validator("stanzas")
    @classmethod
    def _one_for_each(cls, found: tuple[Stanzas, ...]) -> tuple[Stanzas, ...]:
        levels = [each.level for each in found]
        if len(set(levels)) != len(levels):
            raise wrong("describes a level twice", "describe each level once")
        return found


def _names(section: type[Section]) -> tuple[str, ...]:
    return tuple(section.model_fields)


NAMES: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "": _names(AgentSettings),
        "server": _names(Server),
        "admit": _names(Admitting),
        "policies": _names(Policies),
        "credentials": _names(Credentials),
        "requests": _names(Requests),
        "log": _names(Log),
        "source": _names(Source),
        "stanzas": _names(Stanzas),
    }
)
"""The names of all settings, by section."""

TABLES: Final = ("admit", "policies", "credentials", "requests", "log")
"""The sections that stand once, and may be left out."""
