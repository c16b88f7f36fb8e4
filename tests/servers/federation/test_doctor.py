"""The doctor at real servers: what is unsafe on purpose is found, in the configuration and in what runs, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clearinghouse.clearing.wire import stamp
from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.neighbours import Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Hosting, Server
from clearinghouse.doctor.catalogue import findings
from clearinghouse.doctor.checks import ALL
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.follows import told as follows_of
from clearinghouse.doctor.gathering import Asked, gathered
from clearinghouse.doctor.versions import packaged
from tests.servers.federation.conftest import Make
from tests.servers.federation.sites import HOME, Agent, agent, new_body, site

pytestmark = pytest.mark.servers

OF_THE_DEMONSTRATION = {"D502"}
"""Certificates of the demonstration hold for a day."""


class OpenProsody(Prosody):
    """One whose operator has taken every bad turn that does not keep it from starting."""

    def _configuration(self) -> str:
        text = Prosody._configuration(self)
        text = text.replace("network_settings = { nagle = false }", "clearinghouse_ungoverned = 'allow'")
        return text.replace("s2s_ports", "s2s_require_encryption = false\ns2s_insecure_domains = { 'old.fed' }\ns2s_ports", 1)


class OpenEjabberd(Ejabberd):
    """One whose operator has taken every bad turn that does not keep it from starting."""

    def _prepare(self) -> None:
        Ejabberd._prepare(self)
        config = self._directory / "ejabberd.yml"
        text = config.read_text().replace("s2s_use_starttls: required", "s2s_use_starttls: optional")
        text = text.replace("s2s_max_retry_delay: 1 ", "s2s_max_retry_delay: 300 ")
        config.write_text(text.replace("ca_file:", "c2s_cafile:") + "    ungoverned: allow\n")


NAMES = {"prosody": "prosody.cfg.lua", "ejabberd": "ejabberd.yml"}


def configured(server: Server) -> Facts:
    return gathered(Asked(**{server.name: server._directory / NAMES[server.name]}), datetime.now(UTC))  # type: ignore[arg-type]


async def running(who: Agent) -> Facts:
    """What an agent writes down of its server, as the doctor takes it."""
    told, now = await who.enforcer.status(), datetime.now(UTC)
    images = () if who.image is None else (who.image,)
    follows = tuple(follows_of(told["facts"]))
    return Facts(now, asked=True, live={**told, "at": stamp(now)}, live_at=now, images=images, follows=follows)


def ids(known: Facts) -> set[str]:
    return {finding.check.id for finding in findings(known, ALL.values())}


def said(known: Facts, id_: str) -> str:
    return " ".join(f"{finding.where}: {finding.what}" for finding in findings(known, [ALL[id_]]))


@asynccontextmanager
async def one(make: Make, hosting: Hosting) -> AsyncIterator[tuple[Server, Agent]]:
    with Neighbours() as neighbours:
        async with make(hosting, neighbours=neighbours) as server, agent(server) as who:
            yield server, who


DOOR, KEY = "door.hub.fed", "0" * 64
SAFE = Hosting(("a.fed",), (), "agent.a.fed", HOME.secret, rooms=("muc.a.fed",), doors=((DOOR, KEY),))


async def test_a_safe_server_has_no_findings(make: Make) -> None:
    async with one(make, SAFE) as (server, who):
        await who.rule({"b.fed": "all"})
        assert ids(configured(server)) - OF_THE_DEMONSTRATION == set()
        known = await running(who)
        for each in (*configured(server).follows, *known.follows):
            assert each.doors == {DOOR: frozenset({KEY})}
            other = replace(known, follows=(each,), door_pins={DOOR: frozenset({"1" * 64}), "next.hub.fed": frozenset()})
            assert {"D312"} == ids(other) & {"D311", "D312"}
        assert ids(known) - OF_THE_DEMONSTRATION == set()
        assert known.live["module"] == packaged(server.name)


async def test_every_bad_turn_of_a_prosody_is_found() -> None:
    async with one(OpenProsody, replace(SAFE, dialback=True)) as (server, who):
        assert {"D101", "D102", "D103", "D104", "D108", "D111"} <= ids(configured(server))
        await who.rule({"b.fed": "all"}, hosts=("a.fed",))
        found = ids(await running(who))
        assert {"D101", "D102", "D103", "D104", "D108", "D304"} <= found
        assert "muc.a.fed" in said(await running(who), "D304")


async def test_every_bad_turn_of_an_ejabberd_is_found() -> None:
    async with one(OpenEjabberd, replace(SAFE, dialback=True)) as (server, who):
        assert {"D201", "D202", "D203", "D204", "D210", "D212"} <= ids(configured(server))
        await who.rule({"b.fed": "all"}, mode="shadow")
        assert {"D201", "D202", "D203", "D204", "D212", "D305"} <= ids(await running(who))


async def test_streams_that_policy_would_refuse_are_found_in_shadow_mode(home: Server, away: Server) -> None:
    async with site(home, away) as between:
        await between.home.rule({"b.fed": "none"}, mode="shadow")
        body = new_body()
        between.alice.write("bob@b.fed", body)
        await between.bob.reads(body)
        known = await running(between.home)
    assert "a stream of `b.fed` is open, which policy would refuse" in said(known, "D303")
    assert "a.fed: is in shadow mode" in said(known, "D305")
