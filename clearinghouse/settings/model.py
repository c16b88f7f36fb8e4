"""The settings and what each may be; the defaults are the safe choice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from clearinghouse import keynote
from clearinghouse.clearing.vocabulary import EVERYTHING, Kind, is_canonical
from clearinghouse.errors import BadPrincipal
from clearinghouse.grid import topics
from clearinghouse.keynote.principals import normalise
from clearinghouse.settings.mistakes import wrong

LOWEST: Final = "deny"
"""The weakest value of every operation; a community's levels begin with it."""

LONGEST_GRANT: Final = timedelta(days=366)
"""No grant can be asked for a longer time."""

# -- forms of values ----------------------------------------------------------------------------------


MAX_WORDS: Final = 256
"""Characters of a title, a node's name, a namespace or a host."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise wrong(f"has `{text[:MAX_WORDS]}`, which is no name", "use lower-case letters, digits, `.`, `_` and `-`, at most 63")
    return text


def _words(text: str) -> str:
    if not text.isprintable() or len(text) > MAX_WORDS:
        raise wrong("has control characters, or is too long", f"use at most {MAX_WORDS} printable characters")
    return text


def _filled(text: str) -> str:
    if not text:
        raise wrong("is empty", "write something")
    return text


def _domain(text: str) -> str:
    if text == EVERYTHING or not is_canonical(Kind.DOMAIN, text):
        raise wrong(f"is `{text}`, which is no domain", "write it in lower case, with A-labels, as in `pubsub.example.org`")
    return text


def _bare_jid(text: str) -> str:
    if text == EVERYTHING or text != text.lower() or not is_canonical(Kind.JID, text):
        raise wrong(f"has `{text}`, which is no bare JID in lower case", "write `user@domain`, or a domain")
    return text


def _principal(text: str) -> str:
    try:
        return normalise(text)
    except BadPrincipal as error:
        raise wrong(f"has a key that cannot be decoded: {error.message}", error.mend) from None


def _beside(path: Path, info: ValidationInfo) -> Path:
    context: Mapping[str, Path] = info.context or {"directory": Path()}
    return context["directory"] / path.expanduser()


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
    number, _, unit = value.partition(" ") if isinstance(value, str) else ("", "", "")
    seconds = units.get(unit.removesuffix("s"))
    if seconds is None or not number.isascii() or not number.isdecimal():
        raise wrong(f"is `{value}`, which is no length of time", "write it as in `90 days`, `12 hours` or `30 minutes`")
    length = timedelta(seconds=min(int(number[:12]) * seconds, 10 * LONGEST_GRANT.total_seconds()))
    if not timedelta(0) < length <= LONGEST_GRANT:
        raise wrong(f"is `{value}`", f"take more than nothing and at most {LONGEST_GRANT.days} days")
    return length


Domain = Annotated[str, AfterValidator(_domain)]
BareJid = Annotated[str, AfterValidator(_bare_jid)]
Principal = Annotated[str, AfterValidator(_principal)]
BesidePath = Annotated[Path, AfterValidator(_beside)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Name = Annotated[str, AfterValidator(_name)]
Words = Annotated[str, AfterValidator(_words)]

# -- sections -----------------------------------------------------------------------------------------


class _Section(BaseModel):
    """Part of the settings; its relative paths start at the directory that validation is told (``context``)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Store(_Section):
    """Where decisions are kept: an SQLite database of our own, mode 0600."""

    path: BesidePath = Path("clearinghouse.db")


class Policies(_Section):
    """Policies, in one folder for each group of operations (rule R1)."""

    directory: BesidePath = Path("policies")


class Credentials(_Section):
    """Credentials that are loaded at start."""

    directory: BesidePath = Path("credentials")


class Broker(_Section):
    """A publish-subscribe service, and the component as which we talk to it (XEP-0114).

    ``vouched_by`` is the server that hosts the component: every name that comes through it rests on
    that server's word (rule R10).  It is the component's parent domain unless it is named.
    """

    jid: Domain
    component: Domain
    secret_file: BesidePath
    host: Words = "127.0.0.1"
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] = 5347
    vouched_by: Domain | None = None

    @property
    def link(self) -> tuple[str, int, Path, str]:
        """How its component is connected; brokers of one component agree on it."""
        return self.host, self.port, self.secret_file, self.voucher

    @property
    def voucher(self) -> str:
        """The server whose word every name from this broker rests on."""
        return self.vouched_by or self.component.partition(".")[2] or self.component


class Topic(_Section):
    """A node of a broker that is ours to rule over; ``publishers`` are the bare JIDs that may write."""

    node: Annotated[Words, AfterValidator(_filled)]
    broker: Domain
    payload_type: Annotated[Words, AfterValidator(_filled)]
    title: Words = ""
    max_items: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 100
    publishers: tuple[BareJid, ...] = ()

    def as_topic(self) -> topics.Topic:
        """Return the topic as the grid knows it."""
        return topics.Topic(self.broker, self.node, self.payload_type, self.title, self.max_items)


class LogFormat(StrEnum):
    """Lines for people, or JSON for programs."""

    CONSOLE = "console"
    JSON = "json"


class Log(_Section):
    """How the service tells what it does, on standard error."""

    format: LogFormat = LogFormat.CONSOLE


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Limits(keynote.Limits):
    """The engine's limits for what strangers send; see `clearinghouse.keynote.Limits`."""

    @field_validator("*", mode="before")
    @classmethod
    def _positive(cls, value: object) -> object:
        if type(value) is not int or value < 1:
            raise wrong(f"is `{value}`", "take a whole number, at least 1")
        return value


# -- the whole ----------------------------------------------------------------------------------------


class Settings(_Section):
    """Everything that a clearinghouse is told.

    ``levels`` are the values of `federate`, weakest first.  ``shared_keys`` may be licensed by policies
    for people and by others as well (rule R1).  ``grant_cap`` is the longest that any grant lasts.
    """

    community: Name
    levels: tuple[Name, ...] = (LOWEST, "allow")
    shared_keys: tuple[Principal, ...] = ()
    allow_legacy_signatures: StrictBool = False
    grant_cap: Duration = timedelta(days=90)
    store: Store = Store()
    policies: Policies = Policies()
    credentials: Credentials = Credentials()
    limits: Limits = Limits()
    log: Log = Log()
    broker: tuple[Broker, ...] = ()
    topic: tuple[Topic, ...] = ()

    @field_validator("levels")
    @classmethod
    def _ordered(cls, levels: tuple[str, ...]) -> tuple[str, ...]:
        if len(levels) < 2 or levels[0] != LOWEST or _twice(levels):  # noqa: PLR2004 - a scale has a bottom and a top
            raise wrong("is no scale of levels", f'begin with "{LOWEST}", then name each level once, weakest first')
        return levels

    @field_validator("broker")
    @classmethod
    def _agreeing(cls, brokers: tuple[Broker, ...]) -> tuple[Broker, ...]:
        if twice := _twice(each.jid for each in brokers):
            raise wrong(f"names `{twice}` twice", "describe each broker once")
        links = {each.component: each.link for each in brokers}
        for each in brokers:
            if links[each.component] != each.link:
                mend = "give brokers of one component the same host, port, secret_file and vouched_by"
                raise wrong(f"connects `{each.component}` in two ways", mend)
        return brokers

    @field_validator("topic")
    @classmethod
    def _placed(cls, found: tuple[Topic, ...], info: ValidationInfo) -> tuple[Topic, ...]:
        if twice := _twice(each.node for each in found):
            raise wrong(f"names `{twice}` twice", "a policy knows a topic by its node: give each its own, at all brokers together")
        brokers = [each.jid for each in info.data.get("broker", ())]
        for each in found:
            if "broker" in info.data and each.broker not in brokers:
                mend = f"the brokers are {', '.join(brokers) or 'none'}"
                raise wrong(f"`{each.node}` is at `{each.broker}`, which is no [[broker]]", mend)
        return found


def _twice(names: Iterable[str]) -> str:
    """Return a name that stands twice, or nothing."""
    return next((name for name, count in Counter(names).items() if count > 1), "")


def _names(section: type[BaseModel]) -> tuple[str, ...]:
    return tuple(section.model_fields)


NAMES: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "": _names(Settings),
        "store": _names(Store),
        "policies": _names(Policies),
        "credentials": _names(Credentials),
        "limits": tuple(each.name for each in fields(Limits)),
        "log": _names(Log),
        "broker": _names(Broker),
        "topic": _names(Topic),
    }
)
"""The names of all settings, by section."""

TABLES: Final = ("store", "policies", "credentials", "limits", "log")
"""The sections that stand once, and may be left out."""
