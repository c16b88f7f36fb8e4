"""R15: revocation takes away credentials, keys and names before anything is evaluated."""

from __future__ import annotations

import pytest

from clearinghouse.clearing.cases import Revocation, RevocationKind, StaysRevoked
from clearinghouse.clearing.decision import Outcome
from clearinghouse.keynote import admit
from tests.world import NOON, Community, assertion, key, signed, who

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


# -- what was revoked stays revoked, however it comes back ----------------------------------------------------


def respaced(raw: bytes) -> bytes:
    """Return a copy that says the same: what lies outside the signed bytes is laid out anew."""
    text = raw.decode()
    name, _, rest = text.rpartition("Signature: ")
    kind, bits = rest.strip().strip('"').split(":")
    broken = "\\\n  ".join(bits[at : at + 40] for at in range(0, len(bits), 40))
    return f'{name}Signature:   "{kind}:{broken}"\n\n'.encode()


def test_r15_a_copy_that_is_laid_out_anew_stays_revoked(trusting: Community) -> None:
    """Its bytes are new, so a list of digests of files would not know it (rule R14)."""
    first, second = chain()
    copy = respaced(second)
    assert copy != second
    assert trusting.asks("ann", "whitelist", credentials=[first, copy]).value == "allow"
    trusting.revoke(trusting.store(second))
    assert trusting.asks("ann", "whitelist", credentials=[first, copy]).value == "deny"
    trusting.store(copy)
    assert trusting.asks("ann", "whitelist", credentials=[first]).value == "deny"


def test_r15_what_a_revoked_key_signs_from_now_on_is_born_revoked(trusting: Community) -> None:
    trusting.revoke("sector")
    new = signed("sector", "ann", HOST, comment="issued after the revocation")
    assert trusting.asks("ann", "whitelist", credentials=[*chain(), new]).value == "deny"
    trusting.store(new)
    assert trusting.asks("ann", "whitelist", credentials=chain()).value == "deny"


def test_r15_a_credential_that_was_revoked_can_be_issued_anew(trusting: Community) -> None:
    """With another serial it is another one: that is what a serial is for."""
    first, second = chain()
    trusting.revoke(trusting.store(second))
    assert trusting.asks("ann", "whitelist", credentials=[first, signed("sector", "ann", HOST, comment="serial: 2")]).value == "allow"


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "handed in"])
def test_r15_everything_below_a_key_goes_and_the_key_may_go_on_asking(sim: Community, stored: bool) -> None:  # noqa: FBT001 - a row
    sim.policy("hub", operation="whitelist")
    ways = [signed("hub", "sector", HOST), signed("sector", "ann"), signed("ann", "bob")]
    handed = [] if stored else ways
    if stored:
        for raw in ways:
            sim.store(raw)
    assert [sim.asks(name, "whitelist", credentials=handed).value for name in ("sector", "ann", "bob")] == ["allow"] * 3
    sim.revoke_below("sector")
    assert [sim.asks(name, "whitelist", credentials=handed).value for name in ("sector", "ann", "bob")] == ["allow", "deny", "deny"]


def test_r15_below_a_key_new_delegations_do_not_count_either(trusting: Community) -> None:
    trusting.revoke_below("sector")
    new = signed("sector", "ann", HOST, comment="issued after the revocation")
    decision = trusting.asks("ann", "whitelist", credentials=[chain()[0], new])
    assert decision.value == "deny"
    assert decision.proof is not None
    assert [each.reason for each in decision.proof.skipped if each.source == "credential 2"] == ["revoked"]


def test_r15_who_is_reached_another_way_as_well_keeps_that_way(trusting: Community) -> None:
    other = [signed("hub", "office"), signed("office", "ann", HOST)]
    trusting.revoke_below("sector")
    assert trusting.asks("ann", "whitelist", credentials=[*chain(), *other]).value == "allow"


def test_r15_below_a_key_in_any_spelling(trusting: Community) -> None:
    trusting.below.append(who("sector").upper().replace("ED25519-HEX", "Ed25519-Hex"))
    trusting.revoke_below()
    assert trusting.asks("ann", "whitelist", credentials=chain()).value == "deny"


def test_r15_a_policy_by_the_operators_own_hand_is_below_its_author_as_well(sim: Community) -> None:
    sim.policy("hub", operation="whitelist")
    sim.load(assertion("hub", "ann", HOST), "whitelist")
    assert sim.asks("ann", "whitelist").value == "allow"
    sim.revoke_below("hub")
    assert sim.asks("ann", "whitelist").value == "deny"


@pytest.mark.parametrize("how", ["credential", "key", "below"])
def test_r15_an_approval_can_be_revoked_like_any_credential(sim: Community, how: str) -> None:
    sim.appoint("desk")
    sim.policy("hub", 'topic == "incidents"', "ask")
    sim.policy("{hub} && {desk}", 'topic == "incidents"', "allow")
    sim.delegate("hub", "ann@a.example")
    approval = sim.approval(sim.asks("ann@a.example"))
    assert sim.asks("ann@a.example", approvals=[approval]).value == "allow"
    match how:
        case "credential":
            sim.revoke(admit(approval))
        case "key":
            sim.revoke("desk")
        case _:
            sim.revoke_below("desk")
    assert sim.asks("ann@a.example", approvals=[approval]).value == "ask"


@pytest.mark.parametrize("kind", RevocationKind)
def test_r15_only_the_bar_on_a_platform_can_be_lifted(kind: RevocationKind) -> None:
    made = Revocation("1", NOON, kind, "ann@a.example incidents", "unix:root")
    if kind is RevocationKind.HOLDER:
        assert made.lift(at=NOON).lifted == NOON
    else:
        with pytest.raises(StaysRevoked, match="stays revoked"):
            made.lift(at=NOON)
