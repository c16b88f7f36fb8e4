"""R9 and R7 at the door for servers: who asks is whom the connection has proven, and what nobody knows permits nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from clearinghouse.federation.redirection.faults import Fault
from clearinghouse.federation.redirection.seen import Proof, Require
from clearinghouse.runtime.redirection.questions import Question, request_of
from tests.porters import CERTIFICATE, LEVELS, B, Lodge, said, seen, sent
from tests.world import Community

FEDERATE = OPERATIONS["federate"]


def asked(proof: Proof) -> Request:
    question = Question(seen(proof=proof), "level-2", "level-1", Fault.NONE, "1")
    return request_of(question, "request", proven=proof is not Proof.NOTHING)


def test_r09_a_server_asks_as_its_domain_and_its_certificates_key() -> None:
    assert asked(Proof.CERTIFICATE).requesters == ("xmpp:a.example", CERTIFICATE)
    assert asked(Proof.DIALBACK).requesters == ("xmpp:a.example",)
    assert asked(Proof.NOTHING).requesters == ("unproven",)


async def test_r09_either_of_them_may_be_licensed() -> None:
    lodge = Lodge()
    lodge.sim.policy("certificate of a", 'from_domain == "a.example"', "level-1", operation="federate")
    assert sent(await lodge.answer()) == "192.0.2.2"
    assert said(await lodge.answer(key="ed25519-hex:" + 64 * "1")) == "not permitted: not-granted", "no key of its record"


async def test_r09_a_key_speaks_for_no_other_domain() -> None:
    lodge = Lodge()
    lodge.sim.policy("certificate of a", 'from_domain == "a.example"', "level-1", operation="federate")
    assert said(await lodge.answer(B, "a.example")) == "not permitted: not-granted"


async def test_r09_a_users_licence_is_none_of_its_server() -> None:
    lodge = Lodge()
    lodge.permits(to="ann@a.example")
    lodge.permits(to="xmpp-member:a.example")
    assert said(await lodge.answer()) == "not permitted: not-granted"


@pytest.mark.parametrize("proof", Proof)
def test_r07_every_attribute_that_a_door_can_supply_is_set_and_never_empty(proof: Proof) -> None:
    request = asked(proof)
    told = {**request.observed, **request.known}
    known = {each.name for each in FEDERATE.attributes.values() if request.door in each.doors}
    assert known - told.keys() == {"operation", "community", "date", "time", "ValidityPeriod"}
    assert all(told.values())
    assert told["auth_method"] == proof.value
    assert told.get("certificate_issuer", "none") == ("CN=Net CA" if proof is Proof.CERTIFICATE else "none")


@pytest.mark.parametrize("proof", [Proof.CERTIFICATE, Proof.NOTHING])
def test_r07_leaving_out_any_attribute_never_raises_the_value(proof: Proof) -> None:
    sim, good = Community(levels=LEVELS), asked(proof)
    name, licensee = ("from_domain", "xmpp:a.example") if good.door is Door.STREAM else ("claimed_from_domain", good.requesters[0])
    for attribute in (*good.observed, *good.known):
        test = f'operation == "federate" && {attribute} != "x"' + (f' && {name} == "a.example"' if attribute == "to_domain" else "")
        sim.load(f'Authorizer: "POLICY"\nLicensees: "{licensee}"\nConditions: {test} -> "level-3";\n'.encode(), "federate")
    assert sim.ask(good).value == "level-3"
    for attribute in good.observed:
        fewer = {each: text for each, text in good.observed.items() if each != attribute}
        decision = sim.ask(replace(good, observed=fewer))
        assert (decision.value, decision.reason.code) == ("deny", "fact-missing")
    for attribute in good.known:
        fewer = {each: text for each, text in good.known.items() if each != attribute}
        assert sim.ask(replace(good, known=fewer)).reason.code == "fact-missing"


@pytest.mark.parametrize("name", ["claimed", "wanted", "tls_version", "cipher", "address", "issuer"])
async def test_r07_what_a_door_did_not_see_permits_nothing(name: str) -> None:
    lodge = Lodge()
    for where in ("true", 'tls_version != "1.0"', 'tls_cipher != "NULL"', 'address != "192.0.2.1"', 'certificate_issuer != "CN=Evil"'):
        lodge.permits(f'from_domain != "c.example" && {where}', "level-3")
    assert sent(await lodge.answer()) == "192.0.2.2"
    assert said(await lodge.answer(**{name: ""})) == "not permitted: not-granted"


@pytest.mark.parametrize("require", Require)
async def test_r07_a_member_without_a_level_has_the_lowest(require: Require) -> None:
    lodge = Lodge(require)
    lodge.table.rows.clear()
    lodge.permits('from_domain == "a.example" && from_level == "deny" && to_level == "deny"')
    assert sent(await lodge.answer()) == "192.0.2.2"
