"""Who becomes a member, on whose word, and what happens to the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.clearing.dsse import REQUEST, opened
from clearinghouse.clearing.envelope import Replayed
from clearinghouse.clearing.people import NoSuchThing, NotEntitled
from clearinghouse.errors import ClearinghouseError, MalformedRequest
from clearinghouse.federation.membership.reception import Answer
from clearinghouse.federation.published.members import Endpoint, Member, read_member, read_payload, seal_member
from clearinghouse.federation.published.refusals import DocumentRefused, ForeignSigner
from clearinghouse.keynote.signing import sign
from clearinghouse.runtime.asking.rates import Pace, Rates
from clearinghouse.runtime.federation.registrar import MAX_LETTERS, OldRecord
from tests.commons import Commons, chat_op, commons, op
from tests.presses import key, member, who
from tests.runtime.house import until
from tests.world import assertion

FREELY = Pace(1e6, 1e6)

OFFLINE = '[registrar]\nkey_file = "registrar.key"\n'


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    return commons(tmp_path)


async def joins(home: Commons, body: dict[str, str], *names: str, speaker: str = "") -> Answer:
    return await home.house.library.hand_in(home.asked("join", {"domain": "n.example", **body}, *names), speaker=speaker)


def invitation(name: str, condition: str = "true") -> bytes:
    text = assertion(key("inviter").principal, who(name)[0], f'operation == "join" && member == "n.example" && {condition}')
    return sign(text, key("inviter"))


def invites(home: Commons, name: str, condition: str = "true") -> None:
    home.write("policies/members/inviter.kn", assertion("POLICY", key("inviter").principal, 'member ~= "example$"'))
    home.write("credentials/invitation.kn", invitation(name, condition))


# -- people --------------------------------------------------------------------------------------------


async def test_a_record_has_a_signature_a_serial_and_a_place_in_the_log(home: Commons) -> None:
    async with home.open() as service:
        await home.enrols("Bücher.Example.", note="first")
        await home.house.enrol(op(), "change", {"domain": "xn--bcher-kva.example", "contacts": "mailto:a@b\n mailto:c@d"})
        [found] = home.house.roll.members.values()
        assert read_member(found.kept.sealed) == (found.member, who("registrar"))
        assert (found.member.domain, found.member.serial, found.member.note) == ("xn--bcher-kva.example", 2, "first")
        assert found.member.contacts == ("mailto:a@b", "mailto:c@d")
        kinds = [each.entry.kind.value for each in await service.store.entries(0, 99)]
        assert kinds.count("member") == 2
    async with home.open():
        assert home.house.roll.members["xn--bcher-kva.example"].member == found.member


async def test_one_name_is_one_member_however_it_is_written(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        for name in ("A.EXAMPLE", "a.example.", "\uff41.example"):
            with pytest.raises(MalformedRequest, match="is a member already"):
                await home.enrols(name)
        with pytest.raises(ClearinghouseError, match="no name"):
            await home.enrols("a..example")


async def test_a_dry_run_says_whose_level_changes_and_changes_nothing(home: Commons) -> None:
    async with home.open():
        found = await home.house.enrol(op(), "add", {"domain": "d.example", "keys": who("d.example")[0]}, dry_run=True)
        assert [(each.jid, each.topic, each.before, each.after) for each in found.winning] == [("d.example", "*", "deny", "level-3")]
        assert (found.done, dict(home.house.roll.members)) == (False, {})
        await home.enrols("d.example")
        found = await home.house.enrol(op(), "change", {"domain": "d.example", "keys": ""}, dry_run=True)
        assert [(each.before, each.after) for each in found.losing] == [("level-3", "deny")]


async def test_a_removed_member_keeps_its_serial_and_may_come_back(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        await home.house.enrol(op(), "remove", {"domain": "a.example"})
        assert home.house.roll.present() == {}
        with pytest.raises(MalformedRequest, match="is no member"):
            await home.house.enrol(op(), "change", {"domain": "a.example", "note": "x"})
        await home.enrols("a.example")
        assert home.house.roll.present()["a.example"].serial == 3


async def test_whoever_policy_does_not_let_enrols_nobody_and_learns_nothing(home: Commons) -> None:
    home.write(
        "policies/people/op.kn", assertion("POLICY", "{unix:op}", 'operation == "enrol" && member == "a.example" && change == "add"')
    )
    async with home.open():
        await home.enrols("a.example")
        for act, domain in (("add", "b.example"), ("change", "a.example"), ("change", "b.example"), ("remove", "a.example")):
            with pytest.raises(NotEntitled):
                await home.house.enrol(op(), act, {"domain": domain})
        for method in (home.house.members, home.house.drafts, home.house.fleet):
            with pytest.raises(ClearinghouseError):
                method(op())


async def test_signed_acts_come_in_envelopes_once(home: Commons) -> None:
    home.write("policies/people/key.kn", assertion("POLICY", who("ann")[0], 'operation == "enrol" && member == "a.example"'))
    async with home.open() as service:
        envelope = home.asked("member-add", {"domain": "a.example", "endpoints": "a.example:5269"}, "ann")
        await service.hall.office.submit(envelope)
        assert home.house.roll.present()["a.example"].endpoints == (Endpoint("a.example"),)
        with pytest.raises(Replayed):
            await service.hall.office.submit(envelope)
        with pytest.raises(NotEntitled):
            await service.hall.office.submit(home.asked("member-add", {"domain": "b.example"}, "ann"))


# -- drafts --------------------------------------------------------------------------------------------


async def test_without_the_registrars_key_a_record_waits_until_it_is_signed_elsewhere(home: Commons) -> None:
    home.text = home.text.replace(OFFLINE, "")
    async with home.open():
        found = await home.house.enrol(op(), "add", {"domain": "a.example"})
        assert (found.done, found.names[0], dict(home.house.roll.members)) == (False, "a.example", {})
        assert "member sign" in found.waits_for
    async with home.open():
        [draft] = home.house.drafts(op())
        wanted = read_payload(draft.payload)
        with pytest.raises(ForeignSigner):
            await home.house.signed(seal_member(wanted, [key("a.example")]))
        with pytest.raises(MalformedRequest, match="community"):
            await home.house.signed(seal_member(Member("a.example", "other"), [key("registrar")]))
        done = await home.house.signed(seal_member(wanted, [key("registrar")]))
        assert (done.done, [each.after for each in done.winning]) == (True, ["level-1"])
        await home.settled({"a.example": "level-1"})
        assert home.house.drafts(op()) == []
        with pytest.raises(OldRecord):
            await home.house.signed(seal_member(wanted, [key("registrar")]))


async def test_a_proposal_at_a_chat_is_a_draft_that_only_a_surer_word_accepts(home: Commons) -> None:
    async with home.open():
        found = await home.house.enrol(chat_op(), "add", {"domain": "a.example"})
        assert (found.done, dict(home.house.roll.members)) == (False, {})
        with pytest.raises(NotEntitled, match="word of your server"):
            await home.house.accept(chat_op(), found.names[1])
        with pytest.raises(NoSuchThing):
            await home.house.accept(op(), "ffff")
        assert (await home.house.accept(op(), found.names[1][:6])).done
        assert home.house.roll.present()["a.example"].source == "chat op"
        other = await home.house.enrol(chat_op(), "remove", {"domain": "a.example"})
        await home.house.drop(op(), other.names[1])
        assert (list(home.house.roll.present()), home.house.drafts(op())) == (["a.example"], [])


async def test_a_draft_ends_by_itself(home: Commons) -> None:
    async with home.open():
        await home.house.enrol(chat_op(), "add", {"domain": "a.example"})
    home.now = home.now.replace(year=2027)
    async with home.open(published=False):
        await until(lambda: not home.house.roll.drafts)


# -- the member itself ---------------------------------------------------------------------------------


async def test_a_stranger_that_joins_hears_the_same_whoever_is_a_member(home: Commons) -> None:
    async with home.open():
        await home.enrols("n.example")
        for domain in ("n.example", "other.example"):
            with pytest.raises(NoSuchThing, match="there is no such thing"):
                await joins(home, {"domain": domain}, "stranger")
        with pytest.raises(NoSuchThing):
            await joins(home, {"act": "remove", "domain": "other.example"}, "stranger")


async def test_an_invited_key_joins_and_its_own_key_changes_the_record(home: Commons) -> None:
    invites(home, "n.example")
    async with home.open():
        answer = await joins(home, {"endpoints": "n.example:5269", "component": "agent.n.example"}, "n.example")
        assert answer.state == "done"
        found = home.house.roll.present()["n.example"]
        assert (found.keys, found.source) == (who("n.example"), "join")
        await joins(home, {"endpoints": "new.n.example:5269:direct"}, "n.example")
        assert home.house.roll.present()["n.example"].endpoints == (Endpoint("new.n.example", 5269, "direct"),)


async def test_a_new_key_has_to_sign_and_an_address_changes_by_the_records_own_key_alone(home: Commons) -> None:
    home.write(
        "policies/members/all.kn", assertion("POLICY", f"{{{quoted('n.example')}}} || {{{quoted('thief')}}}", 'member == "n.example"')
    )
    async with home.open():
        await home.enrols("n.example")
        with pytest.raises(NoSuchThing):
            await joins(home, {"endpoints": "evil.example:5269"}, "thief")
        with pytest.raises(NoSuchThing):
            await joins(home, {"endpoints": "evil.example:5269"}, "thief", speaker="n.example")
        with pytest.raises(MalformedRequest, match="has not signed"):
            await joins(home, {"keys": " ".join((*who("n.example"), *who("thief")))}, "n.example")
        await joins(home, {"keys": " ".join(who("n.example", "next"))}, "n.example", "next")
        assert home.house.roll.present()["n.example"].keys == who("n.example", "next")
        await joins(home, {"act": "remove"}, "n.example")
        assert home.house.roll.present() == {}


async def test_a_domain_that_shows_itself_leaves_a_draft_and_others_do_not(home: Commons) -> None:
    async with home.open():
        for speaker in ("", "agent.n.example", "ann@n.example", "evil.example"):
            with pytest.raises(NoSuchThing):
                await joins(home, {}, "n.example", speaker=speaker)
        answer = await joins(home, {}, "n.example", speaker="n.example/x")
        assert answer.state == "waits"
        [draft] = home.house.drafts(op())
        assert (draft.source.value, read_payload(draft.payload).keys) == ("join", who("n.example"))
        assert (await home.house.accept(op(), draft.id)).done


async def test_r21_whoever_has_a_thousand_names_keeps_no_other_draft_from_waiting(home: Commons) -> None:
    """Each name is proven."""
    async with home.open():
        home.house.library.intake.strangers = Rates(FREELY, FREELY, lambda: 0.0)
        states = [await _left(home, f"n{number}.evil.example") for number in range(MAX_LETTERS + 5)]
        assert states == ["waits"] * MAX_LETTERS + ["too-many-drafts"] * 5
        assert not (await home.house.enrol(chat_op(), "add", {"domain": "n.example"})).done
        assert "n.example" in home.house.roll.drafts


async def test_r21_strangers_who_want_to_join_cannot_fill_the_store(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        home.house.library.intake.strangers.elapsed = lambda: 0.0
        states = [await _left(home, f"n{number}.evil.example", speaker="evil.example") for number in range(25)]
        assert states == ["no-such-thing"] * 20 + ["rate-limited"] * 5
        assert await _left(home, "other.example") == "waits"
        assert "rate-limited" not in [await _left(home, "a.example", who_signs="a.example") for _ in range(25)]


async def _left(home: Commons, name: str, *, speaker: str = "", who_signs: str = "thief") -> str:
    """What becomes of a request to join."""
    try:
        return (await joins(home, {"domain": name}, who_signs, speaker=speaker or name)).state
    except ClearinghouseError as error:
        return error.code


async def test_policy_may_want_the_proof_and_leave_the_rest_to_people(home: Commons) -> None:
    invites(home, "n.example", 'domain_proven == "yes"')
    async with home.open():
        with pytest.raises(NoSuchThing):
            await joins(home, {}, "n.example")
        assert (await joins(home, {}, "n.example", speaker="n.example")).state == "done"


async def test_a_request_to_join_counts_once(home: Commons) -> None:
    invites(home, "n.example")
    async with home.open():
        envelope = home.asked("join", {"domain": "n.example"}, "n.example")
        await home.house.library.hand_in(envelope)
        with pytest.raises(Replayed):
            await home.house.library.hand_in(envelope)
        assert opened(envelope, payload_type=REQUEST).signers == who("n.example")


async def test_a_record_of_another_registrar_is_not_taken(home: Commons) -> None:
    async with home.open():
        with pytest.raises(DocumentRefused):
            await home.house.signed(seal_member(member("a.example"), [key("table")]))


def quoted(name: str) -> str:
    return who(name)[0]
