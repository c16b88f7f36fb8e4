"""What the ejabberd of the demonstration lets others do: make accounts, if they know how."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.ejabberd_config import configuration
from clearinghouse.errors import OperatorError
from tests.servers.worlds import HOSTING


@pytest.mark.servers
async def test_interface_makes_accounts_and_nothing_else(ejabberd: Ejabberd) -> None:
    for command in ("status", "stop", "unregister", "connected_users"):
        with pytest.raises(OperatorError, match=r"HTTP 40[013]"):
            await asyncio.to_thread(ejabberd._call, command, {})
    token, ejabberd._token = ejabberd._token, "guess"
    try:
        with pytest.raises(OperatorError, match="HTTP 404"):
            await asyncio.to_thread(ejabberd._call, "register", {"user": "x", "host": "csirt.example", "password": "x"})
    finally:
        ejabberd._token = token


def test_names_cannot_break_out_of_the_configuration() -> None:
    text = configuration(replace(HOSTING, secret='"}\nacl: {x: "'), "127.0.0.1", "token")
    assert json.dumps('"}\nacl: {x: "') in text
    assert text.count("\nacl:") == 1
