"""R8: what only the requester says counts where a credential by somebody else binds it (decision 0005)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clearinghouse.clearing.approvals import desk_text
from clearinghouse.clearing.cases import Case
from clearinghouse.clearing.policies import check_policy
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Limits, admit
from clearinghouse.keynote.signing import sign
from tests.world import AUDIT, Community, assertion, key, plain, request, signed, who

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
RELIES = 'XMPP_TLS_for_s2s == "required" && XMPP_SRTP_for_video == "required"'
FULL = f'{RELIES} && XMPP_Multi_User_Chat == "" && Firewall_Packet_Filtering == ""'
FACTS = {**request("ann", "whitelist").claims, **AUDIT, "operation": "whitelist"}


@pytest.fixture
def audited(sim: Community) -> Community:
    """The target relies on two facts about servers, and lets an auditor speak."""
    sim.policy("auditor", RELIES, operation="whitelist")
    return sim


def code(sim: Community, *credentials: bytes, name: str = "ann") -> str:
    return sim.asks(name, "whitelist", claims=AUDIT, credentials=credentials).reason.code


def test_r08_what_the_requester_alone_says_counts_for_nothing(sim: Community) -> None:
    where = f"{HOST} && {RELIES}"
    assert plain([assertion("POLICY", "ann", where)], "ann", FACTS).value == "allow", "the hole"
    sim.policy("ann", where, operation="whitelist")
    decision = sim.asks("ann", "whitelist", claims=AUDIT)
    assert (decision.value, decision.reason.code) == ("deny", "unbound-claim")
    assert "`XMPP_SRTP_for_video`" in decision.reason.text


def test_r08_an_audit_makes_it_count(audited: Community) -> None:
    assert code(audited, signed("auditor", "ann", f"{HOST} && {FULL}")) == "granted"
    assert code(audited, signed("auditor", "ann", HOST)) == "unbound-claim"


@pytest.mark.parametrize(
    "careless",
    [
        "XMPP_SRTP_for_video == XMPP_SRTP_for_video",
        'XMPP_SRTP_for_video != "disabled"',
        'XMPP_SRTP_for_video ~= ".*"',
        'XMPP_SRTP_for_video != ""',
        '(XMPP_SRTP_for_video == "required" || date < "20990101")',
        '(date < "20990101" || XMPP_SRTP_for_video == "required")',
        "@XMPP_SRTP_for_video < 30000",
        '!(XMPP_SRTP_for_video == "none")',
    ],
)
def test_r08_an_auditor_who_only_mentions_a_claim_has_not_audited_it(audited: Community, careless: str) -> None:
    credential = signed("auditor", "ann", f'{HOST} && XMPP_TLS_for_s2s == "required" && {careless}')
    policy = assertion("POLICY", "auditor", RELIES)
    assert plain([policy, credential], "ann", FACTS).value == "allow", "the hole"
    assert code(audited, credential) == "unbound-claim"


def test_r08_policy_itself_is_no_witness(sim: Community) -> None:
    """POLICY says what it wants, not what is so."""
    sim.policy("ann", f'{HOST} && role == "b2b"', operation="whitelist")
    assert sim.asks("ann", "whitelist", claims={"role": "b2b"}).reason.code == "unbound-claim"


def test_r08_the_operator_may_put_down_what_somebody_else_has_said(sim: Community) -> None:
    """An unsigned assertion in the director's name is trusted because the operator keeps it."""
    sim.policy("director", 'role == "b2b"', operation="whitelist")
    sim.load(assertion("director", "ann", f'{HOST} && role == "b2b"'), "whitelist")
    assert sim.asks("ann", "whitelist", claims={"role": "b2b"}).value == "allow"


def test_r08_whom_an_audit_was_given_to_cannot_complete_it(audited: Community) -> None:
    """The auditor has not looked at SRTP; the audited administrator testifies to it himself, for his own second key."""
    half = signed("auditor", "admin", f'{HOST} && XMPP_TLS_for_s2s == "required"')
    rest = signed("admin", "ann", 'XMPP_SRTP_for_video == "required"')
    assert plain([assertion("POLICY", "auditor", RELIES), half, rest], "ann", FACTS).value == "allow", "the hole"
    decision = audited.asks("ann", "whitelist", claims=AUDIT, credentials=[half, rest])
    assert (decision.value, decision.reason.code) == ("deny", "unbound-claim")
    assert 'leaves `XMPP_SRTP_for_video` open: it says `== ""` of what was not looked at' in decision.reason.text


def test_r08_whom_an_audit_was_given_to_may_pass_it_on(audited: Community) -> None:
    audit, narrower = signed("auditor", "admin", f"{HOST} && {FULL}"), signed("admin", "ann", HOST)
    assert code(audited, audit, narrower) == "granted"


def test_r08_who_delegates_below_an_audit_may_demand_more(audited: Community) -> None:
    audit, more = signed("auditor", "admin", f"{HOST} && {FULL}"), signed("admin", "ann", f'{HOST} && Ingress_IP_Filtering == "enabled"')
    assert code(audited, audit, more) == "granted"


def test_r08_a_consultant_between_target_and_auditor_says_nothing_about_servers(sim: Community) -> None:
    sim.policy("target", RELIES, operation="whitelist")
    chain = [signed("target", "consultant", 'App_domain == "XMPP"'), signed("consultant", "ann", f"{HOST} && {FULL}")]
    assert code(sim, *chain) == "granted"


def test_r08_a_role_and_an_audit_are_different_matters(sim: Community) -> None:
    """The director says who is a partner, the auditor below what servers do; neither speaks for the other."""
    sim.policy("director", f'role == "b2b" && {RELIES}', operation="whitelist")
    chain = [signed("director", "auditor", 'role == "b2b"'), signed("auditor", "ann", f"{HOST} && {FULL}")]
    claims = {**AUDIT, "role": "b2b"}
    assert sim.asks("ann", "whitelist", claims=claims, credentials=chain).reason.code == "granted"
    assert sim.asks("ann", "whitelist", claims={**claims, "role": "c2b"}, credentials=chain).value == "deny"


def test_r08_a_claim_that_differs_from_the_audit_is_refused_by_the_audit(audited: Community) -> None:
    credential = signed("auditor", "ann", f"{HOST} && {FULL}")
    better = {**AUDIT, "Firewall_Packet_Filtering": "enabled"}
    assert audited.asks("ann", "whitelist", claims=better, credentials=[credential]).reason.code == "condition-failed"


def test_r08_a_claim_that_nobody_reads_does_no_harm(sim: Community) -> None:
    sim.policy("ann", HOST, operation="whitelist")
    assert sim.asks("ann", "whitelist", claims={**AUDIT, "role": "emperor"}).value == "allow"


def test_r08_a_sound_proof_is_found_beside_one_that_believes_the_requester(audited: Community) -> None:
    audited.policy("ann", f"{HOST} && {RELIES}", operation="whitelist")
    assert code(audited) == "unbound-claim"
    assert code(audited, signed("auditor", "ann", f"{HOST} && {FULL}")) == "granted"


@pytest.mark.parametrize(
    "conditions",
    ['operation == "subscribe" -> topic;', 'operation == "subscribe" -> $topic;', 'operation == "subscribe" -> "al" . domain;'],
)
def test_r08_a_request_does_not_name_the_value_that_it_gets(sim: Community, conditions: str) -> None:
    """A node called `allow` would be granted."""
    text = b'Authorizer: "POLICY"\nLicensees: "xmpp:ann@a.example"\nConditions: ' + conditions.encode() + b"\n"
    facts = {"operation": "subscribe", "topic": "allow", "allow": "allow", "domain": "low"}
    assert plain([text], "ann@a.example", facts).value == "allow", "the hole"
    with pytest.raises(ClearinghouseError) as refused:
        check_policy(admit(text, policy=True), "topics")
    assert refused.value.code == "value-from-request"
    sim.policy("hub", 'topic ~= "^[a-z]+$"')
    sim.delegate("hub", "ann@a.example", 'domain == "a.example" -> topic;')
    assert sim.asks("ann@a.example", to="allow").value == "allow", "what a credential gives, policy above it has bounded"


def test_r08_the_strongest_value_has_a_name_that_a_policy_may_use() -> None:
    text = b'Authorizer: "POLICY"\nLicensees: "xmpp:ann@a.example"\nConditions: operation == "subscribe" -> _MAX_TRUST;\n'
    check_policy(admit(text, policy=True), "topics")


def test_r08_whom_a_credential_trusts_is_not_the_requesters_to_say(sim: Community) -> None:
    """`Licensees: Username` trusts whoever writes its own key into its claim."""
    sim.policy("hub", HOST, operation="whitelist")
    unsigned = assertion("hub", None, HOST).replace(b"Conditions:", b"Licensees: Username\nConditions:")
    claims = {"Username": request("ann", "whitelist").requesters[0], "PacketType": "*"}
    assert plain([assertion("POLICY", "hub", HOST), unsigned], "ann", {**FACTS, **claims}).value == "allow", "the hole"
    assert sim.asks("ann", "whitelist", claims=claims, credentials=[sign(unsigned, key("hub"))]).reason.code == "unbound-effect"


def approved(sim: Community, where: str, claims: dict[str, str]) -> str:
    """Return what a request comes to that policy leaves to people, once they have approved it."""
    sim.appoint()
    sim.policy("ann", where, "ask", operation="whitelist")
    sim.policy("{ann} && {desk}", where, "allow", operation="whitelist")
    pending, later = sim.asks("ann", "whitelist", claims=claims), sim.now + timedelta(days=1)
    text = desk_text(Case(pending.id, pending.request, sim.now, later), desk=who("desk"), until=later, serial="1")
    return sim.asks("ann", "whitelist", claims=claims, approvals=[sign(text, key("desk"), limits=Limits.local())]).value


def test_r08_an_approval_repeats_what_was_said_and_vouches_for_none_of_it(sim: Community) -> None:
    """The desk pins every statement, made or not; policy may still rely on those alone that an auditor bound."""
    assert approved(sim, HOST, {"role": "b2b"}) == "allow"
    assert approved(Community(), f'{HOST} && role == "b2b"', {"role": "b2b"}) == "deny"
