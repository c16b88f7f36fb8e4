"""R6: a requester never sets, hides or imitates what the door saw or what is ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.vocabulary import COMMON, OPERATIONS, Door, Origin
from tests.world import Community, assertion, plain, request

RESERVED = [
    (operation.name, attribute.name)
    for operation in OPERATIONS.values()
    for attribute in operation.attributes.values()
    if attribute.origin.reserved
]
IMITATIONS = ["{}_", "_{}", "__{}__", "{}__"]


def refusal(sim: Community, operation: str, claim: str) -> str:
    group = OPERATIONS[operation].group
    name = "ann@a.example" if group == "topics" else "a.example" if group in {"federate", "admit"} else "ann"
    decision = sim.asks(name, operation, claims={claim: "20990101"})
    assert (decision.outcome, decision.value, decision.reason.code) == (Outcome.REFUSED, "deny", "malformed-request")
    return decision.reason.text


@pytest.mark.parametrize("operation, name", RESERVED, ids="-".join)
def test_r06_a_claim_with_a_reserved_name_is_malformed(sim: Community, operation: str, name: str) -> None:
    assert f"uses the reserved name `{name}`" in refusal(sim, operation, name)


@pytest.mark.parametrize("imitation", [*IMITATIONS, "upper", "title", "spread"])
def test_r06_a_claim_that_resembles_a_reserved_name_is_malformed(sim: Community, imitation: str) -> None:
    for operation, name in RESERVED:
        imitated = (
            imitation.format(name)
            if "{" in imitation
            else {"upper": name.upper(), "title": name.title(), "spread": "_".join(name)}[imitation]
        )
        assert "reserved name" in refusal(sim, operation, imitated)


@pytest.mark.parametrize(
    "name",
    [
        "\u043eperation",  # a Cyrillic letter
        "\uff44ate",  # a full-width one
        "da\u200bte",
        "date\0",
        "date\n",
        " date",
        "date ",
        "",
        "_",
        "__",
        "_ACTION_AUTHORIZERS",
        "_MAX_TRUST",
        "_1",
        "POLICY",
        "$",
        'date == "20990101" || x',
        "x" * 100_000,
        "\ud800",
        "\u202eetad",
    ],
    ids=lambda name: ascii(name[:20]),
)
def test_r06_a_claim_that_is_no_attribute_is_malformed_whatever_it_looks_like(sim: Community, name: str) -> None:
    for operation in OPERATIONS:
        text = refusal(sim, operation, name)
        assert text.isprintable()
        assert len(text) < 300


def test_r06_the_hole_a_claimed_date_would_be_believed(sim: Community) -> None:
    old = assertion("POLICY", "ann", 'date < "20200101"')
    assert plain([old], "ann", {"date": "20191231"}).value == "allow", "the hole"
    sim.policy("ann", 'date < "20200101" && subject ~= "^ann" && topic ~= "^inc" && case ~= "^1"', operation="approve")
    assert sim.asks("ann", "approve", claims={"date": "20191231"}).reason.code == "malformed-request"
    assert sim.asks("ann", "approve", claims={"Date": "20191231"}).reason.code == "malformed-request"
    assert sim.asks("ann", "approve").reason.code == "condition-failed"


@pytest.mark.parametrize("name", ["App_domain", "Server_IP_Address", "Username", "role", "XMPP_TLS_for_s2s"])
def test_r06_the_papers_own_names_are_claims(name: str) -> None:
    assert not OPERATIONS["whitelist"].attributes[name].origin.reserved


def test_r06_the_same_word_is_seen_in_one_operation_and_claimed_in_another(sim: Community) -> None:
    assert OPERATIONS["subscribe"].attributes["domain"].origin is Origin.OBSERVED
    assert OPERATIONS["whitelist"].attributes["domain"].origin is Origin.PARAMETER
    assert "reserved" in refusal(sim, "subscribe", "domain")
    sim.policy("ann", 'App_domain == "XMPP" && domain == "c.example" && Server_IP_Address == "192.0.2.7"', operation="whitelist")
    assert sim.asks("ann", "whitelist", claims={"domain": "c.example"}).value == "allow"


# -- doors keep to their own part ------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_r06_a_door_states_nothing_but_what_it_saw(sim: Community, operation: str) -> None:
    """A door that passed on a stranger's words as seen would otherwise override the clock, the settings or the claims."""
    good = request("ann@a.example" if OPERATIONS[operation].group == "topics" else "ann", operation)
    for name, attribute in OPERATIONS[operation].attributes.items():
        for table, origin in (("observed", Origin.OBSERVED), ("known", Origin.OURS)):
            if attribute.origin is not origin or name in COMMON:
                given = (
                    replace(good, observed={**good.observed, name: "1"})
                    if table == "observed"
                    else replace(good, known={**good.known, name: "1"})
                )
                decision = sim.ask(given)
                assert (decision.reason.code, decision.value) == ("malformed-request", "deny")


def test_r06_an_observation_never_replaces_a_claim_in_silence(sim: Community) -> None:
    decision = sim.asks("ann", "whitelist", observed={"domain": "b.example"})
    assert decision.reason.code == "malformed-request"
    assert "`domain` is nothing observed of `whitelist`" in decision.reason.text


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("door", Door)
def test_r06_an_operation_is_asked_only_at_doors_that_know_its_facts(sim: Community, operation: str, door: Door) -> None:
    """Elsewhere its attributes would all be empty, and `topic != "secrets"` would hold."""
    asked = replace(request("ann", "approve"), operation=operation, door=door, claims={})
    decision = sim.ask(asked)
    assert decision.outcome is Outcome.REFUSED
    if door not in OPERATIONS[operation].doors():
        assert (decision.reason.code, decision.reason.text.partition(":")[0]) == (
            "malformed-request",
            f"`{operation}` cannot be asked at the {door} door",
        )


def test_r06_each_operation_has_the_doors_that_supply_its_facts() -> None:
    doors = {operation.name: operation.doors() for operation in OPERATIONS.values()}
    sure = {Door.ENVELOPE, Door.OPERATOR}
    assert doors == {
        "federate": {Door.STREAM, Door.TABLE, Door.UNPROVEN},
        "admit": {Door.TABLE},
        "whitelist": {Door.ENVELOPE},
        **{name: {Door.BROKER} for name in ("create", "publish", "subscribe", "retrieve", "discover")},
        **{name: {Door.ENVELOPE} for name in ("register", "query", "bulk-download")},
        "approve": {*sure, Door.CHAT, Door.DESK},
        "revoke": {*sure, Door.CHAT},
        "explain": {*sure, Door.CHAT},
        "administer": sure,
        "enrol": {*sure, Door.CHAT},
        "join": {Door.ENVELOPE},
        "override": {Door.ENVELOPE},
        **{f"publish-{what}": {Door.ENVELOPE} for what in ("root", "table", "timestamp", "revocations", "member", "grant")},
    }
