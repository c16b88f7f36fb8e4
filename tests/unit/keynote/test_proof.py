"""The proof: the chain that carried the value, what was read, and every assertion that was skipped, with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from clearinghouse.errors import BadSignature, MalformedAssertion, TooLarge
from clearinghouse.keynote import Admitted, Assertions, Proof, Refused, admit, parse
from clearinghouse.keynote.limits import Limits

VALUES = ("deny", "ask", "allow")


def policy(text: str, source: str = "") -> Admitted:
    return admit(text.encode(), policy=True, source=source)


ROOT = policy('Authorizer: "POLICY"\nLicensees: "hub"\nConditions: topic == "incidents" -> "allow"; true -> "ask";\n', "root.kn")
HUB = policy('Authorizer: "hub"\nLicensees: "sector" || "desk"\nConditions: date < "20270101";\n', "hub.kn")
SECTOR = policy('Authorizer: "sector"\nLicensees: "alice"\n', "sector.kn")


def ask(*policies: Admitted, requesters: tuple[str, ...] = ("alice",), **action: str) -> Proof:
    return Assertions(policies=policies).query(authorizers=requesters, action=action, values=VALUES)


# -- the chain -------------------------------------------------------------------------------------


def test_the_chain_from_policy_down() -> None:
    proof = ask(ROOT, HUB, SECTOR, topic="incidents", date="20261231")
    assert proof.value == "allow"
    assert proof.strongest
    assert [(link.source, link.authorizer, link.licensees, link.value, link.clause) for link in proof.chain] == [
        ("root.kn", "POLICY", ("hub",), "allow", (1,)),
        ("hub.kn", "hub", ("sector",), "allow", (1,)),
        ("sector.kn", "sector", ("alice",), "allow", ()),
    ]
    assert [dict(link.reads) for link in proof.chain] == [{"topic": "incidents"}, {"date": "20261231"}, {}]
    assert [link.id for link in proof.chain] == [each.name for each in (ROOT, HUB, SECTOR)]
    assert all(link.policy for link in proof.chain)


def test_the_clause_that_fired_is_the_strongest() -> None:
    proof = ask(ROOT, HUB, SECTOR, topic="warnings", date="20261231")
    assert proof.value == "ask"
    assert not proof.strongest
    assert (proof.chain[0].clause, dict(proof.chain[0].reads)) == ((2,), {})


def test_a_clause_in_a_block_has_a_number_for_each_level() -> None:
    conditions = 'false; a == "1" -> { false; b == "2" -> { c == "3" -> "ask"; }; };'
    nested = policy(f'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: {conditions}\n')
    proof = ask(nested, a="1", b="2", c="3")
    assert proof.chain[0].clause == (2, 2, 1)
    assert proof.chain[0].reads == {"a": "1", "b": "2", "c": "3"}


def test_the_chain_is_empty_for_the_weakest_value() -> None:
    assert ask(ROOT, topic="incidents").chain == ()


def test_a_chain_forks_where_several_are_needed_and_names_each_once() -> None:
    both = policy('Authorizer: "POLICY"\nLicensees: 2-of("a", "b", "c")\n')
    licences = [policy(f'Authorizer: "{name}"\nLicensees: "d"\n') for name in "ab"]
    shared = policy('Authorizer: "d"\nLicensees: "alice"\n')
    proof = ask(both, *licences, shared)
    assert [(link.authorizer, link.licensees) for link in proof.chain] == [
        ("POLICY", ("a", "b")),
        ("a", ("d",)),
        ("b", ("d",)),
        ("d", ("alice",)),
    ]


def test_no_more_licensees_are_named_than_are_needed() -> None:
    choice = policy('Authorizer: "POLICY"\nLicensees: ("x" && "y") || ("x" && "alice") || "bob"\n')
    assert ask(choice, requesters=("alice", "bob", "x")).chain[0].licensees == ("x", "alice")
    doubled = policy('Authorizer: "POLICY"\nLicensees: 2-of("alice", "bob", "alice")\n')
    assert ask(doubled, requesters=("alice", "bob")).chain[0].licensees == ("alice",)


def test_a_link_does_not_lean_on_itself_in_a_cycle() -> None:
    cycle = [policy('Authorizer: "m"\nLicensees: "x" || "alice"\n'), policy('Authorizer: "x"\nLicensees: "m"\n')]
    proof = ask(*cycle, policy('Authorizer: "POLICY"\nLicensees: "m"\n'))
    assert [(link.authorizer, link.licensees) for link in proof.chain] == [("POLICY", ("m",)), ("m", ("alice",))]


def test_anybody_needs_no_licensee() -> None:
    assert ask(policy('Authorizer: "POLICY"\n')).chain[0].licensees == ()


def test_a_chain_beyond_its_limit_is_no_chain() -> None:
    names = ["POLICY", *(f"p{number}" for number in range(5)), "alice"]
    links = [policy(f'Authorizer: "{a}"\nLicensees: "{b}"\n') for a, b in pairwise(names)]
    proofs = [
        Assertions(policies=links, limits=Limits(chain=chain)).query(authorizers=["alice"], action={}, values=VALUES) for chain in (6, 5)
    ]
    assert len(proofs[0].chain) == 6
    with pytest.raises(TooLarge, match="the chain is too long"):
        _ = proofs[1].chain


# -- what was read ---------------------------------------------------------------------------------


def test_reads_are_those_of_every_assertion_that_was_reached() -> None:
    """Also of those that failed: with another value they would not have."""
    failing = policy('Authorizer: "hub"\nLicensees: "alice"\nConditions: role == "admin" && never == "read";\n')
    apart = policy('Authorizer: "x"\nLicensees: "y"\nConditions: far == "away";\n')
    proof = ask(ROOT, HUB, SECTOR, failing, apart, topic="incidents", date="20261231", role="guest")
    assert proof.reads == {"topic": "incidents", "date": "20261231", "role": "guest"}


def test_attributes_that_name_principals_are_read() -> None:
    named = policy('Authorizer: "POLICY"\nLicensees: who . "x" || $pointer\nConditions: a == "1";\n')
    proof = ask(named, requesters=("Kx",), who="K", pointer="other", other="L", a="1")
    assert proof.reads == {"who": "K", "pointer": "other", "other": "L", "a": "1"}
    assert proof.chain[0].reads == proof.reads
    assert "who" in ask(named, requesters=("nobody",), who="K").reads


def test_reads_are_shown_as_people_wrote_them() -> None:
    proof = ask(policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: name == "grün";\n'), name="grün")
    assert (proof.reads, proof.chain[0].reads) == ({"name": "grün"}, {"name": "grün"})


# -- what was skipped ------------------------------------------------------------------------------


def skipped(text: str, **action: str) -> list[tuple[str, int, int, str]]:
    proof = Assertions(policies=[policy(text, "one.kn")]).query(authorizers=["alice"], action=action, values=VALUES)
    return [(each.reason, each.line, each.column, each.detail) for each in proof.skipped]


def test_a_failed_condition_is_told_with_its_place_and_values() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: role == "admin" && date < "20270101" -> "allow";\n  x == "y";\n'
    assert skipped(text, role="guest", date="20280101") == [
        (
            "condition-failed",
            3,
            13,
            'clause 1: `role == "admin"` failed: `role` is `guest`; `date < "20270101"` failed: `date` is `20280101`',
        ),
        ("condition-failed", 4, 3, 'clause 2: `x == "y"` failed: `x` is not set'),
    ]


def test_a_run_time_error_is_told() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: 7 / @n == 1;\n'
    assert skipped(text, n="0") == [("run-time-error", 3, 13, "clause 1: division by zero")]


def test_a_value_that_the_query_does_not_know_is_told() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: true -> "perhaps";\n'
    assert skipped(text) == [("unknown-value", 3, 13, "clause 1: `perhaps` is not a value of this query")]


def test_the_weakest_value_and_an_empty_block_are_told() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: true -> "deny"; true -> {};\n'
    assert [(reason, detail) for reason, _, _, detail in skipped(text)] == [
        ("condition-failed", "clause 1: the value is the weakest"),
        ("condition-failed", "clause 2: the value is the weakest"),
    ]


def test_empty_conditions_are_told() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "alice"\nConditions:\n'
    assert skipped(text) == [("condition-failed", 1, 1, "its Conditions field is empty, which is the weakest value")]


def test_licensees_that_are_met_in_part_are_told() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: 2-of("alice", "bob", "carol")\n'
    assert skipped(text) == [
        ("licensees-not-met", 1, 1, "2 of its principals are needed, 1 are there; not reached: `bob`, `carol`"),
    ]
    nested = 'Authorizer: "POLICY"\nLicensees: "alice" && ("bob" || "carol")\n'
    assert skipped(nested) == [("licensees-not-met", 1, 1, "its licensees are met in part only")]


def test_a_revoked_assertion_is_told() -> None:
    known = Assertions(policies=[ROOT, HUB, SECTOR])
    for gone in (known.without([SECTOR.id]), known.without(principals=["sector"])):
        proof = gone.query(authorizers=["alice"], action={}, values=VALUES)
        assert [(each.reason, each.source, each.id) for each in proof.skipped] == [("revoked", "sector.kn", SECTOR.name)]


def test_what_was_not_admitted_is_told_first() -> None:
    with pytest.raises(MalformedAssertion) as told:
        parse(b'Authorizer: "POLICY"\nConditions: a = "b";\n')
    refused = [Refused("bad.kn", 0, told.value), Refused("credential 2", 1, BadSignature("the signature does not verify", mend="sign it"))]
    known = Assertions(policies=[ROOT], refused=refused)
    proof = known.query(authorizers=["alice"], action={}, values=VALUES)
    first, second = proof.skipped
    assert (first.reason, first.source, first.line, first.column) == ("malformed", "bad.kn", 2, 15)
    assert first.detail.startswith("`=` does not compare")
    assert (second.reason, second.source, second.line) == ("bad-signature", "credential 2", 1)


def test_what_carried_the_value_or_was_not_reached_is_not_skipped() -> None:
    far = policy('Authorizer: "x"\nLicensees: "y"\nConditions: false;\n')
    assert ask(ROOT, HUB, SECTOR, far, topic="incidents", date="20261231").skipped == ()


def test_hostile_text_is_shown_escaped() -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: x == "\x1b[2J\u202e`"; true -> "\x1b]0;\x07";\n'
    for _, _, _, detail in skipped(text, x="\x1b[31m\u2066"):
        assert detail.isprintable()


# -- as data ---------------------------------------------------------------------------------------


def test_a_proof_as_json() -> None:
    proof = ask(ROOT, HUB, SECTOR, topic="warnings", date="20261231", time="20261231120000")
    data = json.loads(json.dumps(proof.as_json()))
    assert data["value"] == "ask"
    assert data["strongest"] is False
    assert data["authorizers"] == ["alice"]
    assert data["stable_until"] == "2027-01-01T00:00:00+00:00"
    assert data["chain"][0] == {
        "id": ROOT.name,
        "channel": "policy",
        "source": "root.kn",
        "authorizer": "POLICY",
        "licensees": ["hub"],
        "value": "ask",
        "clause": [2],
        "reads": {},
    }
    assert data["skipped"] == []
    assert [each["value"] for each in data["missing"]] == ["allow"]


def test_explanations_come_from_what_the_query_saw() -> None:
    action = {"topic": "incidents", "date": "20261231", "time": "20261231235959"}
    known = Assertions(policies=[ROOT, HUB, SECTOR])
    proof = known.query(authorizers=["alice"], action=action, values=VALUES)
    action["topic"] = "changed"
    known.without([HUB.id])
    assert proof.chain[0].reads == {"topic": "incidents"}
    assert proof.stable_until == datetime(2027, 1, 1, tzinfo=UTC)
    assert proof.chain is proof.chain


def test_a_value_that_is_none_of_the_query_is_the_missing_step() -> None:
    policy = admit(b'Authorizer: "POLICY"\nLicensees: "ann"\nConditions: topic == "x" -> "alow";\n', policy=True, source="p.kn")
    proof = Assertions(policies=[policy]).query(authorizers=["ann"], action={"topic": "x"}, values=["deny", "ask", "allow"])
    [missing] = proof.missing
    assert missing.value == "allow"
    assert missing.sentence().endswith("clause 1, gives `alow`, which is no value here: did you mean `allow`?")
