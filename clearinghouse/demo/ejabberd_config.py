"""The configurations of an ejabberd that hosts a small community, or federates (23.01, as Debian 12 packages it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, S2S_PORT, Neighbours
from clearinghouse.demo.servers import API_PORT, CLIENT_PORT, COMPONENT_PORT, MAX_STANZA_BYTES, Hosting

_TEMPLATE: Final = Path(__file__).with_name("ejabberd.yml")
_FEDERATED: Final = Path(__file__).with_name("ejabberd_federated.yml")


def configuration(hosting: Hosting, address: str, token: str) -> str:
    """Return the text of ``ejabberd.yml``; the only thing that its HTTP interface does is to register users, for who knows *token*."""
    names = {
        "first_domain": hosting.domains[0],
        "brokers": hosting.brokers,
        "creators": hosting.creators,
    }
    return _filled(_TEMPLATE, _names(hosting, address) | names, token=token)


def federated_configuration(hosting: Hosting, address: str, directory: Path, token: str) -> str:
    """Return the text of ``ejabberd.yml`` of a server that federates; *directory* has what it shows and believes."""
    names = {
        "certificates": [str(directory / CERTIFICATE_FILE), str(directory / KEY_FILE)],
        "authority": str(directory / AUTHORITY_FILE),
        "s2s_port": S2S_PORT,
        "exempt": hosting.exempt,
        "doors": {name: [key] for name, key in hosting.doors},
        "components": {name: {"password": hosting.secret} for name in (hosting.component, *hosting.others)},
    }
    options = [f"  mod_muc: {{hosts: {json.dumps(hosting.rooms)}}}"] if hosting.rooms else []
    if hosting.dialback:
        options.append("  mod_s2s_dialback: {}")
    binding = f"outgoing_s2s_ipv4_address: {json.dumps(address)}\n" if hosting.binds else ""
    return _filled(_FEDERATED, _names(hosting, address) | names, token=token, options="\n".join(options), binding=binding)


def name_service(neighbours: Neighbours) -> str:
    """Return the text of ``inetrc``: ask the neighbours' name server, and nobody else.

    Without the empty ``resolv_conf`` Erlang would ask the machine's own servers besides.
    """
    first, second, third, fourth = neighbours.names.address.split(".")
    server = f"{{nameserver, {{{first},{second},{third},{fourth}}}, {neighbours.names.port}}}."
    return f'{{lookup, [file, dns]}}.\n{{resolv_conf, ""}}.\n{{hosts_file, ""}}.\n{server}\n'


def _names(hosting: Hosting, address: str) -> dict[str, object]:
    return {
        "domains": hosting.domains,
        "component": hosting.component,
        "secret": hosting.secret,
        "address": address,
        "client_port": CLIENT_PORT,
        "component_port": COMPONENT_PORT,
        "api_port": API_PORT,
        "max_stanza_bytes": MAX_STANZA_BYTES,
    }


def _filled(template: Path, names: Mapping[str, object], **plain: str) -> str:
    # JSON is YAML that cannot mean anything else.
    texts = {name: json.dumps(value) for name, value in names.items()}
    return Template(template.read_text()).substitute(texts, **plain)
