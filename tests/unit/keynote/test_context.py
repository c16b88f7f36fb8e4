"""What may be asked: requesters, attributes and values (RFC 2704, 4.5; authority rule R9)."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghouse.errors import BadPrincipal, BadQuery, ClearinghouseError, TooLarge
from clearinghouse.keynote import Assertions, admit
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.context import Context, context_of
from clearinghouse.keynote.limits import Limits

KEY = "ed25519-hex:" + "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def ask(authorizers: object = ("K",), action: object = None, values: object = ("deny", "allow"), limits: Limits | None = None) -> Context:
    anything: Any = context_of  # what a careless caller may hand over
    found: Context = anything(authorizers, action or {}, values, limits or Limits())
    return found


# -- requesters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorizers,error,message",
    [
        ([], BadQuery, "at least one action authorizer"),
        (["POLICY"], BadQuery, "`POLICY` cannot request"),
        (["K", "POLICY"], BadQuery, "`POLICY` cannot request"),
        ("K", BadQuery, "are one text"),
        (["ed25519-hex:00"], BadPrincipal, "cannot be decoded"),
        (["\ud800"], BadQuery, "half of a surrogate pair"),
    ],
)
def test_refused_requesters(authorizers: object, error: type[ClearinghouseError], message: str) -> None:
    with pytest.raises(error, match=message):
        ask(authorizers)


def test_policy_in_other_letter_case_is_an_opaque_name() -> None:
    assert ask(["policy"]).requesters == ("policy",)


def test_requesters_are_normal_forms_each_once() -> None:
    assert ask(["K", KEY.upper().replace("ED25519-HEX", "Ed25519-Hex"), KEY, "K"]).requesters == ("K", KEY)


def test_action_authorizers_are_sorted_by_bytes_and_joined_by_commas() -> None:
    """Rule R9; RFC 2704 leaves the order open."""
    context = ask(["xmpp:b", "ü", "Z", "a", KEY, "xmpp:a"])
    assert context.special("_ACTION_AUTHORIZERS") == f"Z,a,{KEY},xmpp:a,xmpp:b,Ã¼"


def test_requesters_may_come_from_anything_that_can_be_walked() -> None:
    assert ask(name for name in ("a", "b")).requesters == ("a", "b")


# -- attributes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action,error,message",
    [
        ({"_x": "1"}, BadQuery, "begins with an underscore"),
        ({"_MAX_TRUST": "deny"}, BadQuery, "begins with an underscore"),
        ({"größe": "1"}, BadQuery, "is not the name of an attribute"),
        ({"x": 1}, BadQuery, "is not text"),
        ({"x": None}, BadQuery, "is not text"),
        ({"x": b"1"}, BadQuery, "is not text"),
        ({"x": "\ud800"}, BadQuery, "half of a surrogate pair"),
        ({"x": "a" * 16_385}, TooLarge, "16385 bytes"),
        ({"x": "ü" * 8_193}, TooLarge, "16386 bytes"),
        ({f"n{number}": "" for number in range(257)}, TooLarge, "257 attributes"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else None,
)
def test_refused_attributes(action: object, error: type[ClearinghouseError], message: str) -> None:
    with pytest.raises(error, match=message):
        ask(action=action)


def test_attributes_are_copied_as_octets() -> None:
    action = {"a": "grün", "b": "plain", "c": "\udcff"}
    context = ask(action=action)
    action["b"] = "changed"
    assert context.action == {"a": "grÃ¼n", "b": "plain", "c": "\xff"}


def test_attributes_at_their_limits() -> None:
    ask(action={f"n{number}": "" for number in range(256)})
    ask(action={"x": "a" * 16_384, "y": "ü" * 8_192})


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values,error,message",
    [
        ([], BadQuery, "needs compliance values"),
        (["deny", "allow", "deny"], BadQuery, "stands twice in `deny,allow,deny`"),
        ([str(number) for number in range(257)], TooLarge, "257 compliance values"),
        (["\ud800"], BadQuery, "half of a surrogate pair"),
    ],
    ids=["none", "twice", "too many", "no text"],
)
def test_refused_values(values: list[str], error: type[ClearinghouseError], message: str) -> None:
    with pytest.raises(error, match=message):
        ask(values=values)


def test_special_attributes() -> None:
    context = ask(values=("nie", "später", "ja"))
    assert [context.special(name) for name in ("_MIN_TRUST", "_MAX_TRUST", "_VALUES")] == ["nie", "ja", "nie,spÃ¤ter,ja"]
    assert context.special("_OTHER") == ""


def test_a_single_value_is_the_answer_to_everything() -> None:
    policy = admit(b'Authorizer: "POLICY"\nLicensees: "K"\n', policy=True)
    for authorizer in ("K", "L"):
        proof = Assertions(policies=[policy]).query(authorizers=[authorizer], action={}, values=["always"])
        assert (proof.value, proof.strongest, proof.missing) == ("always", True, ())


def test_values_come_back_as_they_were_written() -> None:
    policy = admit('Authorizer: "POLICY"\nLicensees: "K"\nConditions: true -> "später";\n'.encode(), policy=True)
    assert Assertions(policies=[policy]).query(authorizers=["K"], action={}, values=("nie", "später", "ja")).value == "später"


def test_a_query_has_the_budget_of_its_limits_or_its_own() -> None:
    assert ask(limits=Limits(steps=7)).budget.left == 7
    own = Budget(3)
    assert context_of(["K"], {}, ["x"], Limits(), own).budget is own
