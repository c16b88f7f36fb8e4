from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from clearinghouse.clearing.cases import Approval, Case, CaseChange, Grant, Revocation, RevocationKind
from clearinghouse.clearing.decision import Decision, Reason
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.ledger.records import (
    Mask,
    act_record,
    case_record,
    decision_record,
    grant_record,
    revocation_record,
    without_localpart,
)
from tests.world import NOON, Community

ANN = "ann@a.example"
OPEN, MASKED = Mask(), Mask(frozenset({"jid", "topic"}))


@pytest.fixture
def decision() -> Decision:
    sim = Community()
    sim.policy("hub", 'topic == "incidents" && domain == "a.example"')
    sim.delegate("hub", to=ANN)
    return sim.asks(ANN)


def recorded(decision: Decision, mask: Mask = OPEN) -> dict[str, object]:
    return decision_record(decision, took=timedelta(milliseconds=1.5), engine="1.2.3", mask=mask, facts_commitment="ab" * 32)


def test_a_decision_is_told_with_what_carried_it(decision: Decision) -> None:
    told = recorded(decision)
    assert decision.proof is not None
    assert told["proof"] == [link.id for link in decision.proof.chain]
    assert told["latency_us"] == 1500
    assert (told["value"], told["outcome"], told["reason"]) == ("allow", "granted", "granted")
    assert (told["engine"], told["snapshot"], told["facts"]) == ("1.2.3", decision.version, "ab" * 32)
    assert told["requesters"] == [f"xmpp:{ANN}", "xmpp-member:a.example"]


def test_people_are_masked_and_what_was_answered_is_not(decision: Decision) -> None:
    told, masked = recorded(decision), recorded(decision, MASKED)
    assert "ann" not in str(masked)
    assert masked["requesters"] == ["xmpp:***@a.example", "xmpp-member:a.example"]
    attributes = masked["attributes"]
    assert isinstance(attributes, dict)
    assert (attributes["jid"], attributes["topic"], attributes["domain"]) == ("***@a.example", "***", "a.example")
    same = set(told) - {"requesters", "attributes"}
    assert {name: told[name] for name in same} == {name: masked[name] for name in same}


def test_what_could_not_be_asked_is_told_with_the_requests_attributes(decision: Decision) -> None:
    told = recorded(replace(decision, proof=None))
    assert told["proof"] == []
    attributes = told["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["jid"] == ANN


@pytest.mark.parametrize(
    "jid, masked",
    [
        ("ann@a.example", "***@a.example"),
        ("ann@a.example/phone", "***@a.example/***"),
        ("a.example", "a.example"),
        ("a.example/ann@home", "a.example/***"),
        ("", ""),
    ],
)
def test_a_jid_keeps_its_domain(jid: str, masked: str) -> None:
    assert without_localpart(jid) == masked
    assert MASKED.principal(f"xmpp:{jid}") == f"xmpp:{masked}"
    assert OPEN.principal(f"xmpp:{jid}") == f"xmpp:{jid}"


def test_keys_and_members_are_not_masked() -> None:
    for name in ("ed25519-hex:00", "xmpp-member:a.example", "unix:root", "hub"):
        assert MASKED.principal(name) == name


def test_a_case_is_told_with_its_approvals(decision: Decision) -> None:
    approval = Approval("bea", (f"xmpp:{ANN}",), NOON, Door.OPERATOR, "", "ab" * 32)
    case = Case(decision.id, decision.request, NOON, NOON + timedelta(days=1), approvals=(approval,))
    told = case_record(case.moved(CaseChange.DENY, at=NOON, by=f"xmpp:{ANN}", why="no need"), "deny", mask=MASKED)
    assert "ann" not in str(told)
    assert (told["state"], told["change"], told["why"], told["by"]) == ("denied", "deny", "no need", "xmpp:***@a.example")
    assert told["shown"] == case.digest()
    assert (told["jid"], told["topic"], told["operation"]) == ("***@a.example", "***", "subscribe")


def test_the_end_of_a_grant_is_told_with_its_reason(decision: Decision) -> None:
    over = Grant(decision.id, decision.request, NOON, NOON, NOON, ended=NOON, why=Reason("revoked", f"{ANN} lost it"))
    told = grant_record(over, mask=MASKED)
    assert "ann" not in str(told)
    assert (told["grant"], told["reason"], told["ended"]) == (decision.id, "revoked", "2026-11-20T12:00:00.000000Z")


@pytest.mark.parametrize(
    "name, told",
    [(f"{ANN} incidents", "***@a.example incidents"), (f"xmpp:{ANN}", "xmpp:***@a.example"), ("ab" * 32, "ab" * 32)],
)
def test_a_revocation_masks_whom_it_bars(name: str, told: str) -> None:
    revocation = Revocation("1", NOON, RevocationKind.HOLDER, name, f"xmpp:{ANN}", "left")
    assert revocation_record(revocation, mask=MASKED)["name"] == told
    assert revocation_record(revocation, mask=OPEN)["name"] == name


def test_an_act_says_who_did_it() -> None:
    assert act_record("credential-added", by=f"xmpp:{ANN}", mask=MASKED, id="ab") == {
        "act": "credential-added",
        "by": "xmpp:***@a.example",
        "id": "ab",
    }
