"""What `init` writes and tells works, in the servers as the pages configure them: its three commands in a real shell."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.platforms import Platform, client_platform
from clearinghouse.demo.prosody import Prosody, lua_list, lua_text
from clearinghouse.demo.servers import API_PORT, CLIENT_PORT, Hosting, Server
from clearinghouse.grid.stanzas import StanzaRefused
from tests.docs.pages import ROOT, blocks
from tests.servers.processes import done, program

pytestmark = pytest.mark.servers

USER, PASSWORD = "ann@hub.example", "password"

HOW_TO = ROOT / "docs" / "how-to"
HOSTING = Hosting(("hub.example",), (), "clearinghouse.hub.example", "")


def on_page(page: str, language: str, changes: dict[str, str]) -> str:
    """Return the configuration that a page shows, with what another machine than the reader's needs."""
    (found,) = blocks(HOW_TO / page, language)
    text = found.text
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@dataclass(slots=True)
class OwnEjabberd(Ejabberd):
    """An ejabberd as the page configures it, which includes what `init` wrote."""

    include: Path = Path()

    def _prepare(self) -> None:
        Ejabberd._prepare(self)
        (self._directory / "clearinghouse.yml").write_text(self.include.read_text())
        api = f'  - {{module: ejabberd_http, port: {API_PORT}, ip: "{self.address}", request_handlers: {{/{self._token}: mod_http_api}}}}'
        changes = {
            "certfiles: [/etc/ejabberd/ejabberd.pem]": "api_permissions: {accounts: {who: [{ip: 127.0.0.0/8}], what: [register]}}",
            'ip: "::", access: all, starttls_required: true}': f'ip: "{self.address}", access: all}}\n{api}',
            "/etc/ejabberd/clearinghouse.yml": f'"{self._directory}/clearinghouse.yml"',
        }
        (self._directory / "ejabberd.yml").write_text(on_page("run-with-ejabberd.md", "yaml", changes))


@dataclass(slots=True)
class OwnProsody(Prosody):
    """A Prosody as the page configures it, with the module that the command has written into *modules*."""

    modules: Path = Path()
    secret: str = ""

    def _prepare(self) -> None:
        Prosody._prepare(self)
        (own,) = (self._directory / "modules").glob("*.lua")  # ends it when we end
        kept = own.read_bytes()
        shutil.rmtree(own.parent)
        shutil.copytree(self.modules, own.parent)
        own.write_bytes(kept)

    def _configuration(self) -> str:
        here = lua_text(str(self._directory))
        places = f"data_path = {here} .. '/data'\ninterfaces = {lua_list([self.address])}\nmodules_disabled = {{ 's2s' }}\n"
        changes = {
            '"/usr/local/lib/prosody/modules"': f"{here} .. '/modules'",
            '"/run/prosody/prosody.pid"': f"{here} .. '/prosody.pid'",
            '"*syslog"': f"{here} .. '/prosody.log'",
            '"saslauth", "tls"': '"saslauth", "ends_with_stdin"',
            "c2s_require_encryption = true": f"c2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n{places}",
            '"127.0.0.1"': lua_text(self.address),
            '"the only line of /etc/clearinghouse/secrets/clearinghouse.hub.example"': lua_text(self.secret),
        }
        return on_page("run-with-prosody.md", "lua", changes)


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


async def founded(place: Path) -> list[str]:
    """Run `init` and return the three commands that it tells."""
    status, out, err = await done("clearinghouse", "init", "hub", "--community", "csirt-net", "--json", cwd=place)
    assert (status, err) == (0, "")
    commands: list[str] = json.loads(out)["commands"]
    return commands


async def first_approval(server: Server, place: Path, commands: list[str]) -> None:
    """Type the commands: check, serve, and approve once somebody waits."""
    check, serve, pending = commands
    async with server:
        await server.register(USER, PASSWORD)
        status, out, err = await done("sh", "-c", check, cwd=place)
        assert (status, err) == (0, ""), out
        async with program("sh", "-c", f"exec {serve}", cwd=place) as running:
            await running.says("  ready  ")
            async with client_platform(f"{USER}/x", PASSWORD, server.address, CLIENT_PORT, broker="pubsub.hub.example") as ann:
                await keeps_pep(ann)
                assert await ann.subscribe("incidents") == "pending"
                await running.says("  pending  ")
                assert ann.rulings.empty()
                status, out, err = await done("sh", "-c", f"{pending} --json", cwd=place)
                assert (status, err) == (0, "")
                (case,) = json.loads(out)["cases"]
                status, _, err = await done("sh", "-c", pending.replace("pending", f"approve {case['id']} --yes", 1), cwd=place)
                assert (status, err) == (0, "")
                assert (await ann.ruling()).state == "subscribed"


async def test_from_nothing_to_a_first_approval_at_ejabberd(tmp_path: Path) -> None:
    commands = await founded(tmp_path)
    server = OwnEjabberd(HOSTING, include=tmp_path / "hub/ejabberd.yml")
    moved(tmp_path / "hub", server.address)
    await first_approval(server, tmp_path, commands)


async def test_from_nothing_to_a_first_approval_at_prosody(tmp_path: Path) -> None:
    commands = await founded(tmp_path)
    status, _, err = await done("clearinghouse", "server-module", "prosody", "modules", cwd=tmp_path)
    assert (status, err) == (0, "")
    secret = (tmp_path / "hub/secrets/clearinghouse.hub.example").read_text().strip()
    server = OwnProsody(HOSTING, modules=tmp_path / "modules", secret=secret)
    moved(tmp_path / "hub", server.address)
    await first_approval(server, tmp_path, commands)
