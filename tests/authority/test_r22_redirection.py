"""R22 at the door for servers: denied, unknown, no member any more: the same words, and the same work."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clearinghouse.federation.redirection.answers import Answer, Refused
from clearinghouse.federation.redirection.seen import Proof, Require, Seen
from clearinghouse.storage.changes import Decided, Repeated
from tests.porters import GONE, A, B, C, Lodge, member, seen

SECRET, UNKNOWN, CLOSED = "secret.example", "unknown.example", "closed.example"
CASES = {
    "denied": (seen(C, B), "not-granted"),
    "denied for this target": (seen(A, SECRET), "not-granted"),
    "an unknown target": (seen(A, UNKNOWN), "no-such-member"),
    "a target that was removed": (seen(A, GONE), "no-such-member"),
    "a target without an address": (seen(A, CLOSED), "no-endpoint"),
    "no member": (seen("stranger.example", B), "not-a-member"),
    "no member any more": (seen(GONE, B), "not-a-member"),
    "no member, to no member": (seen(GONE, UNKNOWN), "not-a-member"),
}


@dataclass
class Work:
    """What one answer takes: looks at members and levels, steps of the engine's own, what is written."""

    looks: int
    levels: int
    asked: int
    writes: list[list[type]]


@pytest.fixture
def lodge() -> Lodge:
    made = Lodge()
    for name in (A, GONE, "stranger.example"):
        made.permits(f'from_domain == "{name}" && to_domain != "{SECRET}"', to=name)
    made.roll.members |= {SECRET: member(SECRET, "192.0.2.4"), CLOSED: member(CLOSED), C: member(C, "192.0.2.5")}
    return made


async def works(lodge: Lodge, each: Seen) -> tuple[Answer, Work]:
    """Return the answer, and what it has taken."""
    desk, asked = lodge.porter.desk, 0
    new_id = desk.new_id

    def counted() -> str:
        nonlocal asked
        asked += 1
        return new_id()

    lodge.sim.ready()
    desk.new_id, lodge.roll.looks, lodge.table.looks, lodge.diary.writes = counted, 0, 0, []
    answer = await lodge.porter.answer(each)
    desk.new_id = new_id
    return answer, Work(lodge.roll.looks, lodge.table.looks, asked, [[type(one) for one in batch] for batch in lodge.diary.writes])


def words(answer: Answer) -> tuple[str, str, int]:
    assert isinstance(answer, Refused)
    before, _, identity = answer.text.partition("(decision ")
    return answer.condition, before, len(identity) > 1


async def test_r22_whoever_is_sent_nowhere_hears_the_same_for_whatever_reason(lodge: Lodge) -> None:
    heard = {note: words(await lodge.answer(each)) for note, (each, _) in CASES.items()}
    assert set(heard.values()) == {("policy-violation", "not permitted: not-granted ", True)}
    assert await lodge.reasons() == [reason for _, reason in CASES.values()], "and the log knows why"


async def test_r22_and_it_takes_the_same_work(lodge: Lodge) -> None:
    first = [(await works(lodge, each))[1] for each, _ in CASES.values()]
    assert first == [Work(4, 4, 1, [[Decided]])] * len(CASES), "the engine is asked once for each, and each is written whole"
    again = [(await works(lodge, each))[1] for each, _ in CASES.values()]
    assert again == [Work(4, 4, 0, [[Repeated]])] * len(CASES)


async def test_r22_every_refusal_is_proven_before_it_is_withheld(lodge: Lodge) -> None:
    """No case is found out before policy is asked: what is written of each has a proof, of much or of nothing."""
    for each, _ in CASES.values():
        await lodge.answer(each)
    assert all(each.proof is not None for each in await lodge.recorded())
    withheld = [each.decision for each in await lodge.recorded() if each.decision.reason.code == "no-such-member"]
    assert [(each.value, each.outcome, each.ends) for each in withheld] == [("deny", "refused", None)] * 2
    assert {each.reason.text for each in withheld} == {
        "policy grants `level-2`, but `unknown.example` is no member",
        "policy grants `level-2`, but `gone.example` is no member",
    }


async def test_r22_no_time_is_spent_on_what_a_refusal_lacks(lodge: Lodge) -> None:
    """Looking for it takes longer than deciding, and only a denial has something to look for."""
    for each, _ in CASES.values():
        await lodge.answer(each)
    assert all(not (each.proof or {})["missing"] for each in await lodge.recorded())


@pytest.mark.parametrize("proof", [Proof.DIALBACK, Proof.NOTHING])
async def test_r22_whoever_has_not_proven_enough_hears_one_thing(lodge: Lodge, proof: Proof) -> None:
    for claimed, wanted in ((A, B), (C, B), (A, UNKNOWN), ("stranger.example", B), ("", "")):
        assert await lodge.answer(claimed, wanted, proof) == Refused("", "policy-violation")
    assert lodge.porter.require is Require.CERTIFICATE


async def test_r22_no_answer_names_a_reason_an_assertion_or_a_member(lodge: Lodge) -> None:
    answers = [await lodge.answer(each) for each, _ in CASES.values()]
    for recorded, answer in zip(await lodge.recorded(), answers, strict=True):
        skipped = (recorded.proof or {}).get("skipped", ())
        told = {recorded.decision.reason.code, *(str(each["id"])[:8] for each in skipped)} - {"not-granted"}
        assert isinstance(answer, Refused)
        assert not [word for word in told if word in answer.text]
