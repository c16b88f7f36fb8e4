"""People decide with ad-hoc commands (XEP-0050), said as a conversation."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from clearinghouse.clearing.people import KeptCredential
from clearinghouse.doors.xmpp.member_steps import MEMBER_ACT, MEMBER_SHOW, MEMBER_TAKE
from clearinghouse.doors.xmpp.steps import ACT, SHOW, TAKE
from clearinghouse.errors import StoreUnavailable
from clearinghouse.grid.commands import FIRST, NEXT, Action, Command, Stage, actions_of
from clearinghouse.grid.dialogs import MAX_CHOICES
from tests.unit.doors.client import command
from tests.unit.doors.paper import PaperOffice, case_of, grant_of
from tests.unit.doors.people import ASKER, House

KEY = "ed25519-hex:" + "ab" * 32


# -- the table ----------------------------------------------------------------------------------------


def test_every_stage_can_be_reached_and_has_its_steps() -> None:
    working = set(Stage) - {Stage.DONE, Stage.CANCELLED}
    assert set(FIRST) == set(Command)
    assert {*FIRST.values(), *NEXT.values()} == set(Stage)
    assert {*TAKE, *MEMBER_TAKE} == {*SHOW, *MEMBER_SHOW} == working
    assert {*ACT, *MEMBER_ACT} == {stage for (stage, _), to in NEXT.items() if to is Stage.DONE}
    assert all(actions_of(stage) for stage in working)
    assert not any(stage in {Stage.DONE, Stage.CANCELLED} for stage, _ in NEXT)


@pytest.mark.parametrize("name, action", list(product([each for each in Command if each is not Command.MEMBER], Action)), ids=str)
async def test_first_stage_takes_the_actions_of_the_table_and_no_others(name: Command, action: Action) -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    house.office.held[case.id] = grant_of(case)
    house.office.kept["1"] = KeptCredential("1", b"Authorizer: x\n", "run time")
    page = await house.ann.start(name)
    assert page.status == "executing"
    assert [*page.actions, "cancel"] == [each for each in ("prev", "next", "complete", "cancel") if (FIRST[name], Action(each)) in NEXT]
    chosen = next(iter(page.options("choice").values()), "")
    filled: dict[str, str | list[str]] = {"choice": chosen, "kind": "principal", "name": KEY, "text": ["Authorizer: x"]}
    if name is Command.EXPLAIN:
        filled["name"] = case.id
    asked = command(name, action, page.session, filled)
    if action is Action.EXECUTE or (FIRST[name], action) in NEXT:
        assert (await house.ann.send(asked)).status in {"executing", "completed", "canceled"}
    else:
        assert await house.ann.refused(asked) == ("bad-request", "bad-action")
        assert (await house.ann.go(page, "cancel")).status == "canceled"


# -- requests that wait -------------------------------------------------------------------------------


async def test_person_approves_what_was_shown() -> None:
    house = House()
    house.office.open(case := case_of(ASKER), case_of("other@csirt.example"))
    listed = await house.ann.start("pending")
    assert (listed.status, listed.actions, listed.default) == ("executing", ["next"], "next")
    labels = listed.options("choice")
    assert [label.partition(" ")[2] for label in labels] == [
        "analyst@csirt.example subscribe `incidents`, since 2026-11-20 12:00:00 UTC",
        "other@csirt.example subscribe `incidents`, since 2026-11-20 12:00:00 UTC",
    ]
    page = await house.ann.go(listed, "next", {"choice": case.id})
    assert (page.actions, page.default) == (["prev", "complete"], "complete")
    assert page.text == [*case.summary().split("\n"), "approved so far by: nobody"]
    assert page.hidden["shown"] == case.digest()
    assert page.labels == {"decision": "Decision", "period": "Approve for", "reason": "Reason, if you deny (kept in the log)"}
    assert list(page.options("decision")) == ["approve", "deny"]
    assert list(page.options("period")) == ["as long as policy allows", "1 day", "7 days", "30 days", "90 days"]
    done = await house.ann.go(page, "complete", {"decision": "approve", "period": page.options("period")["7 days"]})
    assert (done.status, done.actions) == ("completed", [])
    assert done.text[:2] == [f"case: {case.id}", "state: approved"]
    assert house.office.done == [("approve", "ann", case.id, "7 days, 0:00:00")]
    assert await house.ann.refused(command("pending", "complete", page.session)) == ("bad-request", "bad-sessionid")


async def test_outcome_names_the_decision() -> None:
    house = House()
    house.office.open(case_of(ASKER))
    page = await house.ann.start("pending")
    page = await house.ann.go(page, "execute", {"choice": next(iter(page.options("choice").values()))})
    done = await house.ann.go(page, "execute", {"decision": "approve", "period": "", "reason": ""})
    assert done.notes == [("info", f"granted, decision {done.text[2].removeprefix('decision: ')}")]


async def test_two_owners_approve_one_after_the_other() -> None:
    house = House(PaperOffice(needed=2))
    house.office.open(case := case_of(ASKER))
    for client, note in ((house.ann, "your word counts; 1 more owner"), (house.ann, None), (house.bob, "granted, decision")):
        page = await client.go(await client.start("pending"), "next", {"other": case.id[:6]})
        done = await client.go(page, "complete", {"decision": "approve"})
        assert done.status == "completed"
        if note is None:
            assert done.notes == [("error", "you have approved it: wait for the others")]
        else:
            assert done.notes[0][1].startswith(note)


async def test_person_denies_with_a_reason() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"choice": case.id})
    await house.ann.go(page, "complete", {"decision": "deny", "reason": "not\u202e now"})
    assert house.office.done == [("deny", "ann", case.id, "not\\u202e now")]


async def test_digest_that_was_changed_on_the_way_is_refused() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"choice": case.id})
    done = await house.ann.go(page, "complete", {"decision": "approve", "shown": "0" * 64})
    assert done.notes == [("error", "you were shown another request: look at it again")]


async def test_client_that_returns_no_hidden_fields_approves_what_its_session_was_shown() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"choice": case.id})
    done = await house.ann.send(command("pending", "complete", page.session, {"decision": "approve", "choice": "another"}))
    assert (done.status, house.office.done[0][2]) == ("completed", case.id)


async def test_back_and_forth() -> None:
    house = House()
    house.office.open(first := case_of(ASKER), second := case_of("other@csirt.example"))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"choice": first.id})
    listed = await house.ann.go(page, "prev")
    assert (listed.actions, len(listed.options("choice"))) == (["next"], 2)
    page = await house.ann.go(listed, "next", {"choice": second.id})
    assert page.hidden["shown"] == second.digest()


async def test_nothing_waits() -> None:
    page = await House().ann.start("pending")
    assert (page.status, page.notes, page.text) == ("completed", [("info", "nothing waits for a decision")], [])


async def test_of_many_requests_the_oldest_are_offered_and_the_others_counted() -> None:
    house = House()
    house.office.open(*(case_of(f"user{number}@csirt.example", identity=f"{number:032x}") for number in range(10_000)))
    page = await house.ann.start("pending")
    assert len(page.options("choice")) == MAX_CHOICES
    assert page.notes == [("info", "9,900 requests more; name one by its id")]
    page = await house.ann.go(page, "next", {"other": f"{9_999:032x}"})
    assert "jid: user9999@csirt.example" in page.text


async def test_hostile_names_are_shown_harmless() -> None:
    house = House()
    house.office.open(case := case_of("a\u202eb\x00<b>`@evil.example", "in\ncase: 1\x1b[2J"))
    listed = await house.ann.start("pending")
    page = await house.ann.go(listed, "next", {"choice": case.id})
    everything = [*listed.options("choice"), *page.text]
    assert all(line.isprintable() for line in everything)
    assert [line for line in page.text if line.startswith("case: ")] == [f"case: {case.id}"]
    assert any(r"in\ncase: 1\x1b[2J" in line or r"in\u000acase: 1\u001b[2J" in line for line in page.text)


async def test_wrong_choice_keeps_the_list_on_the_screen() -> None:
    house = House()
    house.office.open(case_of(ASKER))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"other": "ffffffffffffffffffff"})
    assert (page.status, page.notes, page.actions) == ("executing", [("error", "nothing has this id: look at the list")], ["next"])


async def test_unusable_form_is_refused_and_the_session_goes_on() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    listed = await house.ann.start("pending")
    assert await house.ann.refused(command("pending", "next", listed.session, {})) == ("bad-request", "bad-payload")
    page = await house.ann.go(listed, "next", {"choice": case.id})
    assert await house.ann.refused(command("pending", "complete", page.session, {"decision": "maybe"})) == ("bad-request", "bad-payload")
    wrong = {"decision": "approve", "period": "21474836470"}
    assert await house.ann.refused(command("pending", "complete", page.session, wrong)) == ("bad-request", "bad-payload")
    assert (await house.ann.go(page, "complete", {"decision": "approve"})).status == "completed"


async def test_step_that_cannot_be_done_now_can_be_tried_again() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"choice": case.id})
    house.office.failing = StoreUnavailable("the disk is full", mend="make room")
    assert await house.ann.refused(command("pending", "complete", page.session, {"decision": "approve"})) == (
        "resource-constraint",
        "store-unavailable",
    )
    house.office.failing = None
    assert (await house.ann.go(page, "complete", {"decision": "approve"})).status == "completed"


async def test_the_same_step_is_never_done_twice() -> None:
    house = House(PaperOffice(needed=3))
    house.office.open(case := case_of(ASKER))
    page = await house.ann.go(await house.ann.start("pending"), "next", {"choice": case.id})
    answer = command("pending", "complete", page.session, {"decision": "approve"})
    numbers = [house.counter.send(house.ann.jid, "set", answer) for _ in range(2)]
    results = await asyncio.gather(*(house.counter.reply(number) for number in numbers), return_exceptions=True)
    assert sum(isinstance(each, Exception) for each in results) == 1
    assert len(house.office.done) == 1


async def test_person_without_the_right_is_told_so() -> None:
    house = House(PaperOffice(barred=frozenset({"ann"})))
    page = await house.ann.start("pending")
    assert (page.status, page.notes) == ("completed", [("error", "policy does not let you do this: ask for it")])


# -- the other commands -------------------------------------------------------------------------------


async def test_person_ends_a_grant() -> None:
    house = House()
    case = case_of(ASKER)
    house.office.held[case.id] = grant_of(case)
    listed = await house.ann.start("grants")
    assert next(iter(listed.options("choice"))).endswith("analyst@csirt.example subscribe `incidents`, until 2027-02-18 12:00:00 UTC")
    page = await house.ann.go(listed, "next", {"choice": case.id})
    assert "holder: analyst@csirt.example" in page.text
    done = await house.ann.go(page, "complete", {"may-ask-again": "true", "reason": "moved"})
    assert f"loses: {ASKER} subscribe `incidents`: allow, then deny (revoked)" in done.text
    assert house.office.done == [("end", "ann", case.id, "moved", "True")]


async def test_revocation_says_first_who_loses_and_may_need_a_key() -> None:
    house = House()
    case = case_of(ASKER)
    house.office.held[case.id] = grant_of(case)
    page = await house.ann.go(await house.ann.start("revoke"), "next", {"kind": "below", "name": KEY, "reason": "lost"})
    assert page.text == [
        f"would change: {KEY}",
        f"loses: {ASKER} subscribe `incidents`: allow, then deny (revoked)",
        "nobody wins anything",
    ]
    done = await house.ann.go(page, "complete")
    assert done.notes == [("error", "this needs the signature of a key: use `clearinghouse revoke --key`")]
    assert house.office.done == [("revoke", "ann", "below", KEY, "lost")]


async def test_unknown_key_keeps_the_question_on_the_screen() -> None:
    house = House()
    page = await house.ann.go(await house.ann.start("revoke"), "next", {"kind": "principal", "name": "x"})
    assert (page.status, page.notes) == ("executing", [("error", "that is no key: give one")])
    assert "kind" in page.labels


async def test_credential_is_pasted_seen_and_withdrawn() -> None:
    house = House()
    pasted = ["KeyNote-Version: 2", "Authorizer: x", "\tLicensees: y"]
    page = await house.ann.go(await house.ann.start("add-credential"), "next", {"text": pasted})
    assert page.text[1:] == ["nobody loses anything", "wins: a@b.example subscribe `incidents`: deny, then allow"]
    assert (await house.ann.go(page, "complete")).status == "completed"
    kept = next(iter(house.office.kept.values()))
    assert kept.raw.decode().splitlines() == pasted
    page = await house.ann.go(await house.ann.start("credentials"), "next", {"choice": kept.id})
    assert page.text[-3:] == ["KeyNote-Version: 2", "Authorizer: x", "    Licensees: y"]
    await house.ann.go(page, "complete", {"text": "anything"})
    assert house.office.done == [("withdraw", "ann", kept.id)]


async def test_bad_credential_stays_in_the_field_to_be_mended() -> None:
    house = House()
    page = await house.ann.go(await house.ann.start("add-credential"), "next", {"text": ["first", "second"]})
    assert (page.notes, page.text) == ([("error", "that is no credential: paste all of it")], ["first", "second"])


async def test_credential_of_a_folder_is_shown_and_not_withdrawn() -> None:
    house = House()
    house.office.kept["c1"] = KeptCredential("c1", b"Authorizer: x\n\xff", "topics/hub.kn")
    page = await house.ann.go(await house.ann.start("credentials"), "next", {"choice": "c1"})
    assert page.text[:3] == ["credential: c1", "from: topics/hub.kn", "cannot be withdrawn here: it lies in a folder: take it away there"]


async def test_what_somebody_signed_is_handed_in_by_anybody() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    done = await house.ann.go(await house.ann.start("submit"), "complete", {"text": ["signed", ""]})
    assert (done.status, done.text[0]) == ("completed", f"case: {case.id}")
    done = await house.ann.go(await house.ann.start("submit"), "complete", {"text": "forged"})
    assert (done.status, done.notes) == ("completed", [("error", "the envelope b'forged' is none: sign it")])
    page = await house.ann.start("submit")
    assert await house.ann.refused(command("submit", "complete", page.session, {"text": " "})) == ("bad-request", "bad-payload")


async def test_explanation_is_plain_text() -> None:
    house = House()
    house.office.open(case := case_of(ASKER))
    page = await house.ann.go(await house.ann.start("explain"), "complete", {"name": case.id[:8]})
    assert page.text == [f"decision {case.id}", "    by POLICY", "\\u202eevil\\u001b[1m"]


async def test_what_cannot_be_explained_is_said() -> None:
    house = House()
    page = await house.ann.go(await house.ann.start("explain"), "complete", {"name": "77"})
    assert (page.status, page.notes) == ("completed", [("error", "nothing has this id: look at the list")])
