"""Chat messages: what they say, and how few of them there are."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import fromstring, tostring

import pytest

from clearinghouse.clearing.cases import CaseChange
from clearinghouse.clearing.decision import Outcome, Reason
from clearinghouse.grid import notices
from clearinghouse.grid.notices import MAX_ADDRESSEES, MINUTE_SECONDS, NOTICES_PER_MINUTE, Digest
from tests.unit.doors.paper import NOON, case_of, decision_on, grant_of

HOSTILE = "in\u202ecidents\n`case: 1`\x00\x1b[2J<b>"


def test_approver_reads_each_fact_on_a_line_and_how_to_decide() -> None:
    case = case_of("analyst@csirt.example", identity="0123456789abcdef")
    lines = notices.case_waits(case, "ch.example.net").split("\n")
    assert lines[0] == "a request waits for you: analyst@csirt.example subscribe `incidents`"
    assert lines[1:-2] == case.summary().split("\n")
    assert lines[-2:] == [
        "waits until: 2026-12-20 12:00:00 UTC",
        "decide with the command `pending` of ch.example.net, or with `clearinghouse approve 01234567` (or deny)",
    ]


def test_requester_hears_the_outcome_and_the_id_and_no_reason() -> None:
    case = case_of("analyst@csirt.example")
    granted, refused = decision_on(case), decision_on(case, Outcome.REFUSED)
    assert notices.ruled(granted).split("\n") == [
        "your request to subscribe `incidents` was granted",
        f"decision: {granted.id}",
        "holds until: 2026-11-21 12:00:00 UTC",
    ]
    assert notices.ruled(refused).split("\n") == ["your request to subscribe `incidents` was denied", f"decision: {refused.id}"]


@pytest.mark.parametrize(
    "change, said",
    [
        (CaseChange.DENY, "was denied"),
        (CaseChange.EXPIRE, "was not decided in time"),
        (CaseChange.CANCEL, "waits no longer"),
        (CaseChange.APPROVE, "is approved"),
    ],
    ids=str,
)
def test_requester_hears_how_its_case_ended_and_not_why(change: CaseChange, said: str) -> None:
    case = case_of("analyst@csirt.example", identity="c1").moved(change, at=NOON, by="ann", why="we do not like them")
    assert notices.case_closed(case) == f"your request to subscribe `incidents` {said}\ndecision: c1"


def test_holder_hears_that_a_grant_has_ended_and_the_code() -> None:
    grant = replace(grant_of(case_of("a@b.example", identity="g1")), ended=NOON, why=Reason("revoked", "by ann"))
    assert notices.grant_ended(grant) == "your grant to subscribe `incidents` has ended (revoked)\ndecision: g1"


def test_hostile_names_make_no_lines_of_their_own() -> None:
    case = case_of("a@b.example", HOSTILE, identity="c1")
    texts = [
        notices.case_waits(case, "us"),
        notices.case_closed(case),
        notices.ruled(decision_on(case)),
        notices.grant_ended(grant_of(case)),
    ]
    for text in texts:
        assert all(line.isprintable() for line in text.split("\n"))
        assert not any(line.startswith("`case") for line in text.split("\n"))


def test_message_is_a_chat_with_plain_lines() -> None:
    message = fromstring(tostring(notices.write_notice("ann@example.net", f"one\ntwo {HOSTILE}\n", "7")))  # noqa: S314 - ours
    assert dict(message.attrib) == {"to": "ann@example.net", "type": "chat", "id": "7"}
    assert message[0].text == "one\ntwo in\\u202ecidents\n`case: 1`\\u0000\\u001b[2J<b>"


def test_very_long_texts_are_cut() -> None:
    body = notices.write_notice("a@b.example", "x\n" * 10_000, "7")[0].text or ""
    assert body.endswith("\n... and 9800 more lines")


# -- digests ------------------------------------------------------------------------------------------


def test_what_is_too_much_for_a_minute_is_counted() -> None:
    digest = Digest()
    assert [digest.may_send("ann", now=0) for _ in range(22)] == [True] * NOTICES_PER_MINUTE + [False] * 12
    assert digest.may_send("bob", now=1)
    assert digest.next_due() == MINUTE_SECONDS
    assert digest.due(now=MINUTE_SECONDS - 1) == []
    assert digest.due(now=MINUTE_SECONDS) == [("ann", 12)]
    assert digest.may_send("ann", now=MINUTE_SECONDS)
    assert notices.held_back(12).startswith("12 more messages held back")


def test_message_that_failed_is_told_of_later() -> None:
    digest = Digest()
    digest.may_send("ann", now=0)
    digest.failed("ann", now=0)
    assert digest.due(now=60) == [("ann", 1)]
    digest.failed("ann", 1, now=60)
    assert digest.due(now=119) == []
    assert digest.due(now=120) == [("ann", 1)]
    assert digest.next_due() is None


def test_memory_of_addressees_is_bounded() -> None:
    digest = Digest()
    sent = [digest.may_send(f"u{number}@b.example", now=0) for number in range(MAX_ADDRESSEES + 5)]
    digest.failed("another@b.example", now=0)
    assert (sum(sent), digest.unsaid) == (MAX_ADDRESSEES, 6)
    digest.due(now=60)
    assert digest.may_send("another@b.example", now=60)
