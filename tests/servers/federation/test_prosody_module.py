"""What is particular to the module in Prosody: its file, queues of streams that do not come about, and what is left when it fails."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.correspondents import PRESENCE, Correspondent, correspondent
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.federation.enforced.image import Grant
from tests.servers.federation.sites import AWAY, HOME, PASSWORD, agent

pytestmark = pytest.mark.servers

SILENT_PORT = 5270


async def test_what_waits_for_a_connection_is_judged_again() -> None:
    # The other server answers nothing for a while, and meanwhile what was on its way to it may go there no more.
    with Neighbours() as alone:
        async with Prosody(HOME, neighbours=alone) as home:
            await home.register("alice@a.fed", PASSWORD)
            # It is connected to and never answers, since nobody takes the connection.
            with socket.create_server((home.address, SILENT_PORT)):
                async with (
                    agent(home) as ours,
                    correspondent("alice@a.fed", PASSWORD, home) as alice,
                ):
                    alone.names.put("silent.fed", home.address, SILENT_PORT)
                    await ours.rule({"silent.fed": "all"})
                    message = alice.write("bob@silent.fed", "x")
                    await alice.ping("a.fed")  # is answered after that
                    await ours.change({"silent.fed": "in"})
                    assert await alice.bounced(message) == "policy-violation: inbound only (d-1)"


async def test_a_file_that_ends_in_the_middle_counts_up_to_there() -> None:
    with Neighbours() as alone:
        async with Prosody(HOME, neighbours=alone) as server:
            await server.register("alice@a.fed", PASSWORD)
            async with agent(server) as ours:
                await ours.rule({"b.fed": "all"})
                before = ours.image
                await ours.change({"b.fed": "none"})
            assert before is not None
            await server.stop()
            file = server._directory / "data/clearinghouse/a.fed.image"
            file.write_bytes(file.read_bytes()[:-20])
            await server.start()
            async with agent(server) as again:
                assert (await again.event("started"))["images"] == {"a.fed": before.serial}
                assert (await again.enforcer.status())["images"]["a.fed"]["kept"] is True
            await server.stop()
            lines = file.read_bytes().splitlines(keepends=True)
            file.write_bytes(b"".join(lines[:-1]))  # without the last one, which puts it into force
            await server.start()
            async with agent(server) as again:
                assert (await again.event("started"))["images"] == {}


async def test_r17_what_has_ended_stays_so_though_the_clock_is_set_back() -> None:
    # What the module noted when an hour from now had come is in its file; and now it is an hour earlier.
    with Neighbours() as alone:
        async with Prosody(HOME, neighbours=alone) as server:
            file = server._directory / "data/clearinghouse/a.fed.image"
            async with agent(server) as ours:
                soon = int(time.time()) + 2
                later = Grant("h", "b.fed", soon + 3600, user="bob@b.fed")
                await ours.rule({"b.fed": "all"}, Grant("g", "b.fed", soon, user="bob@b.fed"), later, expires=soon)
                async with asyncio.timeout(10):
                    while b'"ended"' not in file.read_bytes():  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.05)
                told = (await ours.enforcer.status())["images"]["a.fed"]
                assert (told["expires"], told["grants"]) == (1, 1)
            await server.stop()
            file.write_bytes(re.sub(rb'"at":[0-9]+', b'"at":%d' % (soon + 3601), file.read_bytes()))
            await server.start()
            async with agent(server) as again:
                told = (await again.enforcer.status())["images"]["a.fed"]
                assert (told["expires"], told["grants"], told["kept"]) == (1, 0, True)


async def test_what_cannot_be_kept_is_in_force_all_the_same_and_gone_after_a_restart() -> None:
    with Neighbours() as alone:
        async with Prosody(HOME, neighbours=alone) as server:
            await server.register("alice@a.fed", PASSWORD)
            async with agent(server) as ours:
                await ours.rule({"b.fed": "all"})
                folder = server._directory / "data/clearinghouse"
                folder.rename(folder.with_name("elsewhere"))
                folder.write_text("no folder")
                ours.enforcer.forget()
                await ours.rule({"b.fed": "none"})
                assert (await ours.enforcer.status())["images"]["a.fed"]["kept"] is False
                async with correspondent("alice@a.fed", PASSWORD, server) as alice:
                    assert "not at a level" in await alice.bounced(alice.write("bob@b.fed", "x"))
            await server.restart()
            async with agent(server) as again:
                assert (await again.event("started"))["images"] == {}


class Broken(Prosody):
    """A Prosody in which one part of our module cannot be read."""

    def _prepare(self) -> None:
        Prosody._prepare(self)
        (self._directory / "modules/mod_clearinghouse/held.lib.lua").write_text("this is no Lua")


async def test_a_module_that_cannot_be_loaded_leaves_nothing_open() -> None:
    with Neighbours() as alone:
        async with Broken(HOME, neighbours=alone) as home, Prosody(AWAY, neighbours=alone) as away:
            await home.register("alice@a.fed", PASSWORD)
            await away.register("bob@b.fed", PASSWORD)
            async with (
                agent(away) as theirs,
                correspondent("alice@a.fed", PASSWORD, home) as alice,
                correspondent("bob@b.fed", PASSWORD, away) as bob,
            ):
                await theirs.rule({}, default="allow")
                lost = alice.write("bob@b.fed", "x")
                await alice.ping("a.fed")  # is answered after that
                assert await theirs.streams("a.fed") == set()
                bob.write("alice@a.fed", "x")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await bob.ping("a.fed")
                assert all(stanza.get("type") == "error" or stanza.tag == PRESENCE for stanza in waiting(alice)), lost


def waiting(who: Correspondent) -> list[Element]:
    found = []
    while not who.heard.empty():
        found.append(who.heard.get_nowait())
    return found
