"""The configuration on the page is complete: a Prosody with exactly these lines federates, and obeys its agent."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from clearinghouse.demo.correspondents import correspondent
from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, Neighbours
from clearinghouse.demo.prosody import Prosody, lua_list, lua_text
from clearinghouse.demo.servers import Hosting
from tests.docs.pages import ROOT, blocks
from tests.servers.federation.sites import AWAY, PASSWORD, SECRET, agent, new_body
from tests.servers.processes import done

pytestmark = pytest.mark.servers

PAGE = ROOT / "docs/how-to/federate-with-prosody.md"
HOSTING = Hosting(("a.fed",), (), "agent.a.fed", SECRET, rooms=("muc.a.fed",))
INSTALL = "clearinghouse server-module prosody /usr/local/lib/prosody/modules --for federation"


@dataclass(slots=True)
class Own(Prosody):
    """A Prosody as the page configures it, with the module that the page's command has written into *modules*."""

    modules: Path = Path()

    def _prepare(self) -> None:
        Prosody._prepare(self)
        shutil.rmtree(self._directory / "modules/mod_clearinghouse")
        shutil.copytree(self.modules / "mod_clearinghouse", self._directory / "modules/mod_clearinghouse")

    def _configuration(self) -> str:
        assert self.neighbours is not None
        here, names = lua_text(str(self._directory)), self.neighbours.names
        address = lua_list([self.address])
        resolver = f"resolvconf = false; hoststxt = false; forward = {lua_list([f'{names.address}@{names.port}'])};"
        places = f"data_path = {here} .. '/data'\ninterfaces = {address}\nallow_unencrypted_plain_auth = true\n"
        asks = f"unbound = {{ {resolver} options = {{ ['do-not-query-localhost:'] = 'no' }} }}\n"
        changes = {
            '"/usr/local/lib/prosody/modules"': f"{here} .. '/modules'",
            '"posix", ': '"ends_with_stdin", ',
            '"/run/prosody/prosody.pid"': f"{here} .. '/prosody.pid'",
            '"*syslog"': f"{here} .. '/prosody.log'",
            '"internal_hashed"': '"internal_plain"',
            "c2s_require_encryption = true": f"c2s_require_encryption = false\n{places}{asks}",
            '"/etc/prosody/certs/a.example.crt"': f"{here} .. '/{CERTIFICATE_FILE}'",
            '"/etc/prosody/certs/a.example.key"': f"{here} .. '/{KEY_FILE}'",
            '"/etc/ssl/certs/ca-certificates.crt"': f"{here} .. '/{AUTHORITY_FILE}'",
            '{ "127.0.0.1" }': address,
            '"the only line of /etc/clearinghouse/secrets/agent.a.example"': lua_text(SECRET),
        }
        (found,) = blocks(PAGE, "lua")
        text = found.text
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text.replace("a.example", "a.fed")  # resolvers know that nobody is there


async def test_the_page_is_all_that_is_needed(tmp_path: Path) -> None:
    assert INSTALL in PAGE.read_text()
    status, _, err = await done(*INSTALL.replace("/usr/local/lib/prosody/modules", str(tmp_path)).split(), cwd=tmp_path)
    assert (status, err) == (0, "")
    with Neighbours() as neighbours:
        async with Own(HOSTING, neighbours=neighbours, modules=tmp_path) as home, Prosody(AWAY, neighbours=neighbours) as away:
            await home.register("alice@a.fed", PASSWORD)
            await away.register("bob@b.fed", PASSWORD)
            async with (
                agent(home) as ours,
                agent(away) as theirs,
                correspondent("alice@a.fed", PASSWORD, home) as alice,
                correspondent("bob@b.fed", PASSWORD, away) as bob,
            ):
                await theirs.rule({}, default="allow")
                assert await alice.bounced(alice.write("bob@b.fed", "x")) == "policy-violation: no policy is known here"
                await ours.rule({"b.fed": "all"})
                for sender, reader in ((alice, bob), (bob, alice)):
                    body = new_body()
                    sender.write(reader.boundjid.bare, body)
                    await reader.reads(body)
                facts = (await ours.enforcer.status())["facts"]
                assert (facts["secure_auth"], facts["starttls"], facts["dialback"], facts["nagle"]) == (True, "required", False, False)
                await ours.change({"b.fed": "none"})
                await theirs.no_streams("a.fed")
                assert "not at a level" in await bob.bounced(bob.write("alice@a.fed", "x"))


def test_the_numbers_on_the_page_are_those_of_the_module() -> None:
    folder = ROOT / "clearinghouse/enforcers/prosody/mod_clearinghouse"
    lines = [line for path in sorted(folder.glob("*.lua")) for line in path.read_text().splitlines() if line.startswith("local MAX_")]
    numbers = {number for line in lines for number in re.findall(r"\d+", line.partition(" --")[0])}
    assert len(lines) >= 7
    page = PAGE.read_text().replace(",", "")
    assert numbers <= set(re.findall(r"\d+", page))
