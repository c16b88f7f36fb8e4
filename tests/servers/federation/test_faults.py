"""Real faults between real programs: killed at any moment, cut off by the network itself, with a disk that is full.

In every test somebody writes all the time: what neither the last valid table nor a grant permits never arrives.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trustme

from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from clearinghouse.keynote.keys import write_key_file
from tests.servers.federation.conftest import MAKES, Make
from tests.servers.federation.faults import (
    ALICE,
    BOB,
    DAVE,
    LIVES,
    Disk,
    Hall,
    Talk,
    cable,
    killed,
    server_killed,
    small_disk,
    why_no_cable,
    write_secret,
)
from tests.servers.federation.posts import DOMAIN, GUARDED, Post
from tests.servers.federation.sites import AWAY, PASSWORD, agent
from tests.servers.processes import Program, done
from tests.world import assertion, key

pytestmark = pytest.mark.servers

DOOR_PORT = 8444
DOOR = """[requests]
listen = "{address}:{port}"
certificate_file = "cert.pem"
private_key_file = "tls.key"
"""
FILES = '[admit]\nminimum = "level-2"\n\n[[source]]\nkind = "files"\ndirectory = "documents"\n'
LETS_IN = 'operation == "whitelist" && App_domain == "XMPP" && domain == "b.fed" && Server_IP_Address == "127.0.0.1"'
DISK_KILOBYTES = 900
"""Room for the agent's store, and its state besides."""
CROWD = {f"member-{number}.fed": "level-2" for number in range(3_000)}
"""So many rows that an image takes its time."""


@asynccontextmanager
async def partner_at(neighbours: Neighbours) -> AsyncIterator[Server]:
    """The server of bob and dave, which lets everything pass."""
    async with Prosody(AWAY, neighbours=neighbours) as made:
        for jid in (BOB, DAVE):
            await made.register(jid, PASSWORD)
        async with agent(made) as theirs:
            await theirs.rule({}, default="allow")
            yield made


@asynccontextmanager
async def street(make: Make = Prosody) -> AsyncIterator[tuple[Server, Talk]]:
    """Give the server of a.fed, which only our agent commands, and those who write to it."""
    with Neighbours() as neighbours:
        async with make(GUARDED, neighbours=neighbours) as server, partner_at(neighbours) as partner:
            await server.register(ALICE, PASSWORD)
            async with Talk(partner).going_on() as talk:
                yield server, talk


def open_door(post: Post) -> None:
    """Let the agent be asked over HTTPS, and the target's administrator decide there."""
    authority = trustme.CA()
    made = authority.issue_cert(post.server.address)
    (post.directory / "cert.pem").write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    write_secret(post.directory / "tls.key", made.private_key_pem.bytes())
    authority.cert_pem.write_to_path(post.directory / "door.pem")
    (post.directory / "policies/whitelist").mkdir()
    (post.directory / "policies/whitelist/own.kn").write_bytes(assertion("POLICY", "target admin", LETS_IN, "allow"))
    write_key_file(post.directory / "admin.key", key("target admin"))


async def requested(post: Post, period: str) -> dict[str, Any]:
    """Ask at the door for b.fed to be let in, and return the answer."""
    wish = ("--to", DOMAIN, "--domain", "b.fed", "--address", "127.0.0.1", "--for", period)
    way = ("--via", f"https://{post.server.address}:{DOOR_PORT}", "--ca", str(post.directory / "door.pem"))
    words = (*wish, *way, "--key", str(post.directory / "admin.key"), "--allow-demo", "--json")
    _, out, err = await done("clearinghouse", "request", "whitelist", *words)
    assert out, err
    found: dict[str, Any] = json.loads(out)["answer"]
    return found


async def allowed(post: Post, domain: str, period: str) -> None:
    """Admit a domain by the site's own key."""
    words = ("--for", period, "--reason", "they help us", "--key", str(post.directory / "site.key"))
    status, told = await post.asks("override", "allow", domain, *words)
    assert status == 0, told


@asynccontextmanager
async def following(post: Post) -> AsyncIterator[Program]:
    """Run the agent; where the test fails, what it said is shown."""
    async with post.running() as running:
        try:
            yield running
        except BaseException:
            sys.stderr.writelines(running.lines[-40:])
            raise


async def image_at(server: Server) -> dict[str, Any]:
    """Ask the module itself, in the agent's place while that is away."""
    async with agent(server) as asking:
        found: dict[str, Any] = (await asking.enforcer.status())["images"].get(DOMAIN, {})
        return found


# -- the clearinghouse is killed


async def test_a_clearinghouse_that_is_killed_at_any_moment_only_goes_forward(tmp_path: Path, unused_tcp_port: int) -> None:
    """What its agent's server lets pass is what the newest table says, or one before it, and never what is withdrawn."""
    hall, chance, versions = await Hall.made(tmp_path / "hub", "localhost", unused_tcp_port, {}), Random(8), [0]  # noqa: S311
    hall.level("b.fed", "deny")
    async with street() as (server, talk), talk.read_at(server):
        post = hall.post(tmp_path / "post", server)
        async with following(post):
            for wanted in ("level-2", "deny"):
                async with hall.serving():  # the one before was killed, at any moment after a change
                    versions.append(await settled(hall, post, talk))
                    if wanted != "deny":
                        talk.may.add(BOB)
                    hall.level("b.fed", wanted)
                    await asyncio.sleep(chance.random() / 2)
            async with hall.serving():
                versions.append(await settled(hall, post, talk))
    assert versions == sorted(set(versions))


async def settled(hall: Hall, post: Post, talk: Talk) -> int:
    """Wait until the agent's server has the newest table, of what policy says now, and return its number."""
    rows = 0 if hall.said["b.fed"] == "deny" else 1
    await post.until(lambda found: bool(found["health"] == "good" and found["rows"] == rows))
    version = (await post.applies(await hall.version()))["applied"]
    if rows:
        await talk.arrives(BOB)
    else:
        await talk.comes_back(BOB)
        talk.may.discard(BOB)
    return int(version)


# -- a server is killed


async def test_a_server_that_is_killed_begins_with_what_it_kept(tmp_path: Path) -> None:
    """Servers of both makes, at the same time since most of it is waiting."""
    async with asyncio.TaskGroup() as tasks:
        for name, make in MAKES.items():
            (tmp_path / name).mkdir()
            tasks.create_task(begins_with_what_it_kept(make, tmp_path / name), name=name)


async def begins_with_what_it_kept(make: Make, directory: Path) -> None:
    """Its module's image rules until the agent is back, as a whole or not at all; what is withdrawn stays so."""
    async with street(make) as (server, talk):
        post = Post(directory, server)
        post.publish({"b.fed": "level-2"})
        talk.may.add(BOB)
        before = await killed_in_a_change(post, talk)
        await server.start()
        kept = await image_at(server)
        assert kept["serial"] >= before["serial"]
        assert kept["rows"] in {0, len(CROWD)}
        async with talk.read_at(server):
            await talk.comes_back(BOB)
            async with following(post):
                assert (await post.applies(post.hub.version))["rows"] == len(CROWD)
                await talk.comes_back(BOB)
                talk.may.add(BOB)
                post.publish({"b.fed": "level-2"})
                await talk.arrives(BOB)


async def killed_in_a_change(post: Post, talk: Talk) -> dict[str, Any]:
    """Withdraw b.fed, change much else, and kill server and agent meanwhile; return how it was before."""
    async with talk.read_at(post.server), following(post) as running:
        await talk.arrives(BOB)
        post.publish({})
        before = await post.applies(post.hub.version)
        await talk.comes_back(BOB)
        talk.may.discard(BOB)
        post.publish(CROWD)
        await post.until(lambda found: bool(found["table"]["version"] == post.hub.version))
        await server_killed(post.server)
        await killed(running.process)
    return before


# -- the network is cut


@pytest.mark.skipif(bool(why_no_cable()), reason=why_no_cable())
async def test_a_cut_network_closes_what_was_open_and_then_nothing_is_lost(tmp_path: Path) -> None:
    """Cut off, the agent grants nothing new; then the table ends, by the module's own clock; mended, the newest table rules."""
    with cable() as line:
        hall = await Hall.made(tmp_path / "hub", line.address, 8443, LIVES, line.place)
        hall.level("b.fed", "level-2")
        async with street() as (server, talk), talk.read_at(server), hall.serving():
            post = hall.post(tmp_path / "post", server, DOOR.format(address=server.address, port=DOOR_PORT))
            open_door(post)
            talk.may |= {BOB, DAVE}
            async with following(post) as running:
                await talk.arrives(BOB)
                await allowed(post, "c.fed", "1 minute")
                await hall.tells_of(stale=False)
                line.cut()
                await post.until(lambda found: bool(found["standing"] != "fresh"))
                assert (await requested(post, "1 minute"))["outcome"] != "granted"
                await killed(running.process)
            await talk.comes_back(BOB)  # nobody is there but the module
            talk.may.discard(BOB)
            await talk.arrives(DAVE)
            async with following(post):
                await post.until(lambda found: bool((found["health"], found["standing"]) == ("closed", "expired")))
                assert await hall.tells_of(stale=True)
                status, out, _ = await done("clearinghouse", "fleet", "--config", str(hall.config))
                assert status == 1
                assert DOMAIN in out
                talk.may.add(BOB)
                line.mend()
                await talk.arrives(BOB)
                await post.until(lambda found: bool(found["health"] == "good"))
                await hall.tells_of(stale=False)


# -- the disk is full


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")
async def test_on_a_full_disk_what_ends_still_ends(tmp_path: Path) -> None:
    """The agent goes on, also when it starts again, and says so; what is granted ends, and nothing new is granted until there is room."""
    async with street() as (server, talk):
        (tmp_path / "post").mkdir()
        post = Post(tmp_path / "post", server, more={"sections": f"{DOOR.format(address=server.address, port=DOOR_PORT)}\n{FILES}"})
        open_door(post)
        post.publish({"x.fed": "level-2"})
        with small_disk(post.settings.state, DISK_KILOBYTES) as disk:
            async with talk.read_at(server):
                async with following(post) as running:
                    await post.applies(post.hub.version)
                    await ends_though_full(post, talk, disk)
                    await running.says("state not kept")
                    await killed(running.process)
                async with following(post):
                    assert not (await post.applies(post.hub.version))["kept"]
                    assert (await requested(post, "1 minute"))["outcome"] != "granted"
                    disk.clear()
                    post.publish({"b.fed": "level-2"})
                    talk.may.add(BOB)
                    assert (await post.applies(post.hub.version))["kept"]
                    await talk.arrives(BOB)


async def ends_though_full(post: Post, talk: Talk, disk: Disk) -> None:
    """Let bob in by a grant and dave by an override, fill the disk, publish: the table counts, and then both are out."""
    talk.may |= {BOB, DAVE}
    answer, _ = await asyncio.gather(requested(post, "5 seconds"), allowed(post, "c.fed", "5 seconds"))
    assert answer["outcome"] == "granted"
    await talk.arrives(BOB)
    disk.fill()
    before = disk.kept()
    post.publish({"y.fed": "level-2"})
    assert not (await post.applies(post.hub.version))["kept"]
    for jid in (BOB, DAVE):
        await talk.comes_back(jid)
        talk.may.discard(jid)
    assert disk.kept() == before
