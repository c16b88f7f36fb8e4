"""R15: revocation takes away credentials, keys and names before anything is evaluated."""

from __future__ import annotations

import pytest

from clearinghouse.clearing.decision import Outcome
from tests.world import Community, key, signed, who

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'


def chain() -> list[bytes]:
    return [signed("hub", "sector"), signed("sector", "ann", HOST)]


@pytest.fixture
def trusting(sim: Community) -> Community:
    sim.policy("hub", operation="whitelist")
    assert sim.asks("ann", "whitelist", credentials=chain()).outcome is Outcome.GRANTED
    return sim


@pytest.mark.parametrize("name", ["hub", "sector", "ann"])
def test_r15_a_revoked_key_is_gone_wherever_it_stands(trusting: Community, name: str) -> None:
    """As licensee of POLICY, in the middle, as requester; also in credentials that come with the request."""
    trusting.revoke(name)
    decision = trusting.asks("ann", "whitelist", credentials=chain())
    assert (decision.outcome, decision.value) == (Outcome.REFUSED, "deny")


@pytest.mark.parametrize("link", [0, 1])
def test_r15_a_revoked_credential_is_gone_and_its_keys_are_not(trusting: Community, link: int) -> None:
    stored = [trusting.store(raw) for raw in chain()]
    trusting.revoke(stored[link])
    decision = trusting.asks("ann", "whitelist", credentials=chain())
    assert decision.value == "deny"
    assert decision.proof is not None
    assert next(each.id for each in decision.proof.skipped if each.reason == "revoked") == stored[link].name
    assert trusting.asks("ann", "whitelist", credentials=[*chain(), signed("hub", "ann", HOST)]).value == "allow"


def test_r15_a_key_is_revoked_in_every_spelling(trusting: Community) -> None:
    trusting.revoked.append(who("sector").upper().replace("ED25519-HEX", "Ed25519-Hex"))
    trusting.revoke()
    assert trusting.asks("ann", "whitelist", credentials=chain()).value == "deny"


@pytest.mark.parametrize(
    "name, remains", [("xmpp:ann@a.example", "deny"), ("xmpp-member:a.example", "allow"), ("xmpp:eve@a.example", "allow")]
)
def test_r15_names_are_revoked_like_keys(sim: Community, name: str, remains: str) -> None:
    sim.policy("xmpp:ann@a.example", 'topic == "incidents"')
    sim.revoke(name)
    assert sim.asks("ann@a.example").value == remains


def test_r15_a_revoked_key_counts_for_no_threshold(sim: Community) -> None:
    sim.policy("2-of({ann}, {bob}, {cem})", HOST, operation="whitelist")
    assert sim.asks("ann+bob", "whitelist").value == "allow"
    sim.revoke("bob")
    assert sim.asks("ann+bob", "whitelist").value == "deny"
    assert sim.asks("ann+bob+cem", "whitelist").value == "allow"


def test_r15_a_revoked_key_says_nothing_for_anybody_either(sim: Community) -> None:
    sim.policy("hub", operation="whitelist")
    everybody = signed("hub", None, HOST)
    assert sim.asks("eve", "whitelist", credentials=[everybody]).value == "allow"
    sim.revoke("hub")
    assert sim.asks("eve", "whitelist", credentials=[everybody]).value == "deny"


def test_r15_handing_a_credential_in_does_not_bring_it_back(trusting: Community) -> None:
    trusting.revoke(*(trusting.store(raw) for raw in chain()))
    assert trusting.asks("ann", "whitelist", credentials=chain() * 3).value == "deny"


def test_r15_a_revocation_is_another_snapshot(trusting: Community) -> None:
    before = trusting.ready().snapshot.version
    trusting.revoke("nobody-in-particular")
    assert trusting.ready().snapshot.version != before
    assert key("nobody-in-particular").principal in trusting.revoked
