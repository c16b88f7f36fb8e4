"""The settings and what each may be; the defaults are the safe choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from clearinghouse import keynote
from clearinghouse.grid import topics
from clearinghouse.settings.federation import Federation, Http
from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.people import Person, by_principal, check_persons
from clearinghouse.settings.redirect import Fronted, Node, Redirect
from clearinghouse.settings.section import Section
from clearinghouse.settings.standing import Control, Desk, Ledger, Rates, Reconcile, Signing
from clearinghouse.settings.values import BareJid, BesidePath, Domain, Duration, Filled, Name, Principal, Words

LOWEST: Final = "deny"
"""The weakest value of every operation; a community's levels begin with it."""

CONTROL_SOCKET: Final = "control.sock"
"""Name of the socket beside the store, unless the settings say another."""


class Store(Section):
    """Where decisions are kept: an SQLite database of our own, mode 0600.

    Where ``url_file`` is named it is the PostgreSQL database whose URL stands in that file, mode 0600, and ``path`` is not used.
    """

    path: BesidePath = Path("clearinghouse.db")
    url_file: BesidePath | None = None


class Policies(Section):
    """Policies, in one folder for each group of operations (rule R1)."""

    directory: BesidePath = Path("policies")


class Credentials(Section):
    """Credentials that are loaded at start."""

    directory: BesidePath = Path("credentials")


class Broker(Section):
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


class AccessModel(StrEnum):
    """Who may subscribe at the broker (XEP-0060, section 4.5): whom we approve one by one, or whom we made a member."""

    AUTHORIZE = "authorize"
    WHITELIST = "whitelist"


class Topic(Section):
    """A node of a broker that is ours to rule over; ``publishers`` are the bare JIDs that may write."""

    node: Filled
    broker: Domain
    payload_type: Filled
    title: Words = ""
    max_items: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 100
    publishers: tuple[BareJid, ...] = ()
    access_model: AccessModel = AccessModel.AUTHORIZE

    def as_topic(self) -> topics.Topic:
        """Return the topic as the grid knows it."""
        return topics.Topic(self.broker, self.node, self.payload_type, self.title, self.max_items, self.access_model.value)


class LogFormat(StrEnum):
    """Lines for people, or JSON for programs."""

    CONSOLE = "console"
    JSON = "json"


class Log(Section):
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


class Settings(Section):
    """Everything that a clearinghouse is told.

    ``levels`` are the values of `federate`, weakest first.  ``shared_keys`` may be licensed by policies
    for people and by others as well (rule R1).  ``grant_cap`` is the longest that any grant lasts.
    ``platforms`` are the bare JIDs whose memberships are worked out before they ask.  Without ``federation`` no levels
    are published, and the four signers and ``http`` are of no use.  ``redirect`` opens the door for servers.
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
    person: tuple[Person, ...] = ()
    platforms: tuple[BareJid, ...] = ()
    desk: Desk = Desk()
    ledger: Ledger = Ledger()
    control: Control = Control()
    rates: Rates = Rates()
    reconcile: Reconcile = Reconcile()
    registrar: Signing = Signing()
    revoker: Signing = Signing()
    timestamp_signer: Signing = Signing()
    table_signer: tuple[Signing, ...] = ()
    http: Http | None = None
    federation: Federation | None = None
    redirect: Redirect | None = None

    def person_of(self, principal: str) -> Person | None:
        """Return whose *principal* (in normal form) is, or ``None``: a stranger, or a key that no person claims."""
        return self._owners.get(principal)

    @cached_property
    def _owners(self) -> dict[str, Person]:
        return by_principal(self.person)

    @field_validator("person")
    @classmethod
    def _told_apart(cls, found: tuple[Person, ...]) -> tuple[Person, ...]:
        return check_persons(found)

    @field_validator("control", mode="before")
    @classmethod
    def _beside_the_store(cls, value: object, info: ValidationInfo) -> object:
        """Put the socket where the service may write for certain; an empty path means none."""
        if not isinstance(value, Mapping) or "store" not in info.data:
            return value
        socket = value.get("socket", str(info.data["store"].path.parent / CONTROL_SOCKET))
        return {**value, "socket": None if socket == "" else socket}

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

    @field_validator("federation")
    @classmethod
    def _signed_for(cls, found: Federation | None, info: ValidationInfo) -> Federation | None:
        known = info.data
        if found is None or not {"broker", "table_signer", "timestamp_signer"} <= known.keys():
            return found
        if not known["table_signer"] or not all(each.there for each in (*known["table_signer"], known["timestamp_signer"])):
            mend = "give `key_file` or `socket` in [[table_signer]], once or more, and in [timestamp_signer]"
            raise wrong("has nobody who signs its tables and timestamps", mend)
        if found.broker is not None and found.broker not in {each.jid for each in known["broker"]}:
            raise wrong(f"tells of tables at `{found.broker}`, which is no [[broker]]", "name the `jid` of one, or leave it out")
        return found


def _twice(names: Iterable[str]) -> str:
    """Return a name that stands twice, or nothing."""
    return next((name for name, count in Counter(names).items() if count > 1), "")


def _names(section: type[BaseModel]) -> tuple[str, ...]:
    return tuple(section.model_fields)


SIGNERS: Final = ("registrar", "revoker", "timestamp_signer")
"""The sections of keys that sign for federation, each at most once; `table_signer` may stand several times."""

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
        "person": _names(Person),
        "desk": _names(Desk),
        "ledger": _names(Ledger),
        "control": _names(Control),
        "rates": _names(Rates),
        "reconcile": _names(Reconcile),
        **dict.fromkeys((*SIGNERS, "table_signer"), _names(Signing)),
        "http": _names(Http),
        "federation": _names(Federation),
        "redirect": _names(Redirect),
        "redirect.fronted": _names(Fronted),
        "redirect.node": _names(Node),
    }
)
"""The names of all settings, by section."""

TABLES: Final = ("store", "policies", "credentials", "limits", "log", "desk", "ledger", "control", "rates", "reconcile", *SIGNERS)
"""The sections that stand once, and may be left out."""

SWITCHES: Final = ("http", "federation", "redirect")
"""The sections that stand once, and switch something on by being there."""
