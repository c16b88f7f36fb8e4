"""The nearest missing step, in words: what failed, which licence is missing, what was revoked."""

from __future__ import annotations

from clearinghouse.keynote import Admitted, Assertions, Missing, admit
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.principals import short
from clearinghouse.keynote.signing import sign

VALUES = ("deny", "ask", "allow")
HUB = from_seed(b"hub".ljust(32))


def policy(text: str, source: str = "") -> Admitted:
    return admit(text.encode(), policy=True, source=source)


def missing(*policies: Admitted, requesters: tuple[str, ...] = ("alice",), **action: str) -> tuple[Missing, ...]:
    return Assertions(policies=policies).query(authorizers=requesters, action=action, values=VALUES).missing


def words(found: tuple[Missing, ...]) -> list[tuple[str, list[str]]]:
    return [(each.value, [step.text for step in each.steps]) for each in found]


def test_nothing_is_missing_for_the_strongest_value() -> None:
    assert missing(policy('Authorizer: "POLICY"\nLicensees: "alice"\n')) == ()


def test_a_condition_that_failed() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: date < "20270101" -> "allow";\n', "root.kn")
    (told,) = missing(root, date="20280101")
    (step,) = told.steps
    assert (told.value, step.kind, step.id, step.source, step.clause) == ("allow", "condition", root.name, "root.kn", (1,))
    assert step.text == f'`date < "20270101"` failed: `date` is `20280101` in policy {root.name[:8]} (root.kn), clause 1'


def test_a_condition_of_a_credential_names_it_by_its_id() -> None:
    root = policy(f'Authorizer: "POLICY"\nLicensees: "{HUB.principal}"\n')
    text = f'Authorizer: "{HUB.principal}"\nLicensees: "alice"\nConditions: x == "1"; date < "20270101" && true;\n'
    credential = admit(sign(text.encode(), HUB))
    known = Assertions(policies=[root], credentials=[credential])
    (told,) = known.query(authorizers=["alice"], action={"date": "20280101", "x": "2"}, values=VALUES).missing
    (step,) = told.steps
    assert step.text == f'`x == "1"` failed: `x` is `2` in credential {credential.name[:8]}, clause 1'


def test_everything_that_failed_in_a_clause_is_told_at_once() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: a == "1" && b == "2" && c == "3" && d == "4";\n')
    ((value, steps),) = words(missing(root, a="1"))
    assert value == "allow"
    assert [step.partition(" in ")[0] for step in steps] == [
        '`b == "2"` failed: `b` is not set',
        '`c == "3"` failed: `c` is not set',
        '`d == "4"` failed: `d` is not set',
    ]


def test_a_test_inside_a_block_is_told_with_its_outer_one() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: a == "1" -> { b == "2" -> "allow"; };\n')
    (told,) = missing(root)
    assert [(step.clause, step.text[:20]) for step in told.steps] == [((1,), '`a == "1"` failed: `'), ((1, 1), '`b == "2"` failed: `')]


def test_alternatives_are_told_and_the_rest_counted() -> None:
    tests = " || ".join(f'a == "{number}"' for number in range(5))
    root = policy(f'Authorizer: "POLICY"\nLicensees: "alice"\nConditions: {tests};\n')
    ((_, (text,)),) = words(missing(root, a="x"))
    assert text.startswith('no alternative holds: `a == "0"` failed: `a` is `x` and `a == "1"` failed')
    assert ", and 2 more in policy" in text


def test_a_run_time_error_is_told_as_one() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: 1 / @a == 1;\n')
    ((_, (text,)),) = words(missing(root))
    assert text.startswith("`1 / @a == 1` could not be computed: division by zero in policy")


def test_a_licence_that_nobody_gave() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "hub"\n')
    (told,) = missing(root)
    (step,) = told.steps
    assert (told.value, step.kind, step.authorizer, step.licensee) == ("allow", "licence", "hub", "alice")
    assert step.text == "a licence for `alice` from `hub`"


def test_a_licence_for_a_key_names_it_in_short() -> None:
    root = policy(f'Authorizer: "POLICY"\nLicensees: "{HUB.principal}"\n')
    key = from_seed(b"alice".ljust(32)).principal
    ((_, (text,)),) = words(missing(root, requesters=(key,)))
    assert text == f"a licence for `{short(key)}` from `{short(HUB.principal)}`"


def test_without_any_assertion_only_a_policy_can_help() -> None:
    assert words(missing()) == [("allow", ["a licence for `alice` from a policy"])]


def test_a_licence_the_other_way_round_is_noticed() -> None:
    """As printed in the paper, with the director's customer and her administrator reversed."""
    policies = (policy('Authorizer: "POLICY"\nLicensees: "customer"\n'), policy('Authorizer: "admin"\nLicensees: "customer"\n'))
    ((_, (text,)),) = words(missing(*policies, requesters=("admin",)))
    assert text.startswith("a licence for `admin` from `customer`; there is one the other way round")
    assert text.endswith("perhaps Authorizer and Licensees were swapped")


def test_a_second_person_for_a_threshold() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: 2-of("alice", "bob", "carol")\n')
    ((_, steps),) = words(missing(root))
    assert steps == ["a licence for `alice` from `bob`"]


def test_the_next_and_the_strongest_value_are_told_apart() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: a == "1" -> "ask"; a == "2" && b == "3" -> "allow";\n')
    told = missing(root)
    assert [each.value for each in told] == ["ask", "allow"]
    assert len(told[0].steps) == 1
    assert len(told[1].steps) == 2


def test_from_the_middle_only_what_is_above_is_told() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "alice"\nConditions: true -> "ask"; a == "1" -> "allow";\n')
    assert [each.value for each in missing(root)] == ["allow"]


def test_a_licence_through_a_chain_whose_condition_fails_too() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "hub"\nConditions: topic == "incidents";\n')
    ((_, steps),) = words(missing(root, topic="x"))
    assert steps == [
        f'`topic == "incidents"` failed: `topic` is `x` in policy {root.name[:8]}, clause 1',
        "a licence for `alice` from `hub`",
    ]


def test_in_place_of_a_revoked_credential_a_new_licence_is_told() -> None:
    """That it was revoked is among the skipped."""
    root = policy('Authorizer: "POLICY"\nLicensees: "hub"\n')
    gone = policy('Authorizer: "hub"\nLicensees: "alice"\n', "hub.kn")
    proof = Assertions(policies=[root, gone]).without([gone.id]).query(authorizers=["alice"], action={}, values=VALUES)
    assert words(proof.missing) == [("allow", ["a licence for `alice` from `hub`"])]
    assert [each.reason for each in proof.skipped] == ["revoked"]


def test_a_revoked_assertion_that_only_passes_authority_on_is_to_be_issued_again() -> None:
    root = policy('Authorizer: "POLICY"\nLicensees: "hub" && "desk"\n', "root.kn")
    known = Assertions(policies=[root, policy('Authorizer: "hub"\nLicensees: "alice"\n')]).without([root.id])
    (told,) = known.query(authorizers=["alice", "desk"], action={}, values=VALUES).missing
    assert [(step.kind, step.text) for step in told.steps] == [
        ("revoked", f"policy {root.name[:8]} (root.kn) to be issued again: it has been revoked")
    ]


def test_no_licence_helps_who_was_revoked() -> None:
    known = Assertions(policies=[policy('Authorizer: "POLICY"\nLicensees: "alice" || "hub"\n')]).without(principals=["alice"])
    assert known.query(authorizers=["alice"], action={}, values=VALUES).missing == ()


def test_no_revoked_authorizer_is_proposed() -> None:
    known = Assertions(policies=[policy('Authorizer: "POLICY"\nLicensees: "hub" || "desk"\n')]).without(principals=["desk"])
    (told,) = known.query(authorizers=["alice"], action={}, values=VALUES).missing
    assert [step.text for step in told.steps] == ["a licence for `alice` from `hub`"]


def test_of_equally_near_steps_always_the_same_is_told() -> None:
    names = [f"hub{number}" for number in range(30)]
    root = policy(f'Authorizer: "POLICY"\nLicensees: {" || ".join(f"{chr(34)}{name}{chr(34)}" for name in names)}\n')
    assert words(missing(root)) == [("allow", ["a licence for `alice` from `hub0`"])]


def test_a_step_as_json() -> None:
    (told,) = missing(policy('Authorizer: "POLICY"\nLicensees: "hub"\n'))
    assert told.as_json() == {
        "value": "allow",
        "steps": [
            {
                "kind": "licence",
                "text": "a licence for `alice` from `hub`",
                "id": "",
                "source": "",
                "clause": [],
                "authorizer": "hub",
                "licensee": "alice",
            }
        ],
    }
