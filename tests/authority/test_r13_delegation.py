"""R13: what our own signing makes cannot be passed on, unless that is meant; thresholds count people."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import pytest

from clearinghouse.clearing.vocabulary import OPERATIONS
from clearinghouse.cli import drafts
from clearinghouse.keynote.signing import Draft, compose, sign
from tests.world import AUDIT, Community, key, plain, signed, who

HOST = 'App_domain == "XMPP" && domain == "a.example" && Server_IP_Address == "192.0.2.7"'


def licence(licensees: str, **changes: object) -> bytes:
    settings: dict[str, object] = {"operation": "whitelist", "conditions": HOST, "until": date(2027, 1, 1), "serial": "1", **changes}
    draft = Draft(authorizer=who("hub"), licensees=licensees, **settings)  # type: ignore[arg-type]  # a draft's own names
    return sign(compose(draft), key("hub"))


def quoted(*names: str) -> list[str]:
    return [f'"{who(name)}"' for name in names]


@pytest.fixture
def hubbed(sim: Community) -> Community:
    sim.policy("hub", operation="whitelist")
    return sim


def test_r13_a_credential_without_a_pin_can_be_passed_on(hubbed: Community) -> None:
    """KeyNote delegates whatever is not forbidden to be delegated."""
    loose = [signed("hub", "ann", HOST), signed("ann", "eve")]
    assert hubbed.asks("eve", "whitelist", credentials=loose).value == "allow", "the hole"


def test_r13_a_composed_credential_is_for_its_holder_alone(hubbed: Community) -> None:
    pinned, passed_on = licence(*quoted("ann")), signed("ann", "eve")
    assert hubbed.asks("ann", "whitelist", credentials=[pinned]).value == "allow"
    assert hubbed.asks("eve", "whitelist", credentials=[pinned, passed_on]).value == "deny"
    assert hubbed.asks("ann+eve", "whitelist", credentials=[pinned, passed_on]).value == "deny"


def test_r13_it_is_for_one_operation(hubbed: Community) -> None:
    hubbed.policy("hub", 'jid == "sensor@a.example" && platform_group == "sensors"', operation="register")
    narrow = licence(*quoted("ann"))
    assert hubbed.asks("ann", "register", credentials=[narrow]).value == "deny"
    assert hubbed.asks("ann", "register", credentials=[signed("hub", "ann")]).value == "allow", "the hole"


def test_r13_delegation_is_possible_where_it_is_meant(hubbed: Community) -> None:
    chain = [licence(*quoted("ann"), may_delegate=True), signed("ann", "eve")]
    assert hubbed.asks("eve", "whitelist", credentials=chain).value == "allow"


def test_r13_two_of_three_people_are_two_of_them_and_no_delegate(hubbed: Community) -> None:
    names = ("ann", "bob", "cem")
    pinned = licence(f"2-of({', '.join(quoted(*names))})")
    for pair in combinations(names, 2):
        assert hubbed.asks("+".join(pair), "whitelist", credentials=[pinned]).value == "allow"
    assert hubbed.asks("ann+bob+cem", "whitelist", credentials=[pinned]).value == "allow"
    for alone in names:
        assert hubbed.asks(alone, "whitelist", credentials=[pinned]).value == "deny"
    alias = signed("bob", "ann")
    assert plain([pinned.partition(b"Signature")[0], alias.partition(b"Signature")[0]], "ann", {}).value == "deny"
    assert hubbed.asks("ann", "whitelist", credentials=[pinned, alias]).value == "deny"


def test_r13_without_the_pin_one_person_lends_another_a_voice(hubbed: Community) -> None:
    loose = signed("hub", "2-of({ann}, {bob}, {cem})", HOST)
    assert hubbed.asks("ann", "whitelist", credentials=[loose, signed("bob", "ann")]).value == "allow", "the hole"


def test_r13_a_member_of_a_domain_asks_in_its_own_name_and_its_domains(sim: Community) -> None:
    """Names cannot sign, so they cannot delegate, and no pin is needed: a user asks as itself and as a member."""
    sim.policy("hub")
    draft = Draft(authorizer=who("hub"), licensees='"xmpp-member:a.example"', operation="subscribe", conditions='topic == "incidents"')
    sim.store(sign(compose(draft), key("hub")))
    assert sim.asks("ann@a.example").value == "allow"
    assert sim.asks("ann@b.example").value == "deny"
    assert sim.asks("ann@a.example", "publish").value == "deny"


def test_r13_a_composed_credential_ends(hubbed: Community) -> None:
    pinned = licence(*quoted("ann"), until=date(2026, 12, 1))
    granted = hubbed.asks("ann", "whitelist", credentials=[pinned])
    assert granted.ends is not None
    assert granted.ends.date() == date(2026, 12, 1)
    hubbed.sleep(days=11)
    assert hubbed.asks("ann", "whitelist", credentials=[pinned]).value == "deny"


def test_r13_every_clause_of_a_composed_credential_is_pinned(hubbed: Community) -> None:
    clauses = f'{HOST} -> "ask"; {HOST} && role == "b2b" -> "allow"; true;'
    pinned = licence(*quoted("ann"), conditions=clauses)
    for asked in ("eve", "ann+eve"):
        assert hubbed.asks(asked, "whitelist", credentials=[pinned, signed("ann", "eve")]).value == "deny"


def test_r13_the_audit_template_pins_what_the_vocabulary_audits() -> None:
    assert set(drafts.AUDIT) == {name for name, attribute in OPERATIONS["whitelist"].attributes.items() if attribute.audit}
    assert AUDIT.keys() < set(drafts.AUDIT)
