"""What passes between two servers: each kind in each direction, as the image of the one says, and why the rest does not."""

from __future__ import annotations

import pytest

from clearinghouse.federation.enforced.image import LevelClass, mask_of
from clearinghouse.grid.stanzas import StanzaRefused
from tests.servers.federation.sites import CLASSES, Site, new_body

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]


async def test_without_a_row_nothing_passes_and_both_users_read_why(between: Site) -> None:
    refused = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: unknown here (d-1)"
    refused = await between.bob.bounced(between.bob.write("alice@a.fed", new_body()))
    assert "policy-violation" in refused
    assert "unknown here (d-1)" in refused


async def test_a_row_lets_everything_pass_both_ways(between: Site) -> None:
    await between.home.rule({"b.fed": "all"})
    for sender, reader in ((between.alice, between.bob), (between.bob, between.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    await between.alice.ping("b.fed")
    await between.bob.ping("a.fed")
    between.bob.show("alice@a.fed", "subscribe")
    await between.alice.hears(lambda stanza: stanza.get("type") == "subscribe")


async def test_where_no_door_is_named_no_key_is_asked_for(between: Site) -> None:
    await between.home.rule({"b.fed": "all"})
    await between.home.know({"b.fed": ["0" * 64]})
    body = new_body()
    between.alice.write("bob@b.fed", body)
    await between.bob.reads(body)
    await between.home.know({})


async def test_a_level_may_let_some_kinds_pass(between: Site) -> None:
    await between.home.rule({"b.fed": "talk"})
    body = new_body()
    between.alice.write("bob@b.fed", body)
    await between.bob.reads(body)
    with pytest.raises(StanzaRefused, match=r"policy-violation `messages and presence only \(d-1\)`"):
        await between.alice.ping("b.fed")
    with pytest.raises(StanzaRefused, match=r"policy-violation `messages and presence only \(d-1\)`"):
        await between.bob.ping("a.fed")


async def test_a_level_may_let_one_direction_pass(between: Site) -> None:
    await between.home.rule({"b.fed": "in"})
    body = new_body()
    between.bob.write("alice@a.fed", body)
    await between.alice.reads(body)
    assert await between.alice.bounced(between.alice.write("bob@b.fed", body)) == "policy-violation: inbound only (d-1)"
    await between.bob.ping("a.fed")  # whose answer goes out
    await between.home.change({"b.fed": "out"})
    assert await between.bob.bounced(between.bob.write("alice@a.fed", body)) == "policy-violation: outbound only (d-1)"
    await between.alice.ping("b.fed")  # whose answer comes in
    with pytest.raises(StanzaRefused, match="outbound only"):
        await between.bob.ping("a.fed")


async def test_presence_alone_can_be_stopped(between: Site) -> None:
    quiet = CLASSES | {"quiet": LevelClass(mask_of(["message", "iq", "groupchat"], ["inbound", "outbound"]), "no presence")}
    await between.home.rule({"b.fed": "quiet"}, classes=quiet)
    between.bob.show("alice@a.fed", "subscribe")
    error = await between.bob.hears(lambda stanza: stanza.get("type") == "error")
    assert error.get("from") == "alice@a.fed"
    between.alice.show("bob@b.fed", "subscribe")
    error = await between.alice.hears(lambda stanza: stanza.get("type") == "error")
    assert error.get("from") == "bob@b.fed"


async def test_rooms_are_governed_like_users(between: Site) -> None:
    room = f"room{new_body().split()[1]}@muc.a.fed"
    await between.home.rule({"b.fed": "all"})
    between.alice.join(room, "alice")
    await between.alice.hears(lambda stanza: stanza.get("from") == f"{room}/alice")
    between.bob.join(room, "bob")
    await between.bob.hears(lambda stanza: stanza.get("from") == f"{room}/bob" and stanza.get("type") != "error")
    body = new_body()
    between.alice.write(room, body, "groupchat")
    await between.bob.reads(body)
    body = new_body()
    between.bob.write(room, body, "groupchat")
    await between.alice.reads(body)
    await between.home.change({"b.fed": "talk"})
    assert (
        await between.bob.bounced(between.bob.write(room, new_body(), "groupchat")) == "policy-violation: messages and presence only (d-1)"
    )
    await between.home.change({"b.fed": "none"})
    await between.are_cut()
    refused = await between.bob.bounced(between.bob.write(room, new_body(), "groupchat"))
    assert "not at a level for a.fed (d-1)" in refused


async def test_another_domain_of_the_same_server_is_another_matter(between: Site) -> None:
    await between.home.rule({"b.fed": "all", "c.fed": "none"})
    async with between.person("dave@c.fed") as dave:
        body = new_body()
        between.bob.write("alice@a.fed", body)
        await between.alice.reads(body)
        assert "not at a level for a.fed (d-1)" in await dave.bounced(dave.write("alice@a.fed", body))
        refused = await between.alice.bounced(between.alice.write("dave@c.fed", body))
        assert refused == "policy-violation: not at a level for a.fed (d-1)"


async def test_shadow_counts_and_enforces_nothing(between: Site) -> None:
    before = await between.home.seen("b.fed", "inbound", "message")
    await between.home.rule({"b.fed": "none"}, mode="shadow")
    for sender, reader in ((between.alice, between.bob), (between.bob, between.alice)):
        body = new_body()
        sender.write(reader.boundjid.bare, body)
        await reader.reads(body)
    seen = await between.home.seen("b.fed", "inbound", "message")
    assert seen.get(False, 0) == before.get(False, 0) + 1
    assert seen.get(True, 0) == before.get(True, 0)


async def test_a_host_that_no_image_names_is_closed(between: Site) -> None:
    await between.home.rule({"b.fed": "all"}, hosts=("muc.a.fed", "agent.a.fed"))
    refused = await between.alice.bounced(between.alice.write("bob@b.fed", new_body()))
    assert refused == "policy-violation: no policy is known here"
    assert "no policy is known here" in await between.bob.bounced(between.bob.write("alice@a.fed", new_body()))
