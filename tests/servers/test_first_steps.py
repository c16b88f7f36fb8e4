"""What `init` writes and tells works: its ejabberd.yml in a real ejabberd, its three commands in a real shell."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Platform, client_platform
from clearinghouse.demo.servers import API_PORT, CLIENT_PORT, Hosting
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.processes import done, program

pytestmark = pytest.mark.servers

USER, PASSWORD = "ann@hub.example", "password"

SERVER = """\
hosts: [hub.example, grid.hub.example]
listen:
  - {{module: ejabberd_c2s, ip: "{address}", port: {client}, access: all}}
  - {{module: ejabberd_http, ip: "{address}", port: {api}, request_handlers: {{/{token}: mod_http_api}}}}
api_permissions:
  accounts: {{who: [{{ip: 127.0.0.0/8}}], what: [register]}}
acl:
  local: {{user_regexp: ""}}
access_rules:
  local: {{allow: local}}
modules:
  mod_caps: {{}}
  mod_disco: {{}}
  mod_adhoc: {{}}
  mod_pubsub:
    access_createnode: local
    hosts: ["own.@HOST@"]
    plugins: [flat, pep]
include_config_file: "{include}"
"""


@dataclass(slots=True)
class OwnEjabberd(Ejabberd):
    """An ejabberd of somebody who has included what `init` wrote."""

    include: Path = Path()

    def _prepare(self) -> None:
        Ejabberd._prepare(self)
        config, included = self._directory / "ejabberd.yml", self._directory / "clearinghouse.yml"
        included.touch(mode=0o600)
        included.write_text(self.include.read_text())
        os.chown(included, config.stat().st_uid, config.stat().st_gid)
        ports = {"client": CLIENT_PORT, "api": API_PORT}
        config.write_text(SERVER.format(address=self.address, token=self._token, include=included, **ports))


def moved(directory: Path, address: str) -> None:
    """Let both sides use a loopback address of their own, so that any number of tests can run side by side."""
    for name in ("clearinghouse.toml", "ejabberd.yml"):
        path = directory / name
        assert '"127.0.0.1"' in path.read_text()
        path.write_text(path.read_text().replace('"127.0.0.1"', f'"{address}"'))


async def keeps_pep(user: Platform) -> None:
    """What the server's own mod_pubsub does for users (XEP-0163) goes on beside ours, which lets them make no node."""
    own = replace(user, broker=USER)
    await own.publish("urn:example:own", Element("{urn:example:own}thing"))
    assert [each.tag for each in await own.fetch("urn:example:own")] == ["{urn:example:own}thing"]
    with pytest.raises(StanzaRefused):
        await user.publish("mine", Element("{urn:example:own}thing"))


async def test_from_nothing_to_a_first_approval_by_the_commands_as_they_are_printed(tmp_path: Path) -> None:
    status, out, err = await done("clearinghouse", "init", "hub", "--community", "csirt-net", "--json", cwd=tmp_path)
    assert (status, err) == (0, "")
    check, serve, approve = json.loads(out)["commands"]
    hosting = Hosting(("hub.example",), (), "clearinghouse.hub.example", "")
    server = OwnEjabberd(hosting, include=tmp_path / "hub/ejabberd.yml")
    moved(tmp_path / "hub", server.address)
    async with server:
        await server.register(USER, PASSWORD)
        status, out, err = await done("sh", "-c", check, cwd=tmp_path)
        assert (status, err) == (0, ""), out
        async with program("sh", "-c", f"exec {serve}", cwd=tmp_path) as running:
            await running.says("  ready  ")
            async with client_platform(f"{USER}/x", PASSWORD, server.address, CLIENT_PORT, broker="pubsub.hub.example") as ann:
                await keeps_pep(ann)
                assert await ann.subscribe("incidents") == "pending"
                await running.says("  pending  ")
                assert ann.rulings.empty()
                status, _, err = await done("sh", "-c", approve, cwd=tmp_path)
                assert (status, err) == (0, "")
                assert (await ann.ruling()).state == "subscribed"
