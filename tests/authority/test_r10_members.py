"""R10, R5 and R9 for members: a host's word makes no member, moves none and ties no key to a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.people import NoSuchThing, NotEntitled, Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.demo.memory import memory_exchange
from clearinghouse.demo.worlds import COMPONENT
from clearinghouse.errors import ClearinghouseError, MalformedRequest
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.grid.requests import write_envelope
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.runtime.federation.registrar import DraftWaits
from tests.authority.test_r10_who_vouches import EVIL
from tests.commons import WITH_BROKER, Commons, chat_op, commons, op
from tests.presses import who
from tests.world import Community, assertion

FORGED = Speaker("op", ("xmpp:op@hub.example", "xmpp-member:hub.example"), Door.CHAT, EVIL)
"""Whom a hostile component host pretends to be."""


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    made = commons(tmp_path)
    made.text = made.text.replace("[control]", WITH_BROKER + "[control]")
    return made


async def test_r10_a_hostile_host_leaves_letters_and_changes_no_member(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        before, version = dict(home.house.roll.members), home.version()
        for act, words in (("add", {"domain": "evil.example"}), ("change", {"domain": "a.example", "keys": who("thief")[0]})):
            assert not (await home.house.enrol(FORGED, act, words)).done
        for draft in home.house.drafts(op()):
            with pytest.raises(NotEntitled):
                await home.house.accept(FORGED, draft.id)
        await home.looked()
        assert (dict(home.house.roll.members), home.version()) == (before, version)


async def test_r10_a_hostile_host_that_forges_the_domain_itself_moves_no_member(home: Commons) -> None:
    """It can write any `from`: as the member's own server, as its agent, as an operator."""
    async with home.open():
        await home.enrols("n.example")
        for speaker in ("n.example", "agent.n.example", "op@hub.example"):
            exchange = memory_exchange(home.world.network, speaker, {}, lambda _: None)
            for body in ({"endpoints": "evil.example:5269"}, {"keys": who("thief")[0]}, {"act": "remove"}):
                envelope = home.asked("join", {"domain": "n.example", **body}, "thief")
                with pytest.raises(StanzaRefused):
                    await exchange.ask(COMPONENT, "set", write_envelope(envelope))
        assert home.house.roll.present()["n.example"].endpoints == (Endpoint("n.example"),)
        assert home.house.roll.present()["n.example"].keys == who("n.example")


async def test_r10_a_letter_takes_no_decisions_place_before_the_registrar(home: Commons) -> None:
    home.text = home.text.replace('[registrar]\nkey_file = "registrar.key"\n', "")
    async with home.open():
        await home.house.enrol(op(), "add", {"domain": "a.example", "keys": who("a.example")[0]})
        with pytest.raises(DraftWaits):
            await home.house.enrol(chat_op(), "add", {"domain": "a.example", "keys": who("thief")[0]})
        await home.house.enrol(chat_op(), "add", {"domain": "b.example", "keys": who("thief")[0]})
        assert {each.domain: each.accepted for each in home.house.drafts(op())} == {"a.example": True, "b.example": False}


async def test_r05_nobody_takes_another_members_key_into_a_record_of_their_own(home: Commons) -> None:
    """A level may be licensed to that key: the record would carry it to another name."""
    home.write("policies/members/all.kn", assertion("POLICY", who("thief")[0], 'member == "evil.example"'))
    async with home.open():
        await home.enrols("d.example")
        body = {"domain": "evil.example", "keys": " ".join((*who("thief"), *who("d.example")))}
        with pytest.raises(MalformedRequest, match="has not signed"):
            await home.house.library.hand_in(home.asked("join", body, "thief"))
        with pytest.raises(NoSuchThing):
            await home.house.library.hand_in(home.asked("join", {"domain": "other.example"}, "thief"))


@pytest.mark.parametrize(
    "condition", ['operation == "enrol"', 'operation == "enrol" && change == "add"', 'operation == "enrol" && member ~= "^.*$"']
)
def test_r05_a_policy_that_names_no_member_lets_nobody_enrol(sim: Community, condition: str) -> None:
    sim.policy("ann", condition, operation="enrol")
    assert sim.asks("ann", "enrol").reason.code == "unbound-effect"


@pytest.mark.parametrize("door", Door)
def test_r09_only_signers_ask_to_join(sim: Community, door: Door) -> None:
    sim.policy("{xmpp:n.example}", 'member == "b.example"', operation="join")
    decision = sim.asks("ann", "join", door=door, requesters=("xmpp:n.example",))
    assert decision.value == "deny"


async def test_r15_a_revoked_key_reads_reports_and_joins_no_more(home: Commons) -> None:
    home.write("policies/people/keys.kn", assertion("POLICY", "{unix:op}", 'operation == "administer"'))
    async with home.open() as service:
        await home.enrols("a.example")
        await home.looked()
        async with home.client() as client:
            assert (await client.get("/v1/documents/community/timestamp", headers=home.reads("a.example"))).status_code == 200
            await service.hall.office.revoke(op(), RevocationKind.PRINCIPAL, who("a.example")[0])
            assert (await client.get("/v1/documents/community/timestamp", headers=home.reads("a.example"))).status_code == 404
            assert (await client.post("/v1/status", content=home.asked("status", {}, "a.example"))).status_code == 404
            with pytest.raises(ClearinghouseError):
                await home.house.library.hand_in(home.asked("join", {"domain": "a.example", "note": "x"}, "a.example"))


async def test_r21_strangers_that_join_pay_by_their_address(home: Commons) -> None:
    """Keys are free: a thousand of them must not be a thousand accounts."""
    async with home.open() as service:
        for number in range(3):
            with pytest.raises(NoSuchThing):
                await home.house.library.hand_in(home.asked("join", {"domain": "n.example"}, f"stranger {number}"), peer="192.0.2.7")
        assert [name for name in service.desk.senders._accounts if "stranger" in name or name == "192.0.2.7"] == ["192.0.2.7"]
