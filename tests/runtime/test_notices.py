"""Those whom it concerns are told, nobody else, and a flood of cases is no flood of memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from clearinghouse.errors import BrokerUnavailable
from clearinghouse.runtime import notices
from clearinghouse.runtime.notices import Notices
from tests.runtime.chamber import ANN, BEA, DEPUTY, OP, Chamber, chat, local, signer


@dataclass
class Post:
    sent: list[tuple[str, str]] = field(default_factory=list)
    cut: bool = False

    def __call__(self, jid: str, text: str) -> None:
        if self.cut:
            raise BrokerUnavailable("the line is cut", mend="join it")
        self.sent.append((jid, text))

    def to(self, jid: str) -> list[str]:
        return [text for each, text in self.sent if each == jid]


@dataclass
class Hearing:
    chamber: Chamber
    post: Post
    notices: Notices


@pytest.fixture
async def hearing() -> Hearing:
    chamber, post = await Chamber().open(), Post()
    heard = Notices(chamber.settings, chamber.books, chamber.hall.rights, post, lambda broker: f"commands.{broker}")
    return Hearing(chamber, post, heard)


async def test_those_who_may_decide_are_told_what_waits(hearing: Hearing) -> None:
    case = await hearing.chamber.waiting()
    await hearing.notices.tell()
    assert {jid for jid, _ in hearing.post.sent} == {OP, DEPUTY}
    (text,) = hearing.post.to(OP)
    assert ANN in text
    assert case.id[:8] in text
    assert "commands.pubsub.hub.example" in text


async def test_nobody_is_told_of_what_waits_no_more(hearing: Hearing) -> None:
    case = await hearing.chamber.waiting()
    await hearing.chamber.office.deny(local(), case.id)
    hearing.post.sent.clear()
    await hearing.notices.tell()
    assert hearing.post.sent == []


async def test_requester_and_approver_hear_the_outcome_with_its_id_and_no_reason(hearing: Hearing) -> None:
    ruling = await hearing.chamber.office.approve(chat(), (await hearing.chamber.waiting()).id)
    assert ruling.decision is not None
    (text,) = hearing.post.to(ANN)
    assert "was granted" in text
    assert ruling.decision.id in text
    assert [each.split("\n")[0] for each in hearing.post.to(OP)] == [f"case {ruling.case.id} is approved"]


async def test_a_denied_requester_hears_that_and_not_why(hearing: Hearing) -> None:
    case = await hearing.chamber.waiting()
    await hearing.chamber.office.deny(chat(), case.id, reason="not one of us")
    (text,) = hearing.post.to(ANN)
    assert "was denied" in text
    assert "one of us" not in text


async def test_a_holder_hears_once_that_its_grant_is_over(hearing: Hearing) -> None:
    grant = await hearing.chamber.holding()
    hearing.post.sent.clear()
    await hearing.chamber.office.end_grant(signer("op"), grant.id)
    (text,) = hearing.post.to(ANN)
    assert "has ended (revoked)" in text


async def test_who_asks_anew_is_not_told_that_the_old_request_waits_no_longer(hearing: Hearing) -> None:
    await hearing.chamber.waiting()
    await hearing.chamber.waiting()
    assert hearing.post.to(ANN) == []


async def test_where_no_message_goes_out_everything_else_goes_on(hearing: Hearing) -> None:
    hearing.post.cut = True
    ruling = await hearing.chamber.office.approve(chat(), (await hearing.chamber.waiting()).id)
    assert ruling.decision is not None


async def test_of_a_flood_the_latest_are_told(hearing: Hearing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MAX_UNTOLD", 2)
    for jid in (ANN, BEA, "cid@a.example"):
        await hearing.chamber.waiting(jid)
    assert [each.subject for each in hearing.notices._opened.values()] == [BEA, "cid@a.example"]
