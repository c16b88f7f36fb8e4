"""R1: a KeyNote clause that does not test `operation` grants every operation; ours may not be loaded."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.policies import check_policy, check_separation
from clearinghouse.clearing.vocabulary import GROUPS, OPERATIONS
from clearinghouse.cli.scenario_run import Result, run_file
from clearinghouse.errors import BadPolicy, BadSettings, ClearinghouseError
from clearinghouse.keynote import Assertions, admit
from tests.world import AUDIT, Community, assertion, plain, request, who

EXAMPLES = sorted((Path(__file__).parents[2] / "policies").glob("*/*scenarios.toml"))
TOPICS = [name for name, operation in OPERATIONS.items() if operation.group == "topics"]


NAMED = re.compile(rb'\boperation (?:==|~=) "([^"]*)"')
"""What an assertion says about the operation."""


@cache
def granted(path: Path) -> list[Result]:
    return [result for result in run_file(path) if result.decision.outcome in {Outcome.GRANTED, Outcome.PENDING}]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_r01_no_example_grants_another_operation_than_it_names(path: Path) -> None:
    """By KeyNote alone: the same people, the same facts, every policy and credential, another operation."""
    assert granted(path)
    for result in granted(path):
        proof = result.decision.proof
        assert proof is not None
        held = [each for layer in proof.held.layers for each in layer]
        assertions = Assertions(policies=[each for each in held if each.policy], credentials=[each for each in held if not each.policy])
        named = {word for each in held for test in NAMED.findall(each.raw) for word in re.findall("[a-z-]+", test.decode())}
        for other in OPERATIONS.keys() - named - {result.scenario.request.operation}:
            action = {**proof.context.action, "operation": other}
            assert assertions.query(authorizers=proof.authorizers, action=action, values=proof.context.scale.names).level == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_r01_a_policy_grants_its_own_operation_and_nothing_else(sim: Community, operation: str) -> None:
    dimensions = {"jid": "ann@a.example", "topic": "incidents", **request("ann", operation).claims}
    bound = " && ".join(f'{name} == "{dimensions[name]}"' for name in OPERATIONS[operation].effect if name in dimensions)
    strongest = (OPERATIONS[operation].values or ("deny", "allow"))[-1]
    sim.policy("{ann} || {xmpp:ann@a.example} || {xmpp:a.example}", bound, strongest, operation=operation)
    askers = {"topics": "ann@a.example", "federate": "a.example", "admit": "a.example"}
    values = {name: sim.asks(askers.get(OPERATIONS[name].group, "ann"), name).value for name in OPERATIONS}
    assert values.pop(operation) == strongest
    assert set(values.values()) == {"deny"}


# -- what only seems to test the operation --------------------------------------------------------------

GRANTS_MORE = {
    "nothing": 'topic == "incidents";',
    "itself": "operation == operation;",
    "not-another": 'operation != "publish";',
    "neither-of-two": 'operation != "publish" && operation != "create";',
    "any-pattern": 'operation ~= ".*";',
    "a-pattern-of-letters": 'operation ~= "^[a-z]+$";',
    "unanchored": 'operation ~= "s";',
    "half-anchored": 'operation ~= "^(subscribe|publish)";',
    "loose-branches": 'operation ~= "^subscribe|publish$";',
    "or-a-truth": '"a" == "a" || operation == "subscribe";',
    "or-true": 'true || operation == "subscribe";',
    "or-another-attribute": 'operation == "subscribe" || topic == "incidents";',
    "negated": '!(operation == "create");',
    "at-least": 'operation >= "a";',
    "as-a-number": "@operation == 0;",
    "second-clause": 'operation == "subscribe"; topic == "incidents";',
    "a-block-outside": 'topic == "incidents" -> { operation == "subscribe"; jid ~= "@"; };',
    "a-block-inside": 'topic == "incidents" -> { topic == "incidents" -> { jid ~= "@" -> "allow"; }; };',
    "in-the-value": 'topic == "incidents" -> { jid ~= "@" -> "allow"; };',
}
SAFE_AND_REFUSED = {
    "empty-pattern": 'operation ~= "";',  # undefined in POSIX, so it matches nothing
    "joined-with-nothing": 'operation . "" == "subscribe";',
    "by-its-name": '$"operation" == "subscribe";',
    "doubly-negated": '!(operation != "subscribe");',
    "between-two-texts": 'operation >= "subscribe" && operation <= "subscribe";',
}
ACCEPTED = {
    "plain": 'operation == "subscribe";',
    "mirrored": '"subscribe" == operation;',
    "last": 'topic == "incidents" && operation == "subscribe" -> "allow";',
    "bracketed": '((operation == "subscribe")) && (topic == "incidents" || topic == "alerts");',
    "two": 'operation == "subscribe" || operation == "retrieve";',
    "each-alternative": '(operation == "subscribe" && topic == "incidents") || operation == "retrieve";',
    "a-list": 'operation ~= "^(subscribe|retrieve)$";',
    "a-list-of-one": 'operation ~= "^subscribe$";',
    "a-block-under-it": 'operation == "subscribe" -> { topic == "incidents" -> "allow"; true -> "ask"; };',
    "a-block-that-tests-it": 'topic == "incidents" -> { operation == "subscribe" -> "allow"; };',
    "never": "false;",
    "no-clause": "",
}


def policy(conditions: str, constants: str = "") -> bytes:
    fields = (f"Local-Constants: {constants}\n" if constants else "") + 'Authorizer: "POLICY"\nLicensees: "xmpp:ann@a.example"\n'
    return f"{fields}Conditions: {conditions}\n".encode()


def load(raw: bytes, group: str = "topics") -> None:
    check_policy(admit(raw, policy=True), group)


def code_of(raw: bytes, group: str = "topics") -> str:
    with pytest.raises(ClearinghouseError) as refused:
        load(raw, group)
    return refused.value.code


def answer(raw: bytes, operation: str, topic: str = "incidents") -> str:
    facts = {**request("ann@a.example", to=topic).observed, "operation": operation, "community": "csirt-net"}
    return plain([raw], "ann@a.example", facts).value


@pytest.mark.parametrize("conditions", GRANTS_MORE.values(), ids=GRANTS_MORE.keys())
def test_r01_a_clause_that_grants_more_than_it_names_is_refused(conditions: str) -> None:
    assert len([name for name in TOPICS if answer(policy(conditions), name) == "allow"]) > 1, "the hole"
    assert code_of(policy(conditions)) == "operation-not-tested"


@pytest.mark.parametrize("conditions, node", [("operation == topic;", "publish"), ("operation == $topic;", "operation")])
def test_r01_a_clause_that_leaves_the_operation_to_the_name_of_a_node_is_refused(conditions: str, node: str) -> None:
    assert answer(policy(conditions), "publish", topic=node) == "allow", "the hole"
    assert code_of(policy(conditions)) == "operation-not-tested"


@pytest.mark.parametrize("conditions", SAFE_AND_REFUSED.values(), ids=SAFE_AND_REFUSED.keys())
def test_r01_a_clause_that_takes_thought_to_be_found_safe_is_refused(conditions: str) -> None:
    assert {name for name in TOPICS if answer(policy(conditions), name) == "allow"} <= {"subscribe"}
    assert code_of(policy(conditions)) == "operation-not-tested"


@pytest.mark.parametrize("conditions", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_r01_a_clause_that_says_its_operations_is_accepted(conditions: str) -> None:
    load(policy(conditions))
    assert {name for name in OPERATIONS if answer(policy(conditions), name) != "deny"} <= {"subscribe", "retrieve"}


def test_r01_a_constant_named_operation_makes_its_test_true_of_everything() -> None:
    shadowed = policy('operation == "subscribe" && topic == "incidents";', constants='operation = "subscribe"')
    assert answer(shadowed, "publish") == "allow", "the hole"
    assert code_of(shadowed) == "hidden-attribute"


def test_r01_a_constant_may_name_the_operation_that_is_meant() -> None:
    load(policy("operation == ours;", constants='ours = "subscribe"'))
    assert code_of(policy("operation == ours;", constants='ours = "subscribes"')) == "operation-not-tested"


def test_r01_a_slip_in_the_name_of_an_operation_is_told() -> None:
    with pytest.raises(ClearinghouseError, match=r"`subscrib` is no operation of this group: did you mean `subscribe`\?"):
        load(policy('operation == "subscrib";'))
    with pytest.raises(ClearinghouseError, match="`whitelist` is no operation of this group"):
        load(policy('operation == "subscribe" || operation == "whitelist";'))


def test_r01_a_policy_without_conditions_is_refused_where_a_group_has_several_operations() -> None:
    bare = b'Authorizer: "POLICY"\nLicensees: "xmpp:ann@a.example"\n'
    assert answer(bare, "publish") == "allow", "the hole"
    assert code_of(bare) == "bad-policy"
    load(bare, "whitelist")


def test_r01_nobody_becomes_policy_by_what_a_request_says() -> None:
    """An authorizer that the request names could be `POLICY`, and would escape the rules for it."""
    named = b'Authorizer: topic\nLicensees: "xmpp:ann@a.example"\n'
    facts = {"operation": "publish", "topic": "POLICY"}
    assert plain([named], "ann@a.example", facts).value == "allow", "the hole"
    assert code_of(named) == "unnamed-principal"
    assert code_of(b'Authorizer: "POLICY"\nLicensees: "xmpp:" . jid\nConditions: operation == "subscribe";\n') == "unnamed-principal"


def test_r01_an_unknown_group_of_policies_is_refused() -> None:
    with pytest.raises(BadSettings, match="`topic` is not a group of operations"):
        load(policy('operation == "subscribe";'), "topic")


def test_r01_a_query_sees_the_policies_of_its_own_group_only(sim: Community) -> None:
    """A policy of a group with one operation need not test it, and still grants nothing elsewhere."""
    sim.load(assertion("POLICY", "ann", 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address ~= "^192\\\\."'), "whitelist")
    assert sim.asks("ann", "whitelist", claims=AUDIT).value == "allow"
    assert {
        sim.asks("ann", name).value for name in OPERATIONS if OPERATIONS[name].group not in {"whitelist", "topics", "federate", "admit"}
    } == {"deny"}
    assert set(sim.ready().snapshot.groups) == set(GROUPS)


# -- keys in two roles ---------------------------------------------------------------------------------


def governed(sim: Community) -> Community:
    case = 'subject == "ann@a.example" && topic == "incidents" && case == "1"'
    sim.policy("boss", case, "allow", operation="approve")
    return sim


def test_r01_people_are_not_reached_through_a_key_that_another_group_licenses(sim: Community) -> None:
    governed(sim).delegate("boss", "hub")
    assert sim.asks("hub", "approve").value == "allow"
    sim.policy("hub", 'topic == "incidents"')
    decision = sim.asks("hub", "approve")
    assert (decision.value, decision.reason.code) == ("deny", "two-roles")


def test_r01_a_key_in_two_roles_does_not_help_others_either(sim: Community) -> None:
    governed(sim).delegate("boss", "hub")
    sim.delegate("hub", "ann")
    sim.policy("hub", 'topic == "incidents"')
    assert sim.asks("ann", "approve").reason.code == "two-roles"
    sim.delegate("boss", "ann")
    assert sim.asks("ann", "approve").value == "allow", "there is a chain without that key"


def test_r01_the_settings_may_name_a_key_in_two_roles(sim: Community) -> None:
    governed(sim).policy("boss", 'topic == "incidents"')
    assert sim.asks("boss", "approve").reason.code == "two-roles"
    sim.share("boss")
    assert sim.asks("boss", "approve").value == "allow"


def test_r01_a_policy_that_licenses_a_key_in_two_roles_is_found_when_loaded(sim: Community) -> None:
    governed(sim).policy("{boss} || {ann}", 'topic == "incidents"')
    ((found, problem),) = check_separation(sim.policies, ())
    assert found is sim.policies["people"][0]
    assert isinstance(problem, BadPolicy)
    assert "`people` and in another" in str(problem)
    assert not list(check_separation(sim.policies, [who("boss")]))


def test_r01_whoever_licenses_policy_itself_gives_nothing_and_takes_nothing(sim: Community) -> None:
    governed(sim).load(b'Authorizer: "POLICY"\nLicensees: "POLICY"\nConditions: operation == "subscribe";\n')
    assert sim.asks("boss", "approve").value == "allow"


@pytest.mark.parametrize("group", ["people", "publish"])
def test_r01_nobody_in_particular_may_not_govern(group: str) -> None:
    anybody = b'Authorizer: "POLICY"\nConditions: operation ~= "^(approve|publish-table)$";\n'
    assert plain([anybody], "eve@c.example", {"operation": "approve"}).value == "allow", "the hole"
    assert code_of(anybody, group) == "bad-policy"
