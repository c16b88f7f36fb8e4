"""The paper's requests, signed and sent to the target's agent: what is granted opens exactly that, for its time, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.soundness import Reason
from clearinghouse.cli.scenario_file import Scenario, read_scenarios
from clearinghouse.demo.keys import demonstration_key
from clearinghouse.errors import PeerError, StoreUnavailable
from clearinghouse.federation.enforced.image import Grant, Image
from clearinghouse.keynote import admit
from clearinghouse.storage.changes import Change
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.memory import MemoryStore
from tests.targets import HOST, ROOT, Records, Target, gone, of_folder, paper, run_on
from tests.world import NOON

JANUARY = datetime(2010, 1, 15, 12, tzinfo=UTC)
BOB = {**HOST, "Username": "Bob", "PacketType": "message"}
WIDE = f"""
Authorizer: "POLICY"
Licensees: "{demonstration_key("TargetAdmin").principal}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "partner.example"
  && Server_IP_Address ~= "^192[.]168[.]41[.][0-9]+$" -> "allow";
"""
AUDITED = {
    **HOST,
    "XMPP_TLS_for_s2s": "required",
    "XMPP_SRTP_for_video": "required",
    "XMPP_Sanza_byte_size_limit": "25000",
    "XMPP_Publish_Suscribe_Service": "disabled",
    "Ingress_IP_Filtering": "enabled",
    "Third_Party_DOS_Mitigation_OK": "true",
}


def passes(target: Target, user: str, *, kind: int = 1, address: str = "192.168.40.55") -> bool:
    """Say whether a stanza of *user* comes in, as a server module computes it."""
    image = Image("target.example", 1, ("target.example",), {}, {}, target.live())
    return bool(image.mask(user.rpartition("@")[2], now=int(target.now.timestamp()), user=user, address=address) & kind)


# -- section III: the white-list ----------------------------------------------------------------------------


async def test_the_administrator_alone_lets_a_server_in(tmp_path: Path) -> None:
    """III.B: no credentials, every user, every packet, from that address."""
    target = await paper(tmp_path, 3, NOON).open()
    assert (await target.ask({**HOST, "Server_IP_Address": "192.168.40.50"}, "TargetAdmin", seconds=60)).granted
    assert [(each.user, each.mask, each.address) for each in target.live()] == [("*", 255, "192.168.40.50")]
    assert passes(target, "bob@partner.example", address="192.168.40.50")
    assert not passes(target, "bob@partner.example", address="192.168.40.51")


async def test_a_partners_administrator_with_the_credential(tmp_path: Path) -> None:
    """III.C: Alice, for her server alone."""
    target = await paper(tmp_path, 3, NOON).open()
    alice = of_folder("paper-section-3", "alice")
    assert (await target.ask(HOST, "Alice", credentials=alice, seconds=60)).granted
    other = await target.ask({**HOST, "Server_IP_Address": "192.168.40.56"}, "Alice", credentials=alice)
    assert (other.outcome, other.code) == ("refused", "refused")
    assert (await target.ask(HOST, "Alice")).code == "refused"
    assert len(target.live()) == 1


async def test_one_user_with_his_own_request(tmp_path: Path) -> None:
    """III.D: Bob's messages pass for an hour, nobody else's do, and no other packets of his."""
    target = await paper(tmp_path, 3, JANUARY).open()
    answer = await target.ask(BOB, "Bob", credentials=of_folder("paper-section-3"), seconds=3600)
    until = JANUARY + timedelta(hours=1)
    assert (answer.outcome, answer.value, answer.until) == ("granted", "allow", until)
    opened = Grant(answer.id, "partner.example", int(until.timestamp()), "bob@partner.example", "*", 0x11, "192.168.40.55", answer.id)
    assert target.live() == (opened,)
    assert passes(target, "bob@partner.example")
    assert not passes(target, "bob@partner.example", kind=2)
    assert not passes(target, "carol@partner.example")
    target.sleep(minutes=59, seconds=59)
    assert passes(target, "bob@partner.example")
    target.sleep(seconds=1)
    assert target.live() == ()


async def test_a_grant_ends_with_the_credential_that_carries_it(tmp_path: Path) -> None:
    """III.D: asked for a month, on the last day but one of Bob's credential."""
    target = await paper(tmp_path, 3, datetime(2010, 1, 31, 12, tzinfo=UTC)).open()
    answer = await target.ask(BOB, "Bob", credentials=of_folder("paper-section-3"), seconds=30 * 86_400)
    assert answer.until == datetime(2010, 2, 2, tzinfo=UTC)
    target.now = datetime(2010, 2, 1, 23, 59, 59, tzinfo=UTC)
    assert passes(target, "bob@partner.example")
    target.now = datetime(2010, 2, 2, tzinfo=UTC)
    assert not passes(target, "bob@partner.example")
    await target.grants.review(every=False)
    assert target.grants.active() == ()


# -- sections IV and V: audits and roles ------------------------------------------------------------------------


async def test_an_audited_server(tmp_path: Path) -> None:
    """IV: the consultant's audit carries Bob's request, and not one that claims more than was audited."""
    target = await paper(tmp_path, 4, NOON).open()
    chain = of_folder("paper-section-4")
    assert (await target.ask(AUDITED, "Bob", credentials=chain, seconds=60)).granted
    assert not (await target.ask({**AUDITED, "XMPP_Multi_User_Chat": "disabled"}, "Bob", credentials=chain)).granted
    assert not (await target.ask(HOST, "Bob", credentials=chain)).granted
    assert len(target.live()) == 1


async def test_business_roles(tmp_path: Path) -> None:
    """V: a customer's user, through a chain of five; not as a partner."""
    target = await paper(tmp_path, 5, NOON).open()
    chain, claims = of_folder("paper-section-5"), {**HOST, "domain": "customer.example", "role": "c2b"}
    assert (await target.ask(claims, "Bob", credentials=chain, seconds=60)).granted
    assert not (await target.ask({**claims, "role": "b2b"}, "Bob", credentials=chain)).granted
    assert [each.remote for each in target.live()] == ["customer.example"]


# -- every scenario of the examples, through the agent ------------------------------------------------------------

FILES = [ROOT / f"policies/paper-section-{number}/scenarios.toml" for number in (3, 4, 5)]
CASES = [(path, each) for path in FILES for each in read_scenarios(path).scenarios if each.request.operation == "whitelist"]


@pytest.mark.parametrize("path,scenario", CASES, ids=[f"{path.parent.name[-1]}: {each.note}" for path, each in CASES])
async def test_the_agent_answers_as_the_example_wants(path: Path, scenario: Scenario, tmp_path: Path) -> None:
    """What is refused before policy is asked, because no server could be told it, is refused all the same."""
    section, asked = int(path.parent.name[-1]), scenario.request
    target = await paper(tmp_path, section, asked.now).open(alone=False)
    withdrawn = [admit((path.parent / each).read_bytes()).name for each in scenario.store.withdrawn]
    names = read_scenarios(path).principals
    await target.believe(
        Records(revocations=gone(credentials=tuple(withdrawn), principals=tuple(names[each] for each in scenario.store.revoked)))
    )
    try:
        outcome = (await run_on(target, path.parent, asked)).outcome
    except PeerError:
        outcome = "refused"
    assert outcome == scenario.want.outcome
    assert bool(target.live()) == (scenario.want.outcome == "granted")


# -- what becomes of a grant ----------------------------------------------------------------------------------------


async def test_a_grant_is_withdrawn_when_policy_goes(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    await target.ask(HOST, "TargetAdmin", seconds=3600)
    target.policy("")
    await target.authority.load()
    await target.grants.review()
    assert target.live() == ()
    [ended] = await target.store.grants(9, ended=True)
    assert ended.why is not None
    assert ended.why.code == "no-longer-granted"


async def test_what_a_revocation_takes_away_is_withdrawn(tmp_path: Path) -> None:
    """R15: the set that came with the tables names Alice's key; Bob hangs below it."""
    target = await paper(tmp_path, 3, JANUARY).open(alone=False)
    await target.believe(Records())
    await target.ask(BOB, "Bob", credentials=of_folder("paper-section-3"), seconds=3600)
    assert passes(target, "bob@partner.example")
    alice = read_scenarios(FILES[0]).principals["Alice"]
    await target.believe(Records(revocations=gone(principals=(alice,))))
    assert target.live() == ()


async def test_the_same_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    first = await target.ask(HOST, "TargetAdmin", seconds=60)
    second = await target.ask(HOST, "TargetAdmin", seconds=600)
    assert [each.id for each in target.live()] == [second.id]
    ended = await target.store.grant(first.id)
    assert ended is not None
    assert ended.why is not None
    assert ended.why.code == "superseded"


async def test_after_a_crash_what_holds_is_restored_and_what_has_ended_never_comes_back(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    await target.ask(HOST, "TargetAdmin", seconds=60)
    kept = await target.ask({**HOST, "Server_IP_Address": "192.168.40.51"}, "TargetAdmin", seconds=600)
    target.sleep(seconds=61)
    await target.open()
    assert [each.id for each in target.live()] == [kept.id]
    target.sleep(seconds=-60)
    assert target.live() == (), "R17: the clock is behind what was recorded"
    target.sleep(seconds=60)
    assert [each.id for each in target.live()] == [kept.id]


async def test_after_a_crash_policy_is_asked_again(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    await target.ask(HOST, "TargetAdmin", seconds=600)
    target.policy("")
    await target.open()
    assert target.live() == ()


async def test_after_a_crash_nothing_counts_before_it_is_known_what_is_revoked(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open(alone=False)
    await target.believe(Records())
    answer = await target.ask(HOST, "TargetAdmin", seconds=600)
    await target.open(alone=False)
    assert target.live() == ()
    await target.believe(Records())
    assert [each.id for each in target.live()] == [answer.id]


async def test_a_date_in_a_condition_renews_what_goes_on_holding(tmp_path: Path) -> None:
    """A condition of each day: looked at again at midnight, granted still, and the server learns the new end."""
    policy = paper(tmp_path, 3, NOON).place / "policies/whitelist/own.kn"
    days = 'operation == "whitelist" && (date == "20261120" || date == "20261121") &&'
    policy.write_text(policy.read_text().replace('operation == "whitelist" &&', days))
    target = await Target(tmp_path, NOON).open()
    answer = await target.ask(HOST, "TargetAdmin", seconds=10 * 86_400)
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    assert answer.until == midnight
    target.now, told = midnight, target.told
    assert target.live() == (), "until it was looked at"
    await target.grants.review(every=False)
    assert [each.until for each in target.live()] == [int((midnight + timedelta(days=1)).timestamp())]
    assert target.told > told
    target.now = midnight + timedelta(days=1)
    await target.grants.review(every=False)
    assert target.grants.active() == ()


async def test_people_end_a_grant(tmp_path: Path) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    answer = await target.ask(HOST, "TargetAdmin", seconds=600)
    ended = await target.grants.end(answer.id[:9], Reason("ended", "by its people"))
    assert ended.id == answer.id
    assert target.live() == ()


class FullDisk(MemoryStore):
    """A store that takes nothing once ``full`` is set."""

    full = False

    async def write(self, *changes: Change) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full", mend="make room")
        await super().write(*changes)


async def test_what_has_to_end_counts_no_more_though_the_disk_is_full(tmp_path: Path) -> None:
    """And nothing new is granted, until there is room."""
    target, disk = paper(tmp_path, 3, NOON), FullDisk()
    target.store = disk
    await target.open()
    await target.ask(HOST, "TargetAdmin", seconds=600)
    disk.full = True
    with pytest.raises(StoreUnavailable):
        await target.ask({**HOST, "Server_IP_Address": "192.168.40.51"}, "TargetAdmin", seconds=600)
    assert len(target.live()) == 1
    target.authority.desk.snapshot = Holdings().snapshot
    with pytest.raises(StoreUnavailable):
        await target.grants.review()
    assert target.live() == ()
    disk.full = False
    assert (await target.ask(HOST, "TargetAdmin", seconds=600)).outcome == "refused"


async def test_many_grants_end_in_a_few_transactions(tmp_path: Path) -> None:
    target = paper(tmp_path, 3, NOON).policy(WIDE)
    await target.open()
    target.grants.most_each = 1_000
    for number in range(150):
        await target.ask({**HOST, "Server_IP_Address": f"192.168.41.{number}"}, "TargetAdmin", seconds=600)
    told = target.told
    target.policy("")
    await target.authority.load()
    await target.grants.review()
    assert target.live() == ()
    assert target.told - told <= 10
    assert len(await target.store.grants(1_000, ended=True)) == 150
