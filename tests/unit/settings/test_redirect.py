"""What `[redirect]` refuses, by what a reader of the error is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.errors import BadSettings
from clearinghouse.settings import Settings
from clearinghouse.settings.reading import parse_settings

DOOR = """
community = "csirt-net"
[redirect]
name = "door.hub.example"
certificate_file = "door.crt"
key_file = "door.key"
anchors_file = "ca.pem"
"""
FRONTED = '[[redirect.fronted]]\ndomain = "{}"\ncertificate_file = "a.crt"\nkey_file = "a.key"\n'

MISTAKES = [
    (DOOR + '[[redirect.node]]\nname = "192.0.2.1"\n', "is the address `192.0.2.1`", "give a name"),
    (DOOR + '[[redirect.node]]\nname = "d.example"\n' * 2, "has two nodes at d.example, port 5269", "once"),
    (DOOR + FRONTED.format("a.example") * 2, "has two certificates for `a.example`", "once"),
    (DOOR + FRONTED.format("door.hub.example"), "has two certificates for `door.hub.example`", "once"),
    (DOOR + 'listen = "127.0.0.1:5269"\n', "`listen` in [redirect] is one value, and takes a list", "brackets"),
    (DOOR + 'listen = ["door:5269"]\n', "`door:5269`, which is no address with a port", "[::]:5269"),
    (DOOR + 'listen = ["127.0.0.1:70000"]\n', "which is no address with a port", ""),
    (DOOR + "listen = []\n", "listens nowhere", "listen_tls"),
    (DOOR + 'outage = "15m"\n', "`15m`, which is no length of time", "30 minutes"),
    (DOOR + 'require = "tls"\n', "`require` in [redirect]", "'certificate', 'dialback' or 'none'"),
    (DOOR.replace("anchors_file", "anchor_file"), "2 mistakes", "did you mean `anchors_file`?"),
]


def parse(text: str) -> Settings:
    return parse_settings(text, file="clearinghouse.toml", directory=Path("/hub"))


@pytest.mark.parametrize("text,fact,mend", MISTAKES, ids=[fact for _, fact, _ in MISTAKES])
def test_a_mistake_is_named_with_its_mend(text: str, fact: str, mend: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(text)
    assert fact in str(caught.value)
    assert mend in caught.value.mend


def test_nodes_may_share_a_name_at_other_ports() -> None:
    node = '[[redirect.node]]\nname = "d.example"\nport = {}\n'
    redirect = parse(DOOR + node.format(5269) + node.format(5270)).redirect
    assert redirect is not None
    assert [each.port for each in redirect.nodes] == [5269, 5270]
