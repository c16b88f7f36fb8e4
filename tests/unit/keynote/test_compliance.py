"""Compliance values over several assertions (``tests/data/delegations.toml``), overlays and revocation (authority rule R15)."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghouse.errors import BadPrincipal, BadQuery
from clearinghouse.keynote import Admitted, Assertions, Proof, Refused, admit
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.principals import normalise
from clearinghouse.keynote.signing import sign
from tests.data import Case, each

VALUES = ("deny", "ask", "allow")
KEYS = [from_seed(name.encode().ljust(32)) for name in ("a", "b", "c")]
A, B, C = (key.principal for key in KEYS)


def policy(line: str) -> Admitted:
    """Return the assertion of one line ``authorizer < licensees : conditions``."""
    authorizer, _, rest = line.partition(" <")
    licensees, colon, conditions = rest.partition(" : ")
    rows = ["Authorizer: " + ('"POLICY"' if authorizer == "POLICY" else authorizer)]
    if licensees.strip() != "-":
        rows.append(f"Licensees: {licensees}")
    if colon:
        rows.append(f"Conditions: {conditions}")
    return admit(("\n".join(rows) + "\n").encode(), policy=True)


def credential(author: int, licensees: str, conditions: str = "true;") -> Admitted:
    key = KEYS[author]
    return admit(sign(f'Authorizer: "{key.principal}"\nLicensees: {licensees}\nConditions: {conditions}\n'.encode(), key))


def ask(known: Assertions, *requesters: str, **action: str) -> Proof:
    return known.query(authorizers=requesters, action=action, values=VALUES)


@each("delegations")
def test_delegation(case: Case) -> None:
    known = Assertions(policies=[policy(line) for line in case["assertions"]])
    assert ask(known, *case["requesters"], **case.get("action", {})).value == case["want"]


@each("delegations")
def test_delegation_in_reverse_order(case: Case) -> None:
    known = Assertions(policies=[policy(line) for line in reversed(case["assertions"])])
    assert ask(known, *case["requesters"], **case.get("action", {})).value == case["want"]


# -- thresholds are not cheated --------------------------------------------------------------------


def test_an_assertion_that_is_loaded_twice_counts_nobody_twice() -> None:
    both = policy(f'POLICY < "{A}" && "{B}"')
    known = Assertions(policies=[both, both])
    assert ask(known, A).value == "deny"
    assert ask(known, A, B).value == "allow"


@pytest.mark.parametrize("licensees", ['2-of("x", "y", "z")', '"x" && "y"', '"x" && ("y" || "z") && "y"'])
def test_a_credential_that_is_handed_in_again_counts_nobody_twice(licensees: str) -> None:
    handed = credential(0, licensees)
    known = Assertions(policies=[policy(f'POLICY < "{A}"')], credentials=[handed])
    for again in ([handed], [handed, handed], [credential(0, licensees)]):
        over = known.with_credentials(again).with_credentials(again)
        assert ask(over, "x").value == "deny"
        assert ask(over, "x", "y").value == "allow"


def test_a_request_named_threshold_is_not_cheated_either() -> None:
    both = policy("POLICY < who && whom")
    assert ask(Assertions(policies=[both, both]), "x", who="x", whom="y").value == "deny"
    assert ask(Assertions(policies=[both, both]), "x", "y", who="x", whom="y").value == "allow"


# -- overlays --------------------------------------------------------------------------------------


def test_an_overlay_leaves_what_it_is_laid_over_as_it_was() -> None:
    known = Assertions(policies=[policy(f'POLICY < "{A}"')])
    refused = Refused("credential 2", 1, BadQuery("no"))
    over = known.with_credentials([credential(0, '"K"')], refused=[refused])
    assert (ask(known, "K").value, ask(over, "K").value) == ("deny", "allow")
    assert (known.refused, over.refused) == ((), (refused,))
    assert len(list(known)) == 1
    assert len(list(over)) == 2


def test_iteration_yields_each_assertion_once() -> None:
    policies = [policy("POLICY < -"), policy('POLICY < "a" || "b"'), policy("POLICY < who"), policy('"a" < "b"')]
    known = Assertions(policies=[*policies, policies[1]])
    assert {each.id for each in known} == {each.id for each in policies}
    assert len(list(known)) == 4
    assert len(list(known.without([policies[1].id]))) == 3


# -- revocation ------------------------------------------------------------------------------------


def chain() -> Assertions:
    return Assertions(policies=[policy(f'POLICY < "{A}" || "hub"')], credentials=[credential(0, f'"{B}"'), credential(1, '"K"')])


def test_a_revoked_id_is_gone_and_the_set_it_came_from_is_not() -> None:
    known = chain()
    for link in ask(known, "K").chain:
        assert ask(known.without([bytes.fromhex(link.id)]), "K").value == "deny"
    assert ask(known, "K").value == "allow"


def test_a_revoked_credential_stays_revoked_when_it_is_handed_in_again() -> None:
    known = chain()
    handed = next(each for each in known if each.authorizer == B)
    gone = known.without([handed.id])
    assert ask(gone.with_credentials([handed]), "K").value == "deny"
    respaced = admit(handed.raw + b"\n# not signed\n")
    assert ask(gone.with_credentials([respaced]), "K").value == "deny"


@pytest.mark.parametrize("gone", [A, B, "K", A.upper().replace("ED25519-HEX", "Ed25519-HEX")])
def test_a_revoked_principal_is_gone_in_every_role(gone: str) -> None:
    """As licensee of the policy, as authorizer, and as requester; however it is spelt."""
    assert ask(chain().without(principals=[gone]), "K").value == "deny"


def test_a_revoked_requester_does_not_cost_the_others_anything() -> None:
    known = Assertions(policies=[policy('POLICY < "x" || "y"')]).without(principals=["x"])
    assert ask(known, "x").value == "deny"
    assert ask(known, "x", "y").value == "allow"


def test_revoking_policy_leaves_nothing() -> None:
    known = Assertions(policies=[policy("POLICY < -"), policy('POLICY < "K"')]).without(principals=["POLICY"])
    assert ask(known, "K").value == "deny"


def test_a_revoked_opaque_name_beyond_ascii() -> None:
    known = Assertions(policies=[policy('POLICY < "müller"')])
    assert ask(known, "müller").value == "allow"
    assert ask(known.without(principals=["müller"]), "müller").value == "deny"


def test_revocation_is_refused_where_it_would_revoke_nothing_in_silence() -> None:
    known = chain()
    link = ask(known, "K").chain[0]
    anything: Any = known.without
    for mistake in ([link.id], link.id, [1]):
        with pytest.raises(TypeError, match="would revoke nothing"):
            anything(mistake)
    with pytest.raises(TypeError, match="would revoke nothing"):
        anything(principals="hub")
    with pytest.raises(BadPrincipal):
        known.without(principals=["ed25519-hex:00"])


def test_revocations_add_up() -> None:
    known = Assertions(policies=[policy('POLICY < "x" || "y" || "z"')])
    less = known.without(principals=["x"]).without(principals=["y"])
    assert [ask(less, name).value for name in "xyz"] == ["deny", "deny", "allow"]


# -- keys ------------------------------------------------------------------------------------------


def test_principals_meet_by_normal_form() -> None:
    upper = "ED25519-hex:" + A.partition(":")[2].upper()
    assert normalise(upper) == A
    known = Assertions(policies=[policy(f'POLICY < "{upper}"')], credentials=[credential(0, '"K"')])
    assert ask(known, "K").value == "allow"
    assert ask(Assertions(policies=[policy(f'POLICY < "{A}"')]), upper).value == "allow"


def test_an_undecodable_requester_is_an_error_and_no_denial() -> None:
    with pytest.raises(BadPrincipal):
        ask(chain(), "rsa-hex:00")


# -- one set over another --------------------------------------------------------------------------------------


def test_two_sets_together_hold_what_both_hold_and_share_their_indexes() -> None:
    ours = Assertions(policies=[policy(f'POLICY < "{A}" && "{B}"')])
    theirs = Assertions(credentials=[credential(0, f'"{C}"'), credential(1, f'"{C}"')])
    both = ours.over(theirs)
    assert ask(both, C).value == "allow"
    assert ask(ours, C).value == ask(theirs, C).value == "deny"
    assert ask(both, C).held.layers == (*ask(ours, C).held.layers, *ask(theirs, C).held.layers)
    assert list(both) == [*ours, *theirs]


def test_two_sets_together_lack_what_either_lacks() -> None:
    gone = credential(0, f'"{C}"')
    refused = Refused("a file", 0, BadPrincipal("it cannot be decoded"))
    ours = Assertions(policies=[policy(f'POLICY < "{A}" || "{B}"')], refused=[refused]).without(principals=[B])
    both = ours.over(Assertions(credentials=[gone, credential(1, f'"{C}"')]).without([gone.id]))
    assert ask(both, C).value == "deny"
    assert ask(both, A).value == "allow"
    assert both.refused == (refused,)


def test_a_set_over_an_empty_one_is_itself() -> None:
    ours = Assertions(policies=[policy(f'POLICY < "{A}"')])
    assert ours.over(Assertions()) is ours


def test_what_came_with_a_request_is_told_from_what_is_believed() -> None:
    believed = Assertions(policies=[policy(f'POLICY < "{A}"')]).over(Assertions(credentials=[credential(0, f'"{B}"')]))
    held = ask(believed.with_credentials([credential(1, f'"{C}"')]), C).held
    assert (len(held.layers), held.loaded) == (3, 2)
