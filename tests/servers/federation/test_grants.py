"""Grants: exactly the user, the kind, the direction and the address that they name, and the module agrees with the pure look-up."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.demo.correspondents import BODY, Correspondent
from clearinghouse.federation.enforced.image import EVERYTHING, Direction, Grant, mask_of
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.sites import CLASSES, Site, new_body

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

BOTH: Final[list[Direction]] = ["inbound", "outbound"]


def grant(remote: str = "b.fed", **more: object) -> Grant:
    return Grant("g", remote, int(time.time()) + 60, decision="d-9", **more)  # type: ignore[arg-type] # each of its own type


async def passes(sender: Correspondent, reader: Correspondent) -> None:
    body = new_body()
    sender.write(reader.boundjid.bare, body)
    await reader.reads(body)


async def is_refused(sender: Correspondent, to: str) -> None:
    refused = await sender.bounced(sender.write(to, new_body()))
    assert refused == "policy-violation: not at a level for a.fed (d-9)"


async def test_one_users_messages_pass_and_anothers_do_not(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, grant(user="bob@b.fed"))
    await passes(between.bob, between.alice)
    await passes(between.alice, between.bob)
    await is_refused(between.alice, "eve@b.fed")
    async with between.person("eve@b.fed") as eve:
        await is_refused(eve, "alice@a.fed")
    await between.home.change({})  # the grant has ended
    await between.are_cut()
    assert "not at a level for a.fed (d-1)" in await between.bob.bounced(between.bob.write("alice@a.fed", new_body()))


async def test_a_grant_names_kinds_and_directions(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, grant(mask=mask_of(["message"], ["inbound"])))
    await passes(between.bob, between.alice)
    await is_refused(between.alice, "bob@b.fed")
    with pytest.raises(StanzaRefused, match="policy-violation"):
        await between.bob.ping("a.fed")
    await between.home.change({}, grant(mask=mask_of(["iq"], BOTH)))
    await between.bob.ping("a.fed")
    await between.alice.ping("b.fed")
    await is_refused(between.bob, "alice@a.fed")


async def test_what_looks_like_an_answer_needs_a_question(between: Site) -> None:
    # Clients show the body of an error, too: it must be no way for those to whom the grant is not.
    await between.home.rule({"b.fed": "none"}, grant(user="bob@b.fed", mask=mask_of(["presence", "iq"], BOTH)))
    async with between.person("eve@b.fed") as eve:
        for sender in (eve, between.bob):
            body = new_body()
            sender.write("alice@a.fed", body, "error")
            sender.write(between.alice.boundjid.full, body, "error")
            await between.bob.ping("a.fed")  # comes after it, on the same stream
            assert [stanza for stanza in waiting(between.alice) if stanza.findtext(BODY) == body] == []


async def test_a_grant_adds_to_a_level(between: Site) -> None:
    await between.home.rule({"b.fed": "talk"}, grant(user="bob@b.fed", mask=mask_of(["iq"], ["inbound"])))
    await passes(between.bob, between.alice)
    await between.bob.ping("a.fed")
    async with between.person("eve@b.fed") as eve:
        await passes(eve, between.alice)
        with pytest.raises(StanzaRefused, match="messages and presence only"):
            await eve.ping("a.fed")


async def test_a_grant_for_somebody_here_is_for_nobody_else(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, grant(local="carol@a.fed"))
    async with between.person("carol@a.fed") as carol:
        await passes(between.bob, carol)
        await passes(carol, between.bob)
    await is_refused(between.bob, "alice@a.fed")
    await is_refused(between.alice, "bob@b.fed")


async def test_a_grant_for_an_address_counts_from_there_only(between: Site) -> None:
    calling = grant(address="127.0.0.1")  # from where a server on loopback calls, wherever it listens
    listening = replace(calling, id="h", address=between.away.server.address)
    await between.home.rule({"b.fed": "none"}, calling, listening)
    await passes(between.bob, between.alice)
    await passes(between.alice, between.bob)
    await between.home.change({}, replace(calling, address="192.0.2.1"))
    await between.are_cut()
    assert "not at a level for a.fed (d-9)" in await between.bob.bounced(between.bob.write("alice@a.fed", new_body()))
    assert "not at a level for a.fed (d-9)" in await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))


async def test_what_waits_for_a_connection_goes_only_to_the_address_of_its_grant(between: Site) -> None:
    # Where it leads is known once it stands, and it stands because of somebody else's grant.
    elsewhere = grant(user="eve@b.fed", address="192.0.2.1")
    await between.home.rule({"b.fed": "none"}, grant(user="bob@b.fed"), replace(elsewhere, id="h"))
    await is_refused(between.alice, "eve@b.fed")
    await passes(between.alice, between.bob)


async def test_a_grant_that_is_over_is_none(between: Site) -> None:
    await between.home.rule({"b.fed": "none"}, Grant("g", "b.fed", int(time.time()) - 1))
    refused = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: not at a level for a.fed (d-1)"


async def test_the_module_looks_up_what_the_image_says(between: Site) -> None:
    # Some fifty verdicts of the module against the pure look-up: messages of two users, pings, both directions.
    chance = random.Random(7)  # noqa: S311 - no secret
    async with between.person("eve@b.fed") as eve:
        for _ in range(6):
            grants = tuple(
                Grant(
                    str(number),
                    "b.fed",
                    int(time.time()) + 60,
                    chance.choice(["*", "bob@b.fed"]),
                    chance.choice(["*", "a.fed"]),
                    chance.randrange(256),
                )
                for number in range(chance.randrange(3))
            )
            level = chance.choice(sorted(CLASSES))
            image = await between.home.rule(
                {"b.fed": level}, *grants, Grant("x", "b.fed", int(time.time()) + 60, "nobody@b.fed", mask=EVERYTHING)
            )
            for sender, user in ((between.bob, "bob@b.fed"), (eve, "eve@b.fed")):
                mask = image.mask("b.fed", now=int(time.time()), user=user, local="alice@a.fed")
                assert await arrives(sender, between.alice) == bool(mask & mask_of(["message"], ["inbound"])), (level, grants)
                mask = image.mask("b.fed", now=int(time.time()), user=user, local="a.fed")
                assert await pings(sender, "a.fed") == bool(mask & mask_of(["iq"], ["inbound"])), (level, grants)
                mask = image.mask("b.fed", now=int(time.time()), user=user, local="alice@a.fed")
                assert await arrives(between.alice, sender) == bool(mask & mask_of(["message"], ["outbound"])), (level, grants)


async def arrives(sender: Correspondent, reader: Correspondent) -> bool:
    """Whether a message reaches *reader*; else it comes back."""
    body = new_body()
    message = sender.write(reader.boundjid.bare, body)
    tasks = [asyncio.create_task(reader.reads(body)), asyncio.create_task(sender.bounced(message))]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    assert len(done) == 1
    return tasks[0] in done


async def pings(sender: Correspondent, to: str) -> bool:
    try:
        await sender.ping(to)
    except StanzaRefused as refusal:
        assert refusal.condition == "policy-violation"  # noqa: PT017 - the other outcome is as good
        return False
    return True


def waiting(who: Correspondent) -> list[Element]:
    """Everything that has reached somebody and was not looked at."""
    found = []
    while not who.heard.empty():
        found.append(who.heard.get_nowait())
    return found
