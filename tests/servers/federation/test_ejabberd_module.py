"""The module as its page has it installed, in an ejabberd that runs: whom it believes, and what is left when all else fails."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest

from clearinghouse.demo.correspondents import correspondent
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import API_PORT, Hosting
from clearinghouse.doors.xmpp.session import Account, Session
from clearinghouse.enforcers import ejabberd
from clearinghouse.enforcers.levels import PUSH
from clearinghouse.errors import MissingPackage, OperatorError
from clearinghouse.federation.enforced.image import Image, change_between
from clearinghouse.federation.enforced.pushes import change_push, pushes, written
from clearinghouse.grid.stanzas import IQ, StanzaRefused
from tests.servers.federation.conftest import lasting
from tests.servers.federation.sites import AWAY, CLASSES, HOME, PASSWORD, SECRET, Site, agent, new_body, new_serial, site
from tests.servers.processes import PATH
from tests.servers.test_first_steps import HOW_TO, on_page

pytestmark = pytest.mark.servers

OWN: Hosting = replace(HOME, exempt=(), others=())
LIAR, LIARS_PORT = "liar.a.fed", 5348
SILENT_PORT = 5270

PAGE = "federate-with-ejabberd.md"
INSTALL = ("clearinghouse", "server-module", "ejabberd")


@dataclass(slots=True)
class OnPage(Ejabberd):
    """An ejabberd as the page configures it; the module is installed while it runs."""

    async def start(self) -> None:
        await Ejabberd.start(self)
        if not (self._directory / "home" / ejabberd.MODULE).exists():
            await asyncio.to_thread(self._call, "module_install", {"module": ejabberd.MODULE})
            await self.configure(self._page())

    def _configuration(self) -> str:
        Ejabberd._configuration(self)  # writes who answers for names
        shutil.rmtree(self._directory / "home" / ejabberd.MODULE)
        subprocess.run([*INSTALL, self._directory / "home"], check=True, capture_output=True, env={"PATH": PATH})
        shutil.rmtree(self._directory / "home" / ejabberd.MODULE)  # as on a machine without a compiler
        return self.without_module()

    def without_module(self) -> str:
        before, _, _ = self._page().partition(f"  {ejabberd.MODULE}:\n")
        return before

    async def configure(self, text: str) -> None:
        (self._directory / "ejabberd.yml").write_text(text)
        await asyncio.to_thread(self._call, "reload_config", {})

    def _page(self) -> str:
        shown = [str(self._directory / name) for name in (CERTIFICATE_FILE, KEY_FILE)]
        hosts = f'{{{LIAR}: {{password: "{SECRET}"}}}}'
        liar = f'  - {{module: ejabberd_service, port: {LIARS_PORT}, ip: "{self.address}", check_from: false, hosts: {hosts}}}'
        commands = "api_permissions: {tests: {who: [{ip: 127.0.0.0/8}], what: [register, module_install, reload_config]}}"
        api = f'  - {{module: ejabberd_http, port: {API_PORT}, ip: "{self.address}", request_handlers: {{/{self._token}: mod_http_api}}}}'
        changes = {
            "[/etc/ejabberd/ejabberd.pem]": f"{shown}\n{commands}",
            "/etc/ssl/certs/ca-certificates.crt": str(self._directory / AUTHORITY_FILE),
            'ip: "::", access: all, starttls_required: true}': f'ip: "{self.address}", access: all}}\n{api}\n{liar}',
            '"::"': f'"{self.address}"',
            '"127.0.0.1"': f'"{self.address}"',
            '"the only line of /etc/clearinghouse/secrets/agent.a.example"': f'"{SECRET}"',
        }
        return on_page(PAGE, "yaml", changes).replace("a.example", "a.fed")


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[OnPage, Prosody]]:
    with Neighbours() as neighbours:
        for home in lasting(OnPage, OWN, neighbours):
            for away in lasting(Prosody, AWAY, neighbours):
                assert isinstance(home, OnPage)
                assert isinstance(away, Prosody)
                yield home, away


@pytest.fixture
async def both(two: tuple[OnPage, Prosody]) -> AsyncIterator[Site]:
    async with site(*two) as made:
        yield made


async def test_the_page_leads_to_a_server_that_is_governed(both: Site) -> None:
    await both.home.rule({"b.fed": "all"})
    for sender, reader in ((both.alice, both.bob), (both.bob, both.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    facts = (await both.home.enforcer.status())["facts"]
    assert set(facts["hosts"]) == set(facts["governed"]) == {"a.fed", "muc.a.fed", "agent.a.fed"}
    assert (facts["dialback"], facts["dialback_access"], facts["secure_auth"]) == (False, "none", True)
    assert (facts["starttls"], facts["retry_delay"], facts["shared_components"]) == ("required", 10, False)
    assert "a.fed" in facts["certificates"]["a.fed"]["names"]


async def test_a_component_that_may_send_under_any_name_may_not_push(both: Site) -> None:
    before = await both.home.rule({"b.fed": "none"})
    (begin, *_) = pushes(Image("a.fed", new_serial(), ("a.fed",), CLASSES, {}, default="allow"))
    heard: asyncio.Queue[Element] = asyncio.Queue()
    session = Session(Account(LIAR, SECRET, both.home.server.address, LIARS_PORT), heard.put_nowait)
    await session.open()
    try:
        lie = Element(IQ, {"from": OWN.component, "to": "a.fed", "type": "set", "id": "lie"})
        SubElement(lie, PUSH).text = written(begin)
        session.write(lie)
        honest = Element(IQ, {"from": LIAR, "to": "a.fed", "type": "set", "id": "honest"})
        SubElement(honest, PUSH).text = written(begin)
        session.write(honest)
        async with asyncio.timeout(10):
            answer = await heard.get()
    finally:
        await session.close()
    assert (answer.get("id"), answer.get("type")) == ("honest", "error")
    assert answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}forbidden") is not None
    assert (await both.home.enforcer.status())["images"]["a.fed"]["serial"] == before.serial


async def test_what_waits_for_a_connection_is_judged_again(both: Site) -> None:
    # The other server answers nothing for a while, and meanwhile what was on its way to it may go there no more.
    callers: list[asyncio.StreamWriter] = []
    home = both.home.server
    assert home.neighbours is not None
    async with await asyncio.start_server(lambda _, writer: callers.append(writer), home.address, SILENT_PORT):
        home.neighbours.names.put("silent.fed", home.address, SILENT_PORT)
        await both.home.rule({"silent.fed": "all"})
        first = both.alice.write("bob@silent.fed", "x")
        await both.alice.ping("a.fed")  # is answered after that
        await both.home.change({"silent.fed": "in"})
        assert await both.alice.bounced(first) == "policy-violation: inbound only (d-1)"
        await both.home.change({"silent.fed": "out"})
        second = both.alice.write("bob@silent.fed", "x")
        await both.alice.ping("a.fed")
        await both.home.change({"silent.fed": "none"})
        assert await both.alice.bounced(second) == "policy-violation: not at a level for a.fed (d-1)"
        for writer in callers:
            writer.close()
            await writer.wait_closed()


async def test_a_module_that_comes_late_cuts_what_is_there(both: Site) -> None:
    home = both.home.server
    assert isinstance(home, OnPage)
    await both.home.rule({"b.fed": "none"})
    await home.configure(home.without_module())
    for sender, reader in ((both.alice, both.bob), (both.bob, both.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    assert await both.away.streams("a.fed") == {"inbound", "outbound"}
    await home.configure(home._page())
    await both.away.no_streams("a.fed")
    refused = await both.alice.bounced(both.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: not at a level for a.fed (d-1)"


async def test_a_name_is_one_name_however_it_is_written(both: Site) -> None:
    await both.home.rule({"b.fed": "none", "xn--mnchen-3ya.fed": "none"}, default="allow")
    for remote in ("bob@b.fed.", "bob@B.FED", "bob@münchen.fed", "bob@MÜNCHEN.fed.", "bob@xn--mnchen-3ya.fed"):
        refused = await both.alice.bounced(both.alice.write(remote, new_body()))
        assert refused == "policy-violation: not at a level for a.fed (d-1)", remote


@pytest.fixture
async def mortal() -> AsyncIterator[Ejabberd]:
    """A server of the test's own loop, which may be killed."""
    with Neighbours() as neighbours:
        async with Ejabberd(replace(OWN, dialback=True), neighbours=neighbours) as server:
            await server.register("alice@a.fed", PASSWORD)
            yield server


async def test_an_image_survives_a_server_that_is_killed_in_the_middle_of_a_change(mortal: Ejabberd) -> None:
    async with agent(mortal) as ours:
        await ours.rule({"b.fed": "none", "c.fed": "all"})
        await ours.change({"c.fed": "talk"})
        await ours.know({"b.fed": ["0" * 64]}, 7)
        wanted = ours.image
    assert wanted is not None
    await killed(mortal)
    with kept(mortal).open("ab") as file:
        file.write(b"\x00\x00\x01\x00half of a change")
    await mortal.start()
    async with agent(mortal) as ours:
        assert (await ours.event("started"))["images"] == {"a.fed": wanted.serial}
        assert (await ours.enforcer.status())["peers"] == {"a.fed": {"serial": 7, "count": 1, "kept": True}}
        change = change_between(wanted, replace(wanted, serial=new_serial(), rows={"b.fed": "talk"}))
        assert change is not None
        push = Element(PUSH)
        push.text = written(change_push(change) or {})
        await ours.link.ask("a.fed", "set", push)  # goes on where the last whole one ended
    await killed(mortal)
    kept(mortal, ".peers").write_bytes(b"")
    await mortal.start()
    await mortal.register("carol@a.fed", PASSWORD)  # alice's account may have been lost: the server's own database is slower
    async with agent(mortal) as ours, correspondent("carol@a.fed", PASSWORD, mortal) as carol:
        assert (await ours.event("started"))["images"] == {"a.fed": change.serial}
        assert (await ours.enforcer.status())["peers"] == {"a.fed": {"serial": 0, "count": 0, "kept": False}}  # which no key matches
        with pytest.raises(StanzaRefused, match="messages and presence only"):
            await carol.ping("b.fed")
        assert await carol.bounced(carol.write("dave@c.fed", new_body())) == "policy-violation: unknown here (d-1)"


async def test_what_cannot_be_kept_is_in_force_and_closed_after_a_restart(mortal: Ejabberd) -> None:
    async with agent(mortal) as ours, correspondent("alice@a.fed", PASSWORD, mortal) as alice:
        await ours.rule({"b.fed": "all"})
        folder = kept(mortal).parent
        folder.chmod(0o500)
        ours.enforcer.forget()
        await ours.rule({"b.fed": "none"})
        assert (await ours.enforcer.status())["images"]["a.fed"]["kept"] is False
        assert await alice.bounced(alice.write("bob@b.fed", new_body())) == "policy-violation: not at a level for a.fed (d-1)"
    await killed(mortal)
    await mortal.start()
    async with agent(mortal) as ours:
        assert (await ours.event("started"))["images"] == {}  # and not the one that allowed more
        folder.chmod(0o700)
        await ours.rule({"b.fed": "none"})
        assert (await ours.enforcer.status())["images"]["a.fed"]["kept"] is True


class Without(Ejabberd):
    """One whose module was forgotten."""

    def _configuration(self) -> str:
        text = Ejabberd._configuration(self)
        shutil.rmtree(self._directory / "home" / ejabberd.MODULE)
        return text


async def test_a_server_that_misses_the_module_does_not_start() -> None:
    with Neighbours() as neighbours, pytest.raises(OperatorError, match="ended at once") as found:
        async with Without(OWN, neighbours=neighbours):
            pass
    assert "unknown ejabberd module: mod_clearinghouse" in found.value.mend


def test_without_a_compiler_the_sources_are_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.parts[0] for path, _ in ejabberd.files()} == {"sources", ejabberd.MODULE}
    monkeypatch.setenv("PATH", "/nowhere")
    assert {path.parts[0] for path, _ in ejabberd.files()} == {"sources"}
    with pytest.raises(MissingPackage):
        ejabberd.packaged()


def test_the_numbers_on_the_page_are_those_of_the_module() -> None:
    sources = [content.decode() for path, content in ejabberd.files() if path.suffix == ".erl"]
    numbers = {number for text in sources for number in re.findall(r"^-define\(MAX_\w+, (\d+)\)", text, re.MULTILINE)}
    assert len(numbers) >= 6
    assert numbers <= set(re.findall(r"\d+", (HOW_TO / PAGE).read_text().replace(",", "")))
    assert " ".join(INSTALL) in (HOW_TO / PAGE).read_text()


def kept(server: Ejabberd, extension: str = ".log") -> Path:
    """The file of the image, or another one."""
    return server._directory / "database" / "clearinghouse" / f"a.fed{extension}"


async def killed(server: Ejabberd) -> None:
    """End the server as the kernel does when memory is short."""
    assert server._process is not None
    server._process.kill()
    await server._process.wait()
    server._process = None
