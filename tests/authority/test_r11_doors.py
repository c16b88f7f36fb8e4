"""R11: a policy reads only what a door can supply for its operation; anything else is refused when it is loaded."""

from __future__ import annotations

import re

import pytest

from clearinghouse.clearing.policies import check_policy
from clearinghouse.clearing.vocabulary import OPERATIONS, Door, operations_of
from clearinghouse.errors import MalformedAssertion
from clearinghouse.federation.levels.advice import LIVE
from clearinghouse.keynote import admit
from tests.world import Community, assertion, plain, request


def load(conditions: str, group: str = "topics", by: str = "POLICY") -> None:
    text = f'Authorizer: "{by}"\nLicensees: "hub"\nConditions: {conditions}\n'
    check_policy(admit(text.encode(), policy=True), group)


def refusal(conditions: str, group: str = "topics") -> MalformedAssertion:
    with pytest.raises(MalformedAssertion) as refused:
        load(conditions, group)
    assert refused.value.code == "unknown-attribute"
    return refused.value


def test_r11_a_name_that_nobody_sets_would_hold_for_ever(sim: Community) -> None:
    slip = 'operation == "subscribe" && topic == "incidents" && domian != "evil.example"'
    facts = {"operation": "subscribe", "topic": "incidents", "domain": "evil.example"}
    assert plain([assertion("POLICY", "xmpp:eve@evil.example", slip)], "eve@evil.example", facts).value == "allow", "the hole"
    error = refusal(f"{slip};")
    assert error.message == "no door supplies `domian` for `subscribe`"
    assert error.mend == "did you mean `domain`?"
    with pytest.raises(MalformedAssertion):
        sim.policy("hub", 'domian != "evil.example"')


@pytest.mark.parametrize(
    "group, conditions, name, near",
    [
        ("topics", 'operation == "subscribe" && payload_typ == "x";', "payload_typ", "payload_type"),
        ("topics", 'operation == "subscribe" && Topic == "x";', "Topic", "topic"),
        ("topics", 'operation == "subscribe" && Server_IP_Address == "x";', "Server_IP_Address", ""),
        ("topics", 'operation == "subscribe" && tls_version == "1.3";', "tls_version", ""),
        ("whitelist", 'XMPP_Stanza_byte_size_limit == "1";', "XMPP_Stanza_byte_size_limit", "XMPP_Sanza_byte_size_limit"),
        ("whitelist", 'from_domain == "a.example";', "from_domain", "domain"),
        ("federate", 'claimed_to_domain == "a.example";', "claimed_to_domain", "claimed_from_domain"),
        ("federate", 'tls_verison == "1.3";', "tls_verison", "tls_version"),
        ("publish", 'operation == "publish-table" && epoc == "1";', "epoc", "epoch"),
    ],
)
def test_r11_the_nearest_name_is_told(group: str, conditions: str, name: str, near: str) -> None:
    error = refusal(conditions, group)
    assert f"`{name}`" in error.message
    assert error.column == f"Conditions: {conditions}".index(name) + 1
    assert error.line == 3
    assert f"`{near}`" in error.mend if near else "known are" in error.mend


@pytest.mark.parametrize(
    "conditions",
    [
        'operation == "register" && provider == "a@b.example";',
        'operation == "query" && platform_group == "sensors";',
        'operation ~= "^(register|query)$" && platform_group == "sensors";',
        '(operation == "register" && platform_group == "x") || (operation == "query" && platform_group == "x");',
        'operation == "query" -> { platform_group == "sensors"; };',
        'operation == "query" && !(platform_group == "sensors");',
        'platform_group == "sensors" -> { operation == "query"; };',
    ],
)
def test_r11_an_attribute_of_another_operation_of_the_group_is_not_supplied(conditions: str) -> None:
    assert re.search("for `(query|bulk-download|register)`", refusal(conditions, "platforms").message)


@pytest.mark.parametrize(
    "conditions",
    [
        'operation == "register" && platform_group == "sensors"; operation == "query" && service == "flows";',
        '(operation == "register" && platform_group == "x") || (operation == "query" && service == "y");',
        'operation == "register" -> { platform_group == "sensors"; };',
        'operation ~= "^(query|bulk-download)$" && service == "flows" && provider ~= "@b\\\\.example$";',
        'operation == "register" && jid ~= "^([a-z]+)@" && _1 == "sensor" && _ACTION_AUTHORIZERS != "";',
    ],
)
def test_r11_what_the_operation_has_may_be_read(conditions: str) -> None:
    load(conditions, "platforms")


@pytest.mark.parametrize(
    "conditions",
    [
        'operation == "subscribe" && $topic == "x";',
        'operation == "subscribe" && $("dom" . topic) == "x";',
        'operation == "subscribe" && $"domian" == "x";',
        'operation == "subscribe" && _ACTION_AUTHORISERS != "x";',
        'operation == "subscribe" && _action_authorizers != "x";',
        'operation == "subscribe" && @domian == 0;',
        'operation == "subscribe" && topic ~= domian;',
        'operation == "subscribe" && (topic . domian) == "x";',
        'operation == "subscribe" -> { domian == ""; };',
    ],
)
def test_r11_no_name_hides_from_the_check(conditions: str) -> None:
    refusal(conditions)


def test_r11_names_that_can_be_told_may_be_computed() -> None:
    load('operation == "subscribe" && $"topic" == "incidents" && $("do" . "main") == "a.example";')


def test_r11_an_assertion_below_policy_keeps_the_rule_as_well() -> None:
    with pytest.raises(MalformedAssertion, match="domian"):
        load('domian != "x";', by="hub")
    load('domain == "a.example";', by="hub")


@pytest.mark.parametrize("group", sorted({operation.group for operation in OPERATIONS.values()}))
def test_r11_each_attribute_of_an_operation_may_be_read_by_its_policies(group: str) -> None:
    for operation in operations_of(group):
        for name in operation.attributes:
            load(f'operation == "{operation.name}" && {name} ~= "^x";', group)


@pytest.mark.parametrize("name", sorted(LIVE - {"claimed_from_domain"}))
def test_r11_what_only_a_stream_knows_decides_about_streams_and_not_about_tables(sim: Community, name: str) -> None:
    good = request("a.example", "federate")
    value = {**good.observed, **good.known}[name]
    sim.policy("a.example", f'{name} == "{value}"', operation="federate")
    assert sim.asks("a.example", "federate").value == "allow"
    assert sim.asks("a.example", "federate", door=Door.TABLE).value == "deny"
