"""The configuration of an ejabberd that hosts a small community (23.01, as Debian 12 packages it)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Final

CLIENT_PORT: Final = 5222
COMPONENT_PORT: Final = 5347
API_PORT: Final = 5280

MAX_STANZA_BYTES: Final = 262_144
"""Bytes in one stanza of a client, as Debian configures it."""

_TEMPLATE: Final = Path(__file__).with_name("ejabberd.yml")


@dataclass(frozen=True, slots=True)
class Hosting:
    """What one server hosts: domains of users, brokers, and the component's place.

    *creators* are bare JIDs that may create topics, besides the component.
    """

    domains: tuple[str, ...]
    brokers: tuple[str, ...]
    component: str
    secret: str = field(repr=False)
    creators: tuple[str, ...] = ()


def configuration(hosting: Hosting, address: str, token: str) -> str:
    """Return the text of ``ejabberd.yml``; the only thing that its HTTP interface does is to register users, for who knows *token*."""
    names = {
        "domains": hosting.domains,
        "first_domain": hosting.domains[0],
        "brokers": hosting.brokers,
        "component": hosting.component,
        "secret": hosting.secret,
        "creators": hosting.creators,
        "address": address,
        "client_port": CLIENT_PORT,
        "component_port": COMPONENT_PORT,
        "api_port": API_PORT,
        "max_stanza_bytes": MAX_STANZA_BYTES,
    }
    # JSON is YAML that cannot mean anything else.
    texts = {name: json.dumps(value) for name, value in names.items()}
    return Template(_TEMPLATE.read_text()).substitute(texts, token=token)
