"""R10: a component's host can forge any `from`, drop, copy and repeat; with all of that it opens nothing."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from clearinghouse.agent.asking.when import Asking, Refuse, matter_in
from clearinghouse.agent.granting.window import Window
from clearinghouse.clearing.envelope import Replayed
from clearinghouse.demo.keys import demonstration_key
from clearinghouse.errors import ClearinghouseError
from clearinghouse.grid.requests import write_envelope
from clearinghouse.grid.stanzas import IQ
from tests.targets import HOST, Records, Target, member, paper
from tests.world import NOON

ADMIN = "admin@target.example"


@pytest.fixture
async def target(tmp_path: Path) -> Target:
    return await paper(tmp_path, 3, NOON).open(alone=False)


@pytest.mark.parametrize("sender", ["target.example", ADMIN, "agent.partner.example", "hub.example", "agent.target.example"])
async def test_r10_a_forged_sender_is_worth_nothing(target: Target, sender: str) -> None:
    """Whoever it pretends to be, what counts is who signed."""
    await target.believe(Records({"partner.example": member("partner.example", "Alice")}))
    assert not (await target.ask(HOST, "Mallory", via=f"xmpp:{sender}")).granted
    assert target.live() == ()


async def test_r10_no_jid_is_ever_a_requester(tmp_path: Path) -> None:
    """A policy that licenses a server's name is not met by a stanza that has that name."""
    policy = 'Authorizer: "POLICY"\nLicensees: "xmpp:partner.example"\nConditions: operation == "whitelist" && App_domain == "XMPP"\n'
    policy += '  && domain == "partner.example" && Server_IP_Address == "192.168.40.55" -> "allow";\n'
    target = await Target(tmp_path, NOON).policy(policy).open()
    assert not (await target.ask(HOST, "Alice", via="xmpp:partner.example")).granted
    [decision] = await target.store.decisions(9)
    assert all(each.startswith("ed25519-hex:") for each in decision.decision.request.requesters)


async def test_r10_an_answer_does_not_depend_on_who_brings_the_request(target: Target) -> None:
    await target.believe(Records())
    for via in ("xmpp:evil.example", "ip:192.0.2.1", "relay"):
        assert (await target.ask(HOST, "TargetAdmin", via=via, seconds=60)).granted
    assert len(target.live()) == 1


async def test_r10_what_was_seen_cannot_be_repeated_or_changed(target: Target) -> None:
    await target.believe(Records())
    raw = target.sealed(HOST, "TargetAdmin", seconds=60)
    assert (await target.requests.answer(raw, via="xmpp:partner.example")).granted
    await target.grants.end(target.live()[0].id, (await target.store.decisions(1))[0].decision.reason)
    with pytest.raises(Replayed):
        await target.requests.answer(raw, via="xmpp:evil.example")
    for changed in (raw.replace(b"sig-ed25519-hex:", b"sig-ed25519-hex:0", 1), raw.replace(b'"payload":"', b'"payload":"AA', 1), raw[:-9]):
        with pytest.raises(ClearinghouseError):
            await target.requests.answer(changed, via="xmpp:evil.example")
    assert target.live() == ()


async def test_r10_the_host_reads_credentials_and_cannot_use_them(target: Target) -> None:
    """They license Alice's key, which the host does not have."""
    await target.believe(Records())
    seen = (Path(__file__).parents[2] / "credentials/paper-section-3/alice.kn").read_text()
    assert not (await target.ask(HOST, "Mallory", credentials=[seen])).granted
    assert (await target.ask(HOST, "Alice", credentials=[seen], seconds=60)).granted


async def test_r10_a_stanza_for_another_address_is_not_even_looked_at(target: Target) -> None:
    await target.believe(Records())
    written: list[Element] = []
    window = Window("agent.target.example", written.append, target.requests)
    iq = Element(IQ, {"from": ADMIN, "to": "target.example", "id": "1", "type": "set"})
    iq.append(write_envelope(target.sealed(HOST, "TargetAdmin")))
    assert not window.take(iq)
    iq.set("to", "agent.target.example")
    iq.set("from", "not an address")
    assert not window.take(iq)
    assert written == []


async def test_r10_a_forged_event_makes_us_ask_for_our_own_users_only() -> None:
    """The host may say what it likes is held; what we ask for names us, and members alone are asked."""
    asking = Asking(frozenset({"agent.a.example"}), lambda domain: domain == "b.example")
    event = {"held": "h", "local": "a.example", "remote": "b.example", "to": "bob@b.example", "kind": "message", "by": "peer"}
    assert matter_in(event | {"user": "victim@c.example"}) is None
    found = matter_in(event | {"user": "ann@a.example", "remote": "evil.example", "to": "x@evil.example"})
    assert found is not None
    [step] = asking.hear(*found, NOON)
    assert isinstance(step, Refuse)


def test_r10_the_demonstration_keys_of_these_tests_are_different() -> None:
    assert demonstration_key("Mallory").principal != demonstration_key("TargetAdmin").principal
