"""R7: what is not known, or not written as it should be, grants nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.facts import LONGEST_VALIDITY
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import OPERATIONS, Door, Kind, is_canonical
from clearinghouse.keynote import Assertions, Proof
from tests.authority.test_r01_operations import EXAMPLES, granted
from tests.world import AUDIT, Community, assertion, plain, request, signed

ASKERS = {"topics": "ann@a.example", "federate": "a.example", "admit": "a.example"}


def generous(operation: str) -> Community:
    """Return a community in which the good request for *operation* is granted, and everything that is not tested is free."""
    sim = Community()
    good = request(asker(operation), operation)
    facts = {**good.observed, **good.known, **good.claims}
    bound = " && ".join(f'{name} == "{facts[name]}"' for name in OPERATIONS[operation].effect_at(good.door))
    sim.policy("{ann} || {xmpp:ann@a.example} || {xmpp:a.example}", bound, operation=operation)
    return sim


def asker(operation: str) -> str:
    return ASKERS.get(OPERATIONS[operation].group, "ann")


def without(asked: Request, name: str) -> Request:
    tables = ({each: value for each, value in table.items() if each != name} for table in (asked.observed, asked.known, asked.claims))
    observed, known, claims = tables
    return replace(asked, observed=observed, known=known, claims=claims)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_r07_leaving_out_any_attribute_never_raises_the_value(operation: str) -> None:
    sim, good = generous(operation), request(asker(operation), operation)
    assert sim.ask(good).outcome is Outcome.GRANTED
    for name in {**good.observed, **good.known, **good.claims}:
        decision = sim.ask(without(good, name))
        if OPERATIONS[operation].attributes[name].origin.reserved:
            assert (decision.value, decision.reason.code) == ("deny", "fact-missing")
            assert f"`{name}` is not known" in decision.reason.text
        elif name in OPERATIONS[operation].effect:
            assert decision.value == "deny"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_r07_an_empty_fact_is_a_missing_one(operation: str) -> None:
    sim, good = generous(operation), request(asker(operation), operation)
    for table in ("observed", "known"):
        for name in getattr(good, table):
            changed = {**getattr(good, table), name: ""}
            asked = replace(good, observed=changed) if table == "observed" else replace(good, known=changed)
            assert sim.ask(asked).reason.code == "fact-missing"


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if OPERATIONS[name].group not in ASKERS])
def test_r07_an_empty_parameter_is_neither_all_nor_nothing(operation: str) -> None:
    sim, good = generous(operation), request("ann", operation)
    for name in good.claims:
        decision = sim.ask(replace(good, claims={**good.claims, name: ""}))
        assert decision.reason.code == "malformed-request"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_r07_leaving_out_any_attribute_never_raises_a_value_in_the_examples(path: Path) -> None:
    for result in granted(path):
        proof, asked = result.decision.proof, result.decision.request
        assert proof is not None
        sim = community_of(proof, OPERATIONS[asked.operation].group, result.scenario.request.now)
        before = proof.context.scale.names.index(sim.ask(replace(asked, credentials=())).value)
        assert before == proof.level
        for name in {**asked.observed, **asked.known, **asked.claims}:
            after = sim.ask(without(replace(asked, credentials=()), name))
            assert proof.context.scale.names.index(after.value) <= before


def community_of(proof: Proof, group: str, now: datetime) -> Community:
    """Return a community that believes just what *proof* was made from."""
    sim = Community(now, levels=proof.context.scale.names)
    held = [each for layer in proof.held.layers for each in layer]
    believed = Assertions(policies=[each for each in held if each.policy], credentials=[each for each in held if not each.policy])
    sim.desk.snapshot = Snapshot("1", {group: believed.without(proof.held.withdrawn, principals=proof.held.revoked)})
    return sim


# -- numbers and conditions that hold on nothing ----------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["@blocklist_count == 0", "@limit < 30000", 'blocked != "yes"', '!(banned == "yes")', "&score <= 0.5", '$"blocked" == ""']
)
def test_r07_what_nobody_set_makes_no_condition_hold(sim: Community, where: str) -> None:
    """A policy that reads such a name is not loaded (R11); a credential is, and then grants nothing."""
    assert plain([assertion("POLICY", "ann", where)], "ann", {}).value == "allow", "the hole"
    sim.policy("hub", 'topic == "incidents"')
    credential = sim.delegate("hub", "ann@a.example", where)
    decision = sim.asks("ann@a.example")
    assert (decision.value, decision.reason.code) == ("deny", "fact-missing")
    assert credential.name[:8] in decision.reason.text


def test_r07_a_credential_that_relies_on_nothing_does_not_hide_one_that_is_sound(sim: Community) -> None:
    sim.policy("hub", 'topic == "incidents"')
    sim.delegate("hub", "ann@a.example", "@blocklist_count == 0")
    sim.delegate("hub", "ann@a.example", 'access_model == "authorize"')
    assert sim.asks("ann@a.example").value == "allow"


def test_r07_an_attribute_of_another_operation_may_stand_in_an_alternative_that_is_not_needed(sim: Community) -> None:
    sim.policy("hub", 'topic == "incidents"')
    sim.delegate("hub", "ann@a.example", 'access_model == "authorize" || @blocklist_count == 0')
    assert sim.asks("ann@a.example").value == "allow"


def test_r07_a_low_limit_that_is_not_claimed_is_not_a_low_limit(sim: Community) -> None:
    """The paper's `@XMPP_Sanza_byte_size_limit < 30000`, with an auditor as careless as the policy."""
    host = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
    careless = "@XMPP_Sanza_byte_size_limit < 30000"
    facts = {**request("ann", "whitelist").claims, "operation": "whitelist"}
    assert plain([assertion("POLICY", "ann", careless)], "ann", facts).value == "allow", "the hole"
    sim.policy("auditor", careless, operation="whitelist")
    decision = sim.asks("ann", "whitelist", credentials=[signed("auditor", "ann", f"{host} && {careless}")])
    assert (decision.value, decision.reason.code) == ("deny", "unbound-claim")


# -- every value in its one form --------------------------------------------------------------------------

FORMS = tomllib.loads(Path(__file__).with_name("values.toml").read_text(encoding="utf-8"))
LONE_SURROGATES = ["\ud800", "\udcff", "\ud800@a.example"]
TOO_LONG = ["a" * 64 + ".example", ".".join(["a" * 60] * 5), "a" * 1024 + "@a.example", "9" * 5_000]


@pytest.mark.parametrize("kind", Kind)
def test_r07_only_one_form_of_each_value_is_canonical(kind: Kind) -> None:
    assert [value for value in (*FORMS[kind]["bad"], *LONE_SURROGATES) if is_canonical(kind, value)] == []
    assert [value for value in FORMS[kind]["good"] if not is_canonical(kind, value)] == []
    assert [value for value in TOO_LONG if kind is not Kind.TEXT and is_canonical(kind, value)] == []


def badly_written(good: Request) -> Iterator[Request]:
    """Yield *good* with each of its values written in each form that is refused."""
    for table in ("observed", "known", "claims"):
        given = getattr(good, table)
        for attribute in (OPERATIONS[good.operation].attributes[name] for name in given):
            for value in {*FORMS[attribute.kind]["bad"], *LONE_SURROGATES} - {"", attribute.default}:
                changed: Any = {table: {**given, attribute.name: value}}
                yield replace(good, **changed)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_r07_a_value_that_is_not_canonical_makes_the_request_malformed(operation: str) -> None:
    sim = generous(operation)
    for asked in badly_written(request(asker(operation), operation)):
        decision = sim.ask(asked)
        assert (decision.value, decision.reason.code) == ("deny", "malformed-request")
        assert decision.reason.text.isprintable()


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_VALIDITY + 1, 2**31, -(2**31) - 1, 10**30])
def test_r07_a_period_out_of_range_makes_the_request_malformed(seconds: int) -> None:
    sim = generous("subscribe")
    decision = sim.asks("ann@a.example", validity=seconds)
    assert decision.reason.code == "malformed-request"
    assert f"{seconds} seconds" in decision.reason.text


def test_r07_a_platform_of_another_domain_than_is_said_is_malformed() -> None:
    sim = generous("register")
    decision = sim.asks("ann", "register", claims={"domain": "b.example"})
    assert decision.reason.code == "malformed-request"
    assert "`sensor@a.example` is no platform of `b.example`" in decision.reason.text
    assert generous("subscribe").asks("ann@a.example", observed={"domain": "b.example"}).reason.code == "malformed-request"


def test_r07_a_table_has_no_facts_of_a_session() -> None:
    """The same policies answer for tables and for streams; what only a stream knows is empty in a table."""
    sim = Community()
    old = 'tls_version != "1.0"'
    facts = request("a.example", "federate", door=Door.TABLE).observed
    assert plain([assertion("POLICY", "a.example", old)], "a.example", facts).value == "allow", "the hole"
    sim.policy("a.example", old, operation="federate")
    values: list[Decision] = [
        rule(request("a.example", "federate", door=door), sim.ready(), now=sim.now) for door in (Door.STREAM, Door.TABLE)
    ]
    assert [each.value for each in values] == ["allow", "deny"]
    assert values[1].reason.code == "fact-missing"
    assert "the table door does not set" in values[1].reason.text


def test_r07_what_was_not_audited_is_the_empty_text_and_not_unknown(sim: Community) -> None:
    host = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'
    sim.policy("auditor", 'XMPP_TLS_for_s2s == "required"', operation="whitelist")
    audit = f'{host} && XMPP_TLS_for_s2s == "required" && XMPP_Multi_User_Chat == ""'
    assert sim.asks("ann", "whitelist", claims=AUDIT, credentials=[signed("auditor", "ann", audit)]).value == "allow"
