"""The configuration of an ejabberd that hosts a small community (23.01, as Debian 12 packages it)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

CLIENT_PORT: Final = 5222
COMPONENT_PORT: Final = 5347
API_PORT: Final = 5280

MAX_STANZA_BYTES: Final = 262_144
"""Bytes in one stanza of a client, as Debian configures it."""


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
    return f"""\
hosts: {_text(hosting.domains)}
loglevel: info

# Nothing here leaves the loopback interface, which is why nothing here is encrypted.
listen:
  - {{module: ejabberd_c2s, ip: {_text(address)}, port: {CLIENT_PORT}, access: all, shaper: none, max_stanza_size: {MAX_STANZA_BYTES}}}
  - module: ejabberd_service
    ip: {_text(address)}
    port: {COMPONENT_PORT}
    access: all
    shaper_rule: none
    hosts: {{{_text(hosting.component)}: {{password: {_text(hosting.secret)}}}}}
  - {{module: ejabberd_http, ip: {_text(address)}, port: {API_PORT}, request_handlers: {{/{token}: mod_http_api}}}}

# A local program needs the path above; with it, it can make accounts and nothing else.
api_permissions:
  accounts: {{who: [{{ip: 127.0.0.0/8}}], what: [register]}}

auth_method: internal
auth_password_format: scram

acl:
  creators:
    server: {_text([hosting.component])}
    user: {_text(hosting.creators)}
access_rules:
  create_topics: {{allow: creators}}

modules:
  mod_adhoc: {{}}     # carries the command that brings lost requests back
  mod_caps: {{}}
  mod_disco: {{}}
  mod_offline: {{}}
append_host_config:
  {_text(hosting.domains[0])}:
    modules:
      mod_pubsub:
        hosts: {_text(hosting.brokers)}
        access_createnode: create_topics
        plugins: [flat]
        last_item_cache: false
        max_items_node: 1000
"""


def _text(value: object) -> str:
    """Return *value* as JSON, which is YAML that cannot mean anything else."""
    return json.dumps(value)
