"""What people take away: first who would lose is told, exactly; then it is gone, and stays gone."""

from __future__ import annotations

import pytest

from clearinghouse.clearing.cases import CaseState, Revocation, RevocationKind
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.people import Changed, NeedsSignature, NoSuchThing, NotEntitled
from clearinghouse.errors import BadSignature, MalformedAssertion, MalformedRequest, TooLarge
from clearinghouse.keynote import admit
from clearinghouse.keynote.keys import from_seed
from clearinghouse.keynote.signing import sign
from clearinghouse.runtime.people.governing import BornRevoked, ByTheDesk, CannotLift, InFolder
from tests.runtime.chamber import ANN, BEA, CREDENTIALS, EVE, Chamber, chat, local, settings_of, signer
from tests.world import INCIDENTS, assertion, key, signed, who

ROOTS = signer("root-a", "root-b")
HUB_TO_C = signed("hub", "xmpp-member:c.example", 'domain == "c.example" && jid ~= "@c.example$"')
C_ID = admit(HUB_TO_C).name
KINDS = RevocationKind


@pytest.fixture
async def chamber() -> Chamber:
    return await Chamber(settings=settings_of(platforms=("pat@a.example", "pia@c.example"))).open()


def who_in(parties: tuple[object, ...]) -> set[str]:
    return {each.jid for each in parties}  # type: ignore[attr-defined]


# -- grants


async def test_an_ended_grant_is_over_at_once_and_its_holder_is_barred(chamber: Chamber) -> None:
    grant = await chamber.holding()
    changed = await chamber.office.end_grant(chat(), grant.id, reason="left the community")
    assert (changed.names, changed.done, [(each.jid, each.grant) for each in changed.losing]) == ((grant.id,), True, [(ANN, grant.id)])
    (owed,) = chamber.books.owed_ends()
    assert (owed.why and owed.why.code, owed.affiliation) == ("revoked", "outcast")
    assert chamber.ended == 1
    assert chamber.books.barred(ANN, INCIDENTS) is not None
    assert chamber.books.approvals_for(grant.request) == ()


async def test_a_barred_holder_loses_all_that_it_has_at_the_topic(chamber: Chamber) -> None:
    chamber.credentials.append(signed("hub", f"xmpp:{ANN}", f'jid == "{ANN}" && topic == "{INCIDENTS}"'))
    await chamber.believe()
    grant = await chamber.holding()
    published = (await chamber.asks(ANN, operation="publish")).id
    await chamber.office.approve(chat(), published)
    other = await chamber.holding(BEA)
    changed = await chamber.office.end_grant(chat(), grant.id)
    assert {each.operation for each in changed.losing} == {"subscribe", "publish"}
    assert chamber.books.held() == [other]


async def test_whoever_may_ask_again_needs_people_again(chamber: Chamber) -> None:
    """The approval has gone with the grant, or asking again would undo what was done."""
    grant = await chamber.holding()
    await chamber.office.end_grant(chat(), grant.id, may_ask_again=True)
    assert chamber.books.barred(ANN, INCIDENTS) is None
    assert [each.affiliation for each in chamber.books.owed_ends()] == ["none"]
    case = await chamber.store.case(grant.case)
    assert case is not None
    assert (case.state, case.by) == (CaseState.WITHDRAWN, "op")
    assert (await chamber.asks()).outcome is Outcome.PENDING


async def test_a_grant_ends_once_and_for_those_alone_who_may_end_it(chamber: Chamber) -> None:
    grant = await chamber.holding()
    with pytest.raises(NoSuchThing):
        await chamber.office.end_grant(chat(EVE), grant.id)
    with pytest.raises(NeedsSignature):
        await chamber.office.end_grant(chat(host="evil.example"), grant.id)
    await chamber.office.end_grant(chat(), grant.id)
    with pytest.raises(NoSuchThing):
        await chamber.office.end_grant(chat(), grant.id)


# -- bars


async def test_a_bar_says_who_loses_then_ends_grants_and_cases(chamber: Chamber) -> None:
    grant, case = await chamber.holding(), None
    dry = await chamber.office.revoke(chat(), KINDS.HOLDER, f"{ANN} {INCIDENTS}", dry_run=True)
    assert (dry.done, [each.grant for each in dry.losing]) == (False, [grant.id])
    assert chamber.books.held() == [grant]
    done = await chamber.office.revoke(chat(), KINDS.HOLDER, f"{ANN} {INCIDENTS}", reason="misbehaved")
    assert done.losing == dry.losing or [each.grant for each in done.losing] == [grant.id]
    assert [each.affiliation for each in chamber.books.owed_ends()] == ["outcast"]
    case = await chamber.waiting(BEA)
    await chamber.office.revoke(chat(), KINDS.HOLDER, f"{BEA} {INCIDENTS}")
    await chamber.review.look()
    found = await chamber.store.case(case.id)
    assert found is not None
    assert found.state is CaseState.CANCELLED
    assert (await chamber.store.decisions(1))[0].decision.reason.code == "revoked"


async def test_a_bar_can_be_lifted_and_nothing_else(chamber: Chamber) -> None:
    await chamber.office.revoke(chat(), KINDS.HOLDER, f"{ANN} {INCIDENTS}")
    await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, f"xmpp:{EVE}")
    bar, for_good = await chamber.office.revocations(ROOTS)
    with pytest.raises(CannotLift):
        await chamber.office.lift(ROOTS, for_good.id)
    lifted = await chamber.office.lift(chat(), bar.id)
    assert lifted.lifted == chamber.now
    assert chamber.books.barred(ANN, INCIDENTS) is None
    with pytest.raises(NoSuchThing):
        await chamber.office.lift(chat(), bar.id)


async def test_who_may_end_no_grants_bars_nobody(chamber: Chamber) -> None:
    with pytest.raises(NotEntitled):
        await chamber.office.revoke(local("eve"), KINDS.HOLDER, f"{ANN} {INCIDENTS}")
    with pytest.raises(NeedsSignature):
        await chamber.office.revoke(chat(host="evil.example"), KINDS.HOLDER, f"{ANN} {INCIDENTS}")


# -- keys and credentials


@pytest.mark.parametrize(
    "kind, name, losers",
    [
        (KINDS.PRINCIPAL, "xmpp-member:a.example", {ANN, "pat@a.example"}),
        (KINDS.CREDENTIAL, admit(CREDENTIALS[0]).name[:12], {ANN, "pat@a.example"}),
        (KINDS.PRINCIPAL, f"xmpp:{ANN}", {ANN}),
        (KINDS.BELOW, who("hub"), {ANN, BEA, "pat@a.example"}),
        (KINDS.PRINCIPAL, who("op"), set[str]()),
        (KINDS.PRINCIPAL, who("nobody"), set[str]()),
    ],
)
async def test_a_dry_run_names_exactly_those_who_lose_then(chamber: Chamber, kind: RevocationKind, name: str, losers: set[str]) -> None:
    granted, waits = await chamber.holding(), await chamber.waiting(BEA)
    dry = await chamber.office.revoke(ROOTS, kind, name, dry_run=True)
    assert who_in(dry.losing) == losers
    assert not dry.winning
    assert (dry.done, dry.unchecked, chamber.books.revocations) == (False, 0, {})
    done = await chamber.office.revoke(ROOTS, kind, name)
    assert (done.losing, done.done) == (dry.losing, True)
    await chamber.review.look()
    assert (granted.id in {each.id for each in chamber.books.held()}) == (ANN not in losers)
    assert (waits.id in chamber.books.cases) == (BEA not in losers)
    for jid in ("pat@a.example", "pia@c.example"):
        outcome = (await chamber.asks(jid)).outcome
        assert (outcome is Outcome.PENDING) == (jid == "pat@a.example" and jid not in losers)


async def test_when_revoke_answers_it_counts_already(chamber: Chamber) -> None:
    await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, who("hub"))
    assert (await chamber.asks()).outcome is Outcome.REFUSED
    assert (await (await chamber.restarted()).asks()).outcome is Outcome.REFUSED


async def test_what_is_revoked_twice_is_written_once(chamber: Chamber) -> None:
    for _ in range(2):
        assert (await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, who("op"))).done
    assert len(chamber.books.revocations) == 1


async def test_keys_are_revoked_by_those_who_administer_and_never_on_a_jids_word(chamber: Chamber) -> None:
    for speaker, error in ((chat(), NeedsSignature), (signer("root-a"), NotEntitled), (local(), NotEntitled)):
        with pytest.raises(error):
            await chamber.office.revoke(speaker, KINDS.PRINCIPAL, who("hub"))
        with pytest.raises(error):
            await chamber.office.add_credential(speaker, HUB_TO_C)
        with pytest.raises(error):
            await chamber.office.withdraw_credential(speaker, "00") if error is NeedsSignature else await chamber.office.credentials(
                signer("root-a")
            )
    assert not chamber.books.revocations


@pytest.mark.parametrize(
    "kind, name",
    [
        (KINDS.PRINCIPAL, ""),
        (KINDS.PRINCIPAL, "POLICY"),
        (KINDS.PRINCIPAL, "x" * 20_000),
        (KINDS.HOLDER, "ann@a.example"),
        (KINDS.HOLDER, "@ topic"),
    ],
)
async def test_what_cannot_be_revoked_is_refused(chamber: Chamber, kind: RevocationKind, name: str) -> None:
    with pytest.raises(MalformedRequest):
        await chamber.office.revoke(ROOTS, kind, name)


async def test_a_credential_can_be_revoked_before_anybody_has_it(chamber: Chamber) -> None:
    with pytest.raises(NoSuchThing):
        await chamber.office.revoke(ROOTS, KINDS.CREDENTIAL, C_ID[:20])
    await chamber.office.revoke(ROOTS, KINDS.CREDENTIAL, C_ID.upper())
    with pytest.raises(BornRevoked):
        await chamber.office.add_credential(ROOTS, HUB_TO_C)


async def test_added_credentials_win_parties_and_withdrawn_ones_lose_them(chamber: Chamber) -> None:
    dry = await chamber.office.add_credential(ROOTS, HUB_TO_C, dry_run=True)
    assert (who_in(dry.winning), dry.losing, dry.names, dry.done) == ({"pia@c.example"}, (), (C_ID,), False)
    assert {(each.topic, each.before, each.after) for each in dry.winning} == {
        (INCIDENTS, "deny", "ask"),
        ("restricted", "deny", "ask"),
        ("open", "deny", "allow"),
    }
    assert (await chamber.asks(EVE)).outcome is Outcome.REFUSED
    done = await chamber.office.add_credential(ROOTS, HUB_TO_C)
    assert done.winning == dry.winning
    assert (await chamber.asks(EVE)).outcome is Outcome.PENDING
    assert next(each.id for each in await chamber.office.credentials(ROOTS)) == C_ID
    assert len(await chamber.office.credentials(ROOTS)) == 3
    lost = await chamber.office.withdraw_credential(ROOTS, C_ID[:10])
    assert who_in(lost.losing) == {EVE, "pia@c.example"}
    assert not chamber.books.credentials


async def test_adding_what_is_there_changes_nothing(chamber: Chamber) -> None:
    assert (await chamber.office.add_credential(ROOTS, CREDENTIALS[0])).winning == ()
    assert not chamber.books.credentials


@pytest.mark.parametrize(
    "raw, error",
    [
        (b"no assertion", MalformedAssertion),
        (HUB_TO_C.replace(b"c.example", b"d.example"), BadSignature),
        (signed("desk", f"xmpp:{EVE}", 'topic == "open"'), ByTheDesk),
        (sign(assertion("mallory", f"xmpp:{EVE}"), key("mallory")), BornRevoked),
    ],
)
async def test_a_credential_that_is_not_good_is_refused_with_its_reason(chamber: Chamber, raw: bytes, error: type[Exception]) -> None:
    await chamber.office.revoke(ROOTS, KINDS.BELOW, who("mallory"))
    with pytest.raises(error):
        await chamber.office.add_credential(ROOTS, raw)
    assert not chamber.books.credentials


async def test_what_stands_in_a_folder_is_taken_away_there(chamber: Chamber) -> None:
    with pytest.raises(InFolder):
        await chamber.office.withdraw_credential(ROOTS, admit(CREDENTIALS[0]).name[:12])
    with pytest.raises(NoSuchThing):
        await chamber.office.withdraw_credential(ROOTS, "ff")


async def test_no_more_credentials_than_the_limit_are_added(chamber: Chamber) -> None:
    chamber.office.governing.most_credentials = 1
    await chamber.office.add_credential(ROOTS, HUB_TO_C)
    fresh = sign(assertion("hub", f"xmpp:{EVE}"), key("hub"))
    with pytest.raises(TooLarge, match="1 credentials were added already"):
        await chamber.office.add_credential(ROOTS, fresh)


async def test_pairs_that_are_too_many_to_look_at_are_counted(chamber: Chamber) -> None:
    chamber.office.governing.comparison.most_pairs = 2
    changed = await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, "xmpp-member:a.example", dry_run=True)
    assert (len(changed.losing), changed.unchecked) == (2, 10)


async def test_users_that_credentials_name_are_known_platforms(chamber: Chamber) -> None:
    fresh = sign(assertion("hub", f"xmpp:{EVE}", f'jid == "{EVE}"'), key("hub"))
    changed: Changed = await chamber.office.add_credential(ROOTS, fresh, dry_run=True)
    assert who_in(changed.winning) == {EVE}
    named = {(each.operation, each.topic) for each in changed.winning}
    assert named == {("subscribe", "open"), *((what, topic) for what in ("subscribe", "publish") for topic in (INCIDENTS, "restricted"))}


async def test_bars_are_seen_by_those_who_decide_there_and_all_else_by_those_who_administer(chamber: Chamber) -> None:
    await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, from_seed(bytes(32)).principal)
    await chamber.office.revoke(chat(), KINDS.HOLDER, f"{ANN} {INCIDENTS}")
    found: list[Revocation] = list(await chamber.office.revocations(ROOTS))
    assert [each.by for each in found] == ["root-a", "op"]
    assert [each.by for each in await chamber.office.revocations(chat())] == ["op"]
    for nobody in (signer("ann"), chat(EVE), chat(host="evil.example")):
        assert list(await chamber.office.revocations(nobody)) == []
