"""Ceremonies: what roots draft, vouch for and sign, and what the next generation takes over."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.roles import ceremonies
from clearinghouse.federation.roles.ceremonies import Draft, Keyholders, Plan
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.federation.trust.trusted import Standing, Trusted, follow
from clearinghouse.keynote.signing import sign
from tests.presses import COMMUNITY, MINUTE, NOW, Press, key, made, pin_of, plan, sealed, who


def drafted(wanted: Plan | None = None) -> Draft:
    serials = count(1)
    return ceremonies.drafted(wanted or plan(), lambda: f"{next(serials):032x}", "0" * 64)


# -- drafts ------------------------------------------------------------------------------------------------


def test_a_draft_is_read_as_it_was_written() -> None:
    draft = ceremonies.vouched(drafted(), key("r2"))
    raw = ceremonies.draft_bytes(draft)
    assert ceremonies.is_draft(raw)
    assert ceremonies.read_draft(raw) == draft
    assert not ceremonies.is_draft(sealed(made(plan())))


def test_each_root_vouches_for_each_role() -> None:
    draft = drafted()
    assert list(ceremonies.unsigned_by(draft.root)) == list(who("r1", "r2", "r3"))
    draft = ceremonies.vouched(draft, key("r2"))
    assert list(ceremonies.unsigned_by(draft.root)) == list(who("r1", "r3"))
    assert ceremonies.vouchers_of(draft.root) == dict.fromkeys(sorted(ceremonies.REQUIRED), who("r2"))


def test_too_few_who_vouch_make_no_root_metadata() -> None:
    draft = ceremonies.vouched(drafted(), key("r1"))
    with pytest.raises(ClearinghouseError, match="1 of the roots have vouched for `registrar`, too few") as refused:
        ceremonies.finished(draft)
    assert refused.value.code == "ceremony-incomplete"
    root = ceremonies.finished(ceremonies.vouched(draft, key("r3")))
    assert len(root.credentials) == 8, "without what nobody signed"


def test_copies_that_were_signed_apart_come_together() -> None:
    draft = drafted()
    one, two = (ceremonies.vouched(draft, key(name)) for name in ("r1", "r3"))
    assert ceremonies.combined((one, two)) == ceremonies.vouched(one, key("r3"))
    assert ceremonies.combined((one, draft, one)) == one
    with pytest.raises(ClearinghouseError) as refused:
        ceremonies.combined((one, drafted(plan(2))))
    assert refused.value.code == "wrong-ceremony"


def test_nobody_signs_twice_or_what_is_not_theirs() -> None:
    draft = ceremonies.vouched(drafted(), key("r1"))
    for name in ("r1", "mallory", "table"):
        with pytest.raises(ClearinghouseError) as refused:
            ceremonies.vouched(draft, key(name))
        assert refused.value.code == "nothing-to-sign"


@pytest.mark.parametrize(
    "changed",
    [
        {"community": 'a" || "1" == "1'},
        {"community": ""},
        {"roots": Keyholders(())},
        {"roots": Keyholders(who("r1", "r2"), 3)},
        {"roots": Keyholders(who("r1", "r2"), 0)},
        {"roots": Keyholders(who("r1", "r1"), 2)},
        {"roots": Keyholders(who("r1", "table"), 2)},
        {"roles": {}},
        {"roles": {name: Keyholders(who(name)) for name in ("table", "timestamp", "revoker")}},
        {"roles": {name: Keyholders(who(name)) for name in ceremonies.REQUIRED} | {"table": Keyholders(who("a", "b", "c", "d", "e"), 2)}},
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_met(changed: dict[str, Any]) -> None:
    with pytest.raises(ClearinghouseError) as refused:
        drafted(replace(plan(), **changed))
    assert refused.value.code == "wrong-ceremony"


def test_a_role_may_have_several_keys_that_sign_together() -> None:
    root = made(plan(table=Keyholders(who("t1", "t2", "t3"), 2), grant=Keyholders(who("grant"))))
    rights = Entitlement.of(root)
    ways = [("t1",), ("t1", "t2"), ("t3", "t1"), ("t1", "t2", "t3"), ("t1", "mallory"), ("t1", "timestamp")]
    assert [rights.allows("publish-table", who(*way), now=NOW) for way in ways] == [False, True, True, True, False, False]
    assert rights.allows("publish-grant", who("grant"), now=NOW, member="a.example")


# -- what role credentials allow -----------------------------------------------------------------------------


def test_a_role_key_does_its_own_and_nothing_else() -> None:
    rights = Entitlement.of(made(plan()))
    holders = {"publish-table": "table", "publish-timestamp": "timestamp", "publish-revocations": "revoker", "publish-member": "registrar"}
    for operation in (*holders, "publish-root", "publish-grant"):
        allowed = {name for name in holders.values() if rights.allows(operation, who(name), now=NOW, member="a.example")}
        assert allowed == ({holders[operation]} if operation in holders else set())


@pytest.mark.parametrize("audience", ["*", "a.example", "0.example", "z-9.xn--bcher-kva.example"])
def test_a_role_credential_is_for_every_audience_and_member(audience: str) -> None:
    rights = Entitlement.of(made(plan()))
    assert rights.allows("publish-table", who("table"), now=NOW, audience=audience)
    if audience != "*":
        assert rights.allows("publish-member", who("registrar"), now=NOW, member=audience)


def test_role_credentials_end_with_the_root_metadata() -> None:
    rights = Entitlement.of(made(plan()))
    assert rights.allows("publish-table", who("table"), now=NOW + timedelta(days=365))
    assert not rights.allows("publish-table", who("table"), now=NOW + timedelta(days=367))


def test_a_role_credential_cannot_be_passed_on() -> None:
    """The holder of a role key can write what they like: nobody reads it, and in root metadata it would not count (rule R13)."""
    root = made(plan())
    assert all("_ACTION_AUTHORIZERS ==" in text for text in root.credentials)


# -- the next generation ------------------------------------------------------------------------------------


def test_the_plan_of_what_was_made_is_the_plan() -> None:
    for wanted in (plan(), plan(3, 2), plan(table=Keyholders(who("t1", "t2"), 2)), plan(roots=Keyholders(who("r1")))):
        vouchers = ("r1",) if wanted.roots.keys == who("r1") else ("r1", "r2")
        assert ceremonies.plan_of(made(wanted, vouchers)) == wanted


def test_what_was_written_by_hand_is_not_taken_over() -> None:
    root = made(plan())
    narrowed = root.policy[0].replace('operation == "publish-root" &&', 'operation == "publish-root" && date < "20270101" &&')
    narrower = root.credentials[0].partition("\nSignature")[0].replace('member >= "0"', 'member >= "a"') + "\n"
    by_hand = (sign(narrower.encode(), key("r1")).decode(), *root.credentials[1:])
    for other in (replace(root, policy=(narrowed,)), replace(root, credentials=by_hand), replace(root, policy=("hello",))):
        with pytest.raises(ClearinghouseError) as refused:
            ceremonies.plan_of(other)
        assert refused.value.code == "hand-written-root"


def test_a_receiver_walks_through_generations_one_by_one() -> None:
    """Four generations, each with another root and another table key; the last two were missed while it was away."""
    press = Press()
    press.prints({"a.example": "level-1"})
    trusted = press.followed()
    lines = [("r2", "r3", "r4"), ("r3", "r4", "r5"), ("r4", "r5", "r6"), ("r5", "r6", "r7")]
    for number, names in enumerate(lines, 2):
        holders = {"roots": Keyholders(who(*names), 2), "table": Keyholders(who(f"table-{number}"))}
        signers = (*lines[number - 3], *names) if number > 2 else ("r1", "r2", "r3", *names)
        press.crowns(made(plan(number, 1, **holders), names[:2]), *dict.fromkeys(signers[-4:]))
        press.signers["table"] = (f"table-{number}",)
        press.prints({"a.example": "level-1", f"m{number}.example": "level-2"})
        if number == 2:
            assert follow(trusted, press.fetch, press.now) == ()
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.root.generation == 5
    assert trusted.rows == {"a.example": "level-1", "m5.example": "level-2"}
    assert trusted.standing(press.now) is Standing.FRESH


def test_generations_that_come_laid_out_for_people_are_kept_all_the_same() -> None:
    """Files from a ceremony end with a newline, and somebody may have indented them: nobody signed that."""
    press = Press()
    press.crowns(made(plan(2)))
    for name in ("root/1", "root/2"):
        press.documents[name] = json.dumps(json.loads(press.documents[name]), indent=2).encode() + b"\n"
    press.first = press.documents["root/1"]
    press.prints({"a.example": "level-1"})
    trusted = press.followed()
    again = Trusted.restored(trusted.kept(), press.pin, audience="*")
    assert again.kept() == trusted.kept()
    assert (again.root.generation, again.rows) == (2, {"a.example": "level-1"})


def test_a_receiver_that_was_away_for_years_passes_expired_generations() -> None:
    press = Press()
    press.prints({"a.example": "level-1"})
    trusted = press.followed()
    for number in (2, 3):
        later = NOW + timedelta(days=300 * (number - 1))
        press.now = later
        press.crowns(made(replace(plan(number), issued=later, expires=later + timedelta(days=365))))
    press.revokes()
    press.prints({"b.example": "level-1"})
    assert follow(trusted, press.fetch, press.now) == ()
    assert (trusted.root.generation, dict(trusted.rows)) == (3, {"b.example": "level-1"})


def test_a_generation_that_is_pinned_need_not_be_the_first() -> None:
    press = Press()
    root = made(plan(2))
    press.crowns(root)
    press.prints({"a.example": "level-1"})
    press.first, press.pin = press.documents["root/2"], pin_of(root)
    assert press.followed().rows == {"a.example": "level-1"}


def test_the_community_is_in_every_line_of_it() -> None:
    root = made(plan())
    assert all(f'table_community == "{COMMUNITY}"' in text for text in (*root.policy, *root.credentials))
    assert not Entitlement.of(replace(root, community="another")).allows("publish-table", who("table"), now=NOW)
    assert not Entitlement.of(replace(root, epoch=2)).allows("publish-table", who("table"), now=NOW + MINUTE)
