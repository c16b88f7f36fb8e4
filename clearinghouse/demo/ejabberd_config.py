"""The configuration of an ejabberd that hosts a small community (23.01, as Debian 12 packages it)."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Final

from clearinghouse.demo.servers import API_PORT, CLIENT_PORT, COMPONENT_PORT, MAX_STANZA_BYTES, Hosting

_TEMPLATE: Final = Path(__file__).with_name("ejabberd.yml")


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
