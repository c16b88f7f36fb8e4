"""R20 at the door for servers: an earlier decision answers the same question, and no other, while the clock changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.redirection.answers import Answer, Redirect, Refused
from clearinghouse.federation.redirection.seen import Proof, Require, Seen
from clearinghouse.keynote.signing import sign
from clearinghouse.ledger.entry import Kind
from clearinghouse.runtime.redirection import precedents
from clearinghouse.storage.changes import Repeated
from tests.porters import ALLOWED, GONE, A, B, C, Lodge, member, said, seen, sent
from tests.world import NOON, key, who

OTHER = {
    "claimed": C,
    "wanted": C,
    "proof": Proof.DIALBACK,
    "key": key("another").principal,
    "issuer": "CN=Other CA",
    "tls_version": "1.2",
    "cipher": "ECDHE-RSA-AES128-GCM-SHA256",
    "address": "192.0.2.67",
    "doubt": "certificate-expired",
}


@pytest.fixture
def lodge() -> Lodge:
    made = Lodge(Require.DIALBACK)
    made.permits()
    return made


async def ruled(lodge: Lodge) -> int:
    """Return how many of the answers were ruled on, and not repeated."""
    return [each.entry.kind for each in await lodge.log()].count(Kind.DECISION)


async def test_r20_every_answer_has_a_decision_of_its_own_on_the_log(lodge: Lodge) -> None:
    answers = [await lodge.answer() for _ in range(3)]
    assert {sent(each) for each in answers} == {"192.0.2.2"}
    ids = [each.decision.id for each in await lodge.recorded()]
    assert len(set(ids)) == 3
    assert [each.text.partition("decision ")[2].rstrip(")") for each in answers] == [each[:12] for each in ids]
    assert await ruled(lodge) == 1


async def test_r20_a_repeated_answer_is_found_by_its_own_id_with_everything_that_it_rests_on(lodge: Lodge) -> None:
    await lodge.answer()
    lodge.sim.now += timedelta(seconds=5)
    await lodge.answer()
    first, again = await lodge.recorded()
    assert (again.repeats, again.decision.at) == (first.decision.id, NOON + timedelta(seconds=5))
    assert (again.attributes, again.proof, again.decision.value) == (first.attributes, first.proof, "level-2")


@pytest.mark.parametrize("name", [each.name for each in fields(Seen)])
async def test_r20_whatever_else_the_door_sees_is_another_question(lodge: Lodge, name: str) -> None:
    await lodge.answer()
    await lodge.answer(replace(seen(), **{name: OTHER[name]}))  # type: ignore[arg-type]  # of its type
    assert await ruled(lodge) == 2


def other_policy(lodge: Lodge) -> None:
    lodge.permits("from_domain == 'never'".replace("'", '"'))


def revoked(lodge: Lodge) -> None:
    lodge.sim.revoke("xmpp:a.example")


def from_level(lodge: Lodge) -> None:
    lodge.table.rows[A] = "level-1"


def to_level(lodge: Lodge) -> None:
    del lodge.table.rows[B]


def target_gone(lodge: Lodge) -> None:
    lodge.roll.members[B] = member(B, "192.0.2.2", removed=True)


def asker_gone(lodge: Lodge) -> None:
    del lodge.roll.members[A]


def long_after(lodge: Lodge) -> None:
    lodge.sim.now += precedents.LONGEST


@pytest.mark.parametrize(
    "change, goes_on",
    [
        (other_policy, True),
        (revoked, False),
        (from_level, True),
        (to_level, True),
        (target_gone, False),
        (asker_gone, False),
        (long_after, True),
    ],
)
async def test_r20_what_a_decision_rests_on_has_changed(lodge: Lodge, change: Callable[[Lodge], None], goes_on: bool) -> None:  # noqa: FBT001 - a row of the table
    await lodge.answer()
    change(lodge)
    assert isinstance(await lodge.answer(), Redirect) is goes_on
    assert await ruled(lodge) == 2


async def test_r20_another_address_of_the_target_needs_no_other_decision(lodge: Lodge) -> None:
    """Where a peer goes is no part of what is decided: the record of today says it."""
    await lodge.answer()
    lodge.roll.members[B] = member(B, "192.0.2.9")
    assert sent(await lodge.answer()) == "192.0.2.9"
    assert await ruled(lodge) == 1


@pytest.mark.parametrize("where", ['date < "20261121"', '!(time >= "20261120120500")', 'time < "20261120120500" || date == "20270101"'])
async def test_r20_the_clock_ends_a_precedent_to_the_second(where: str) -> None:
    lodge = Lodge()
    lodge.permits(f"{ALLOWED} && ({where})")
    end = NOON + (timedelta(hours=12) if where.startswith("date") else timedelta(minutes=5))
    for _ in range(30):  # while nobody remembers for longer than an hour
        assert isinstance(await lodge.answer(), Redirect) is (lodge.sim.now < end)
        lodge.sim.now += timedelta(minutes=30) if where.startswith("date") else timedelta(seconds=15)
    lodge.sim.now = max(end, lodge.sim.now)
    assert said(await lodge.answer()) == "not permitted: not-granted"


async def test_r20_a_denial_ends_when_the_clock_grants() -> None:
    lodge = Lodge()
    lodge.permits(f'{ALLOWED} && time >= "20261120120100"')
    assert said(await lodge.answer()) == "not permitted: not-granted"
    lodge.sim.now += timedelta(seconds=59)
    assert said(await lodge.answer()) == "not permitted: not-granted"
    assert await ruled(lodge) == 1
    lodge.sim.now += timedelta(seconds=1)
    assert sent(await lodge.answer()) == "192.0.2.2"


async def test_r20_the_clock_of_a_credential_that_gave_nothing_counts_as_well() -> None:
    """What did not carry the answer may carry another one tomorrow."""
    lodge = Lodge()
    lodge.permits(ALLOWED, "level-1", to="hub")
    lodge.sim.delegate("hub", "auditor", 'time >= "20261120120100"')
    lodge.sim.delegate("auditor", "a.example")
    assert said(await lodge.answer()) == "not permitted: not-granted"
    lodge.sim.now += timedelta(minutes=1)
    assert sent(await lodge.answer()) == "192.0.2.2"


async def test_r20_what_failed_is_no_precedent(lodge: Lodge) -> None:
    for wanted in ("", ""):
        await lodge.answer(wanted=wanted)
    assert (await lodge.reasons(), await ruled(lodge)) == (["fact-missing"] * 2, 2)


async def test_r20_where_the_request_decides_whom_policy_trusts_everything_is_ruled_on(lodge: Lodge) -> None:
    text = f'Authorizer: "{who("hub")}"\nLicensees: "xmpp:" . from_domain\nConditions: true;\n'
    lodge.sim.policy("hub", ALLOWED, "level-1", operation="federate")
    lodge.sim.store(sign(text.encode(), key("hub")))
    await lodge.answer()
    await lodge.answer()
    assert await ruled(lodge) == 2


async def test_r20_no_more_are_remembered_than_there_is_room_for(lodge: Lodge) -> None:
    kept = lodge.porter.precedents
    await lodge.answer()
    [(question, precedent)] = kept._known.items()
    for number in range(precedents.MAX_PRECEDENTS):
        kept.keep(replace(question, to_level=str(number)), precedent)
    assert len(kept) == precedents.MAX_PRECEDENTS
    assert kept.find(question, NOON) is None, "the longest unused goes first"
    kept.keep(replace(question, version="another"), precedent)
    assert len(kept) == 1


async def test_r20_strangers_push_out_no_precedent_of_the_proven(lodge: Lodge) -> None:
    await lodge.answer()
    assert await lodge.answer(proof=Proof.NOTHING) == Refused() == await lodge.answer(proof=Proof.NOTHING)
    assert (len(lodge.porter.precedents), len(lodge.porter.strangers)) == (1, 1)
    assert isinstance(lodge.diary.writes[-1][0], Repeated)


# -- the same as without ---------------------------------------------------------------------------------

TESTS = (
    ALLOWED,
    f'{ALLOWED} && tls_version == "1.3"',
    f'{ALLOWED} && (address == "192.0.2.66" || time >= "20261120120200")',
    f'{ALLOWED} && to_level == "level-1" && date < "20261121"',
    'from_domain == "c.example" && time < "20261120120130"',
    'from_domain ~= "^[ac]" && to_domain == "b.example"',
    'claimed_from_domain == "a.example" && address != "192.0.2.67"',
    f'{ALLOWED} || claimed_from_domain ~= "."',
)
QUESTIONS = st.builds(
    seen,
    st.sampled_from((A, C, GONE)),
    st.sampled_from((B, C, "unknown.example")),
    st.sampled_from(Proof),
    tls_version=st.sampled_from(("1.2", "1.3")),
    address=st.sampled_from(("192.0.2.66", "192.0.2.67")),
)
STEPS = st.lists(st.tuples(QUESTIONS, st.sampled_from((0, 1, 45, 120, 86_400))), min_size=1, max_size=12)
POLICIES = st.lists(st.tuples(st.sampled_from(TESTS), st.sampled_from((A, C, "hub", "unproven:"))), max_size=4)


@settings(max_examples=60, deadline=None)
@given(POLICIES, STEPS)
async def test_r20_no_answer_differs_from_what_it_were_without_precedents(
    policies: list[tuple[str, str]], steps: list[tuple[Seen, int]]
) -> None:
    with_them, without = Lodge(Require.NOTHING), Lodge(Require.NOTHING)
    for lodge in (with_them, without):
        lodge.roll.members[C] = member(C, "192.0.2.3")
        for where, licensee in policies:
            test = f'operation == "federate" && ({where})'
            text = f'Authorizer: "POLICY"\nLicensees: "{who(licensee).rstrip(":")}"\nConditions: {test} -> "level-2";\n'
            with suppress(ClearinghouseError):  # what cannot be loaded grants nothing to either
                lodge.sim.load(text.encode(), "federate")
    for each, seconds in steps:
        for lodge in (with_them, without):
            lodge.sim.now += timedelta(seconds=seconds)
        without.porter.precedents._known.clear()
        without.porter.strangers._known.clear()
        assert _plain(await with_them.answer(each)) == _plain(await without.answer(each))


def _plain(answer: Answer) -> str:
    return sent(answer) if isinstance(answer, Redirect) else said(answer)
