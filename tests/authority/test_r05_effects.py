"""R5: an enforcer may do only what the proof covers, in every dimension of the effect (decision 0005)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import (
    AdmitMember,
    AdmitPublisher,
    ApproveSubscription,
    CreateTopic,
    LeavePending,
    Nothing,
    RefuseSubscription,
    enforcement_of,
)
from clearinghouse.clearing.request import Place
from clearinghouse.clearing.vocabulary import OPERATIONS
from tests.world import BROKER, IODEF, Community, assertion, plain, request, signed

READS_AND_DOES_NOT_BIND = {
    "nothing": 'payload_type ~= "iodef"',
    "itself": "topic == topic",
    "not-another": 'topic != "secrets"',
    "not-anything-else": '!(topic == "secrets")',
    "any-text": 'topic ~= ".*"',
    "some-text": 'topic ~= "."',
    "not-empty": 'topic != ""',
    "at-least-nothing": 'topic >= ""',
    "above": 'topic > "a"',
    "below": 'topic < "z"',
    "no-slash": 'topic ~= "^[^/]+$"',
    "as-a-number": "@topic == 0",
    "beside-a-truth": 'topic == "incidents" || true',
    "after-a-truth": 'true || topic == "incidents"',
    "beside-another-attribute": 'topic == "incidents" || access_model == "authorize"',
    "in-a-vain-comparison": '(topic == "incidents" && jid == "x") || access_model == "authorize"',
    "joined": '(topic . "-") ~= "-$"',
}
BINDS = {
    "equal": 'topic == "incidents"',
    "mirrored": '"incidents" == topic',
    "one-of": 'topic == "alerts" || topic == "incidents"',
    "pattern": 'topic ~= "^inc"',
    "all-names-of-a-kind": 'topic ~= "^[a-z0-9-]+$"',
    "within": 'topic >= "i" && topic < "j"',
    "joined": '(topic . "@" . domain) == "incidents@a.example"',
    "by-its-name": '$"topic" == "incidents"',
}


@pytest.mark.parametrize("where", READS_AND_DOES_NOT_BIND.values(), ids=READS_AND_DOES_NOT_BIND.keys())
def test_r05_reading_a_dimension_does_not_bind_it(sim: Community, where: str) -> None:
    everything = assertion("POLICY", "ann@a.example", where)
    facts = {**request("ann@a.example").observed, **request("ann@a.example").known}
    assert {plain([everything], "ann@a.example", {**facts, "topic": each}).value for each in ("incidents", "whatever else")} == {"allow"}, (
        "the hole"
    )
    sim.policy("ann@a.example", where)
    decision = sim.asks("ann@a.example")
    assert (decision.outcome, decision.value, decision.reason.code) == (Outcome.REFUSED, "deny", "unbound-effect")
    assert "`topic`" in decision.reason.text
    assert isinstance(sim.journal.story[-1], RefuseSubscription)


@pytest.mark.parametrize("where", BINDS.values(), ids=BINDS.keys())
def test_r05_saying_what_a_dimension_is_binds_it(sim: Community, where: str) -> None:
    sim.policy("ann@a.example", where)
    assert sim.asks("ann@a.example").value == "allow"
    assert sim.asks("ann@a.example", to="/").value == "deny"


def test_r05_any_assertion_on_the_chain_may_bind(sim: Community) -> None:
    sim.policy("hub")
    assert sim.asks("ann@a.example").value == "deny"
    sim.delegate("hub", "sector", 'topic == "incidents"')
    sim.delegate("sector", "ann@a.example")
    assert sim.asks("ann@a.example").value == "allow"


def test_r05_a_block_and_an_alternative_clause_bind_only_what_their_value_needs(sim: Community) -> None:
    clauses = 'operation == "subscribe" -> { topic == "incidents" -> "allow"; true -> "ask"; };'
    sim.load(assertion("POLICY", "ann@a.example", clauses))
    assert sim.asks("ann@a.example").value == "allow"
    assert sim.asks("ann@a.example", to="alerts").reason.code == "unbound-effect"


def test_r05_what_grants_too_much_does_not_take_away_what_is_granted_rightly(sim: Community) -> None:
    """KeyNote finds the short chain, which has forgotten the topic; the long one has not."""
    sim.policy("{hub} || {xmpp-member:a.example}")
    assert sim.asks("ann@a.example").reason.code == "unbound-effect"
    sim.delegate("hub", "ann@a.example", 'topic == "incidents"')
    decision = sim.asks("ann@a.example")
    assert decision.value == "allow"
    assert decision.proof is not None
    assert [link.policy for link in decision.proof.chain] == [True, False]


def test_r05_of_two_values_the_strongest_that_is_bound_counts(sim: Community) -> None:
    sim.policy("ann@a.example", value="allow")
    sim.policy("ann@a.example", 'topic == "incidents"', value="ask")
    assert (sim.asks("ann@a.example").value, sim.asks("ann@a.example", to="alerts").value) == ("ask", "deny")


def test_r05_a_quorum_binds_what_one_of_its_members_binds(sim: Community) -> None:
    sim.policy("2-of({hub}, {sector}, {office})")
    sim.delegate("hub", "ann@a.example")
    sim.delegate("sector", "ann@a.example", "topic == topic")
    assert sim.asks("ann@a.example").reason.code == "unbound-effect"
    sim.delegate("office", "ann@a.example", 'topic == "incidents"')
    assert sim.asks("ann@a.example").value == "allow"


# -- `*`: everything is said, never implied -------------------------------------------------------------

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'


@pytest.mark.parametrize("name", OPERATIONS["whitelist"].effect)
def test_r05_a_dimension_that_is_not_asked_for_means_all_of_it(sim: Community, name: str) -> None:
    sim.policy("ann", HOST, operation="whitelist")
    assert sim.asks("ann", "whitelist").value == "allow"
    assert sim.asks("ann", "whitelist", without=[name]).value == "deny"
    assert sim.asks("ann", "whitelist", claims={name: "*"}).value == "deny"


@pytest.mark.parametrize("name", OPERATIONS["whitelist"].effect)
def test_r05_all_of_a_dimension_is_granted_where_that_is_said(sim: Community, name: str) -> None:
    rest = " && ".join(part for part in HOST.split(" && ") if not part.startswith(name))
    sim.policy("ann", rest, operation="whitelist")
    assert sim.asks("ann", "whitelist", without=[name]).reason.code == "unbound-effect"
    sim.policy("ann", f'{rest} && {name} == "*"', operation="whitelist")
    assert sim.asks("ann", "whitelist", without=[name]).value == "allow"


def test_r05_everybody_but_one_is_not_everybody(sim: Community) -> None:
    """`*` differs from `mallory`, so KeyNote holds; and the effect would include her."""
    where = f'{HOST} && Username != "mallory"'
    assert plain([assertion("POLICY", "ann", where)], "ann", {**request("ann", "whitelist").claims, "Username": "*"}).value == "allow", (
        "the hole"
    )
    sim.policy("ann", where, operation="whitelist")
    assert sim.asks("ann", "whitelist").reason.code == "unbound-effect"


@pytest.mark.parametrize(
    "asked, bound, code",
    [
        ({"Username": "bob"}, "", "unbound-effect"),
        ({"Username": "bob"}, 'Username == "bob"', "unbound-effect"),
        ({"Username": "bob"}, 'Username == "bob" && PacketType == "*"', "granted"),
        ({"PacketType": "message"}, 'Username == "*" && PacketType == "message"', "granted"),
        ({"PacketType": "message"}, 'PacketType == "message"', "unbound-effect"),
        ({"Username": "bob", "PacketType": "iq"}, 'Username == "bob" && PacketType ~= "^(iq|message)$"', "granted"),
        ({"Username": "bob", "PacketType": "iq", "direction": "in"}, 'Username == "bob" && PacketType == "iq"', "unbound-effect"),
        ({"direction": "in"}, 'Username == "*" && PacketType == "*" && direction == "in"', "granted"),
    ],
    ids=str,
)
def test_r05_a_packet_rule_is_bound_in_each_of_its_dimensions(sim: Community, asked: dict[str, str], bound: str, code: str) -> None:
    sim.policy("ann", f"{HOST} && {bound}" if bound else HOST, operation="whitelist")
    assert sim.asks("ann", "whitelist", claims=asked).reason.code == code


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if OPERATIONS[name].group not in {"topics", "federate", "admit"}])
def test_r05_each_dimension_of_each_signed_operation_must_be_bound(sim: Community, operation: str) -> None:
    good = request("ann", operation)
    bound = {name: f'{name} == "{good.claims[name]}"' for name in OPERATIONS[operation].effect}
    for left_out in bound:
        world = Community()
        world.policy("ann", " && ".join(test for name, test in bound.items() if name != left_out), operation=operation)
        assert world.asks("ann", operation).reason.code == "unbound-effect"
    sim.policy("ann", " && ".join(bound.values()), operation=operation)
    assert sim.asks("ann", operation).outcome is Outcome.GRANTED


# -- what the requester's own name ties -----------------------------------------------------------------


def test_r05_the_platform_is_bound_by_the_requesters_own_name(sim: Community) -> None:
    sim.policy("xmpp-member:a.example", 'topic == "incidents"')
    assert sim.asks("ann@a.example").value == "allow"


def test_r05_a_platform_that_is_not_the_requester_is_not_bound(sim: Community) -> None:
    """Ann's own domain asks in her place: what it asks for is not itself."""
    sim.policy("xmpp-member:a.example", 'topic == "incidents"')
    decision = sim.asks("ann@a.example", requesters=("xmpp-member:a.example",))
    assert decision.reason.code == "unbound-effect"
    assert "`jid`" in decision.reason.text


@pytest.mark.parametrize(
    "place",
    [
        Place(BROKER, "secrets", "ann@a.example"),
        Place("pubsub.elsewhere.example", "incidents", "ann@a.example"),
        Place(BROKER, "incidents", "eve@a.example"),
        Place(BROKER, "incidents", "ann@c.example/phone"),
    ],
    ids=str,
)
def test_r05_the_answer_goes_to_the_subscription_that_was_decided_about(sim: Community, place: Place) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"')
    decision = sim.ask(replace(request("ann@a.example"), place=place))
    assert (decision.outcome, decision.reason.code) == (Outcome.REFUSED, "malformed-request")


@pytest.mark.parametrize("subscriber", ["ann@a.example/phone", "Ann@A.example", "ann@ä.example"])
def test_r05_the_subscriber_is_answered_exactly_as_it_wrote_itself(sim: Community, subscriber: str) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"')
    place = Place(BROKER, "incidents", subscriber, subid="7")
    decision = sim.ask(replace(request("ann@a.example"), place=place))
    assert sim.journal.story == [decision, ApproveSubscription(place, decision.id)]


EFFECTS = {
    "create": CreateTopic,
    "publish": AdmitPublisher,
    "retrieve": AdmitMember,
    "subscribe": ApproveSubscription,
    "discover": Nothing,
}


@pytest.mark.parametrize("operation", EFFECTS)
def test_r05_each_operation_has_the_one_effect_that_it_names(sim: Community, operation: str) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"', operation=operation)
    assert sim.asks("ann@a.example", operation).outcome is Outcome.GRANTED
    assert type(sim.journal.story[-1]) is EFFECTS[operation]
    for other in EFFECTS.keys() - {operation}:
        assert sim.asks("ann@a.example", other).outcome is Outcome.REFUSED
        assert type(sim.journal.story[-1]) is (RefuseSubscription if other == "subscribe" else Nothing)


@pytest.mark.parametrize("value", ["ask", "deny"])
@pytest.mark.parametrize("operation", EFFECTS)
def test_r05_nothing_but_a_grant_opens_anything(sim: Community, operation: str, value: str) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"', value, operation=operation)
    assert sim.asks("ann@a.example", operation).value == value
    left = {"ask": LeavePending, "deny": RefuseSubscription}[value] if operation == "subscribe" else Nothing
    assert type(sim.journal.story[-1]) is left


def test_r05_where_members_subscribe_freely_a_grant_makes_a_member_and_answers_no_form(sim: Community) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"')
    decisions = [sim.asks(name, known={"access_model": "whitelist"}) for name in ("ann@a.example", "bob@b.example")]
    assert sim.journal.story[1::2] == [AdmitMember(Place(BROKER, "incidents", "ann@a.example"), decisions[0].id), Nothing()]


def test_r05_a_topic_is_created_as_it_was_decided_about(sim: Community) -> None:
    """The type that policy read is the type that it gets; the title is for people, and policy may read it as well."""
    sim.policy("ann@a.example", f'topic == "incidents" && payload_type == "{IODEF}"', operation="create")
    decision = sim.asks("ann@a.example", "create", claims={"title": "Incidents"})
    assert sim.journal.story[-1] == CreateTopic(Place(BROKER, "incidents", "ann@a.example"), IODEF, "Incidents", decision.id)
    assert sim.asks("ann@a.example", "create", known={"payload_type": "urn:other"}).outcome is Outcome.REFUSED


def test_r05_a_request_without_a_place_changes_nothing_outside(sim: Community) -> None:
    sim.policy("ann@a.example", 'topic == "incidents"')
    assert enforcement_of(rule(replace(request("ann@a.example"), place=None), sim.ready(), now=sim.now)) == Nothing()


def test_r05_a_credential_handed_in_binds_as_a_stored_one(sim: Community) -> None:
    sim.policy("hub", operation="whitelist")
    credential = signed("hub", "ann", HOST)
    assert sim.asks("ann", "whitelist", credentials=[credential]).value == "allow"
    assert sim.asks("ann", "whitelist", credentials=[credential], claims={"domain": "b.example"}).value == "deny"


# -- what a signed member record ties ---------------------------------------------------------------------

BY_DOMAIN = 'App_domain == "XMPP" && domain == "a.example"'
RECORDED = {"Server_IP_Address": "domain"}


def test_r05_an_address_that_is_recorded_for_the_domain_is_bound_with_it(sim: Community) -> None:
    sim.policy("ann", BY_DOMAIN, operation="whitelist")
    assert sim.asks("ann", "whitelist").reason.code == "unbound-effect"
    assert sim.asks("ann", "whitelist", tied=RECORDED).value == "allow"


def test_r05_a_record_binds_nothing_where_its_domain_is_not_bound(sim: Community) -> None:
    sim.policy("ann", 'App_domain == "XMPP"', operation="whitelist")
    assert sim.asks("ann", "whitelist", tied=RECORDED).reason.code == "unbound-effect"
