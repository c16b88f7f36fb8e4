"""How an agent takes signed requests, and how it asks for itself; ``docs/reference/agent-settings.md`` describes every setting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, field_validator, model_validator

from clearinghouse.clearing.vocabulary import OPERATIONS, Origin
from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.section import Section
from clearinghouse.settings.values import BesidePath, Duration, Key, Words

_listen = re.compile(r"(?:\[(?P<six>[0-9a-f:]+)\]|(?P<host>[^:\s]+)):(?P<port>[0-9]{1,5})").fullmatch
_HIGHEST_PORT = 65_535


def _place(text: str) -> str:
    found = _listen(text)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise wrong(f"is `{text[:256]}`, which is no address and port", "write it as in `0.0.0.0:8443` or `[::]:8443`")
    return text


def _url(text: str) -> str:
    found = urlsplit(text)
    if found.scheme != "https" or not found.hostname or found.query or found.fragment or found.username:
        raise wrong(f"is `{text[:256]}`, which is no address", "write it as in `https://hub.example:8443`")
    return text.rstrip("/")


class Requests(Section):
    """Signed requests, in and out.

    ``listen`` is where they come in over HTTPS, with ``certificate_file`` and ``private_key_file``; without it they come
    over XMPP and through the clearinghouse alone.  ``ca_file`` vouches for the agents that we ask, the system's without one.
    ``show`` is the folder of credentials that may be shown to whom we ask, ``roots`` are keys that targets trust beside
    those of their member records, ``claims`` stand in each of our requests, and ``period`` is what we ask for.  ``relay``
    is the clearinghouse's URL, where it passes requests on.  ``desk_key_file`` signs what the site's people approve.
    """

    listen: Annotated[Words, AfterValidator(_place)] | None = None
    certificate_file: BesidePath | None = None
    private_key_file: BesidePath | None = None
    ca_file: BesidePath | None = None
    show: BesidePath = Path("show")
    roots: tuple[Key, ...] = ()
    claims: Mapping[str, Words] = {}
    period: Duration = timedelta(hours=1)
    relay: Annotated[Words, AfterValidator(_url)] | None = None
    desk_key_file: BesidePath | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        found = _listen(self.listen or "")
        return ("", 0) if found is None else (found["six"] or found["host"], int(found["port"]))

    @field_validator("claims")
    @classmethod
    def _known(cls, claims: Mapping[str, str]) -> Mapping[str, str]:
        rows = OPERATIONS["whitelist"].attributes
        for name in claims:
            if name not in rows or rows[name].origin not in {Origin.PARAMETER, Origin.STATEMENT}:
                raise wrong(f"has `{name}`, which nobody can claim", "see docs/reference/attributes.md, `whitelist`")
        return claims

    @model_validator(mode="after")
    def _with_certificate(self) -> Self:
        if self.listen is not None and (self.certificate_file is None or self.private_key_file is None):
            raise wrong("has `listen` and no certificate", "add `certificate_file` and `private_key_file`: requests come over TLS alone")
        return self
