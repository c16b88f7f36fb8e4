"""What a clearinghouse is told that publishes levels: where its root is, how long tables live, and where they are had."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StrictInt, model_validator

from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.section import Section
from clearinghouse.settings.values import BesidePath, Domain, Duration, Words

HIGHEST_EPOCH: Final = 1_000_000
"""An epoch goes up by one after a key was stolen; a number beyond this one is a slip."""

MAX_VIEWS: Final = 1_000
"""Members that have a view of their own: each is a table of its own, signed at each change."""

MEMBERS: Final = "members"
"""All members have a view of their own, as their agents expect unless they are told otherwise."""

Port = Annotated[StrictInt, Field(ge=0, le=65_535)]


class Federation(Section):
    """The tables of levels, and the records of members.

    ``root_directory`` has what the key ceremony made: the sealed root metadata, ``1.json`` and onwards, and the
    revoker's sets.  ``table_lifetime`` is how long agents may go on with a table when we are away,
    ``timestamp_lifetime`` how long with a timestamp, which is signed anew each ``timestamp_period``.  ``views`` are
    members that get a table of their own: all of them, or those that are named.  ``broker`` is the one whose nodes
    ``tables/...`` tell of new tables.
    """

    root_directory: BesidePath = Path("root")
    epoch: Annotated[StrictInt, Field(ge=1, le=HIGHEST_EPOCH)] = 1
    table_lifetime: Duration = timedelta(days=7)
    timestamp_lifetime: Duration = timedelta(minutes=10)
    timestamp_period: Duration = timedelta(minutes=3)
    views: Literal["members"] | Annotated[tuple[Domain, ...], Field(max_length=MAX_VIEWS)] = MEMBERS
    export_directory: BesidePath | None = None
    broker: Domain | None = None

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if 2 * self.timestamp_period > self.timestamp_lifetime:
            mend = "sign at least twice in a lifetime, so that one that is lost makes no agent stale"
            raise wrong("has a `timestamp_period` that is too long for its `timestamp_lifetime`", mend)
        if self.timestamp_lifetime > self.table_lifetime:
            raise wrong("has timestamps that outlive their tables", "make `table_lifetime` longer: it is for the time that we are away")
        return self


class Http(Section):
    """Where tables, requests and reports are had over HTTPS; without a certificate only this machine is served."""

    host: Words = "127.0.0.1"
    port: Port = 8443
    certificate_file: BesidePath | None = None
    key_file: BesidePath | None = None

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if (self.certificate_file is None) is not (self.key_file is None):
            raise wrong("names a certificate or a key, and not the other", "give `certificate_file` and `key_file`")
        if self.certificate_file is None and not _is_near(self.host):
            raise wrong(f"would serve `{self.host}` without TLS", "give `certificate_file` and `key_file`, or take `127.0.0.1`")
        return self


def _is_near(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
