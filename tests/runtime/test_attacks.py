"""What somebody would try who wants more than policy gives, or to keep what was taken away: each is refused (R3, R10, R15, R22)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from clearinghouse.clearing.cases import Revocation, RevocationKind
from clearinghouse.clearing.clear import Overtaken
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import AdmitMember, AdmitPublisher, ApproveSubscription
from clearinghouse.clearing.people import AlreadyApproved, NeedsSignature, NotEntitled
from clearinghouse.clearing.senders import RateLimited
from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.errors import MalformedRequest, PeerError, StoreUnavailable
from clearinghouse.grid.reception import PlatformAsked
from clearinghouse.grid.topics import SubscriptionAsked, Topic
from clearinghouse.keynote import admit
from clearinghouse.ledger.checkpoint import open_receipt
from clearinghouse.runtime.asking.questions import Asking
from clearinghouse.runtime.topics.reconcile import LEFT
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import EndCarriedOut, GrantEnded, Revoked
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Effect
from tests.runtime.chamber import ANN, ANYTHING, CREDENTIALS, OP, PERSONS, Chamber, chat, settings_of, signer
from tests.runtime.house import BEA, EVE, TOPIC, House, until
from tests.runtime.test_envelopes import NEW, envelope
from tests.world import BROKER, INCIDENTS, IODEF, assertion, key, signed, who

MADE_BY_BEA = (("xmpp-member:b.example", "ask"), ("{xmpp-member:b.example} && {desk}", "allow"))
FOLDER, ADDED = admit(CREDENTIALS[0]).name, admit(NEW).name
ROOTS = signer("root-a", "root-b")
KINDS = RevocationKind
BAR = f"{ANN} {INCIDENTS}"


@pytest.fixture
async def chamber() -> Chamber:
    return await Chamber().open()


# -- bars (R10): one node's name at two brokers


ELSEWHERE = "pubsub.other.example"


@pytest.fixture
async def twice(chamber: Chamber) -> Chamber:
    """Both brokers have a topic of the same name, each on the word of its own host."""
    comparison = chamber.office.governing.comparison
    there = Asking(replace(comparison.askings[BROKER, INCIDENTS].topic, broker=ELSEWHERE), "other.example")
    comparison.askings = {**comparison.askings, (ELSEWHERE, INCIDENTS): there}
    return chamber


async def test_on_the_word_of_one_host_nobody_is_barred_at_another(twice: Chamber) -> None:
    """A bar holds wherever a node has the name, so whoever sets it must be known at all of them."""
    grant = await twice.holding()
    for attempt in (
        twice.office.revoke(chat(), KINDS.HOLDER, BAR),
        twice.office.end_grant(chat(), grant.id),
    ):
        with pytest.raises(NeedsSignature):
            await attempt
    assert twice.books.barred(ANN, INCIDENTS) is None
    assert twice.books.held() == [grant]


async def test_on_the_word_of_one_host_no_bar_of_another_is_lifted(twice: Chamber) -> None:
    await twice.office.revoke(signer("op"), KINDS.HOLDER, BAR)
    (bar,) = twice.books.revocations
    with pytest.raises(NeedsSignature):
        await twice.office.lift(chat(), bar)
    assert twice.books.barred(ANN, INCIDENTS) is not None


async def test_a_grant_at_one_of_two_brokers_still_ends_on_its_hosts_word(twice: Chamber) -> None:
    grant = await twice.holding()
    await twice.office.end_grant(chat(), grant.id, may_ask_again=True)
    assert twice.books.held() == []


# -- bars and approvals: whichever comes first


async def test_who_is_barred_is_not_approved_before_the_review_has_looked(chamber: Chamber) -> None:
    case = await chamber.waiting()
    await chamber.office.revoke(chat(), KINDS.HOLDER, BAR)
    ruling = await chamber.office.approve(signer("op"), case.id)
    assert ruling.decision is not None
    assert (ruling.decision.outcome, ruling.decision.reason.code) == (Outcome.REFUSED, "revoked")
    assert not any(isinstance(each, ApproveSubscription) for each in chamber.broker.told)
    assert chamber.books.held() == []


async def test_what_was_approved_before_a_bar_does_not_come_back_when_it_is_lifted(chamber: Chamber) -> None:
    """The holder had left: there was no grant to end, and the approval stood."""
    grant = await chamber.holding()
    await chamber.books.write(GrantEnded(replace(grant, ended=chamber.now, why=LEFT)), EndCarriedOut((grant.id,), chamber.now))
    await chamber.office.revoke(chat(), KINDS.HOLDER, BAR)
    await chamber.office.lift(chat(), next(iter(chamber.books.revocations)))
    assert (await chamber.asks()).outcome is Outcome.PENDING


async def test_what_a_broker_was_not_told_yet_is_not_told_after_a_bar(house: House) -> None:
    """Subscribed first and cut off then, a barred platform would have what was published between."""
    async with house.open() as service:
        house.line.lose()
        async with house.platform(ANN) as ann:
            assert await ann.subscribe(TOPIC) == "pending"
            service.intake.ask(SubscriptionAsked(BROKER, TOPIC, read_subscriber(ANN)))
            await until(lambda: not service.intake.in_hand)
            (grant,) = service.books.held()
            await service.hall.office.end_grant(house.op, grant.id)
            house.line.join()
            await until(lambda: not service.books.owed_ends() and house.node.affiliation(ANN) == "outcast")
        recorded = await service.store.decision(grant.id)
        assert recorded is not None
        assert recorded.effect is Effect.DROPPED


@pytest.mark.parametrize("approves", [ApproveSubscription, AdmitMember, AdmitPublisher])
async def test_between_a_decision_on_record_and_the_broker_a_bar_is_in_time(house: House, approves: type[ApproveSubscription]) -> None:
    async with house.open() as service:
        await house.subscribed(ANN)
        (grant,) = service.books.held()
        assert grant.request.place is not None
        again = approves(grant.request.place, grant.id)
        bar = Revocation("bar", house.now, KINDS.HOLDER, f"{ANN} {TOPIC}", "op")
        await service.books.write(Revoked(bar))
        with pytest.raises(Overtaken):
            await service.desk.enforcer.carry_out(again)


# -- revocations that are written while nothing else can be


@dataclass
class Narrow(MemoryStore):
    """A disk on which a revocation finds room, and the snapshot that follows from it does not."""

    full: bool = False

    async def archive(self, archive: Archive, *, at: datetime) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full", mend="make room")
        await super().archive(archive, at=at)


async def test_a_revocation_that_could_not_be_believed_is_not_called_done_until_it_is() -> None:
    store = Narrow()
    chamber = await Chamber(store).open()
    store.full = True
    with pytest.raises(StoreUnavailable):
        await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, who("hub"))
    with pytest.raises(StoreUnavailable):
        await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, who("hub"))
    assert chamber.beliefs.stale
    store.full = False
    assert (await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, who("hub"))).done
    assert (await chamber.asks()).outcome is Outcome.REFUSED
    assert not chamber.beliefs.stale


async def test_what_could_not_be_believed_is_tried_again_by_itself(house: House) -> None:
    house.write("policies/people/roots.kn", assertion("POLICY", "2-of({root-a}, {root-b})", 'operation == "administer"'))
    async with house.open() as service:
        await house.subscribed(ANN)
        service.beliefs.store = Narrow(full=True)
        with pytest.raises(StoreUnavailable):
            await service.hall.office.revoke(ROOTS, KINDS.PRINCIPAL, who("hub"))
        service.beliefs.store = service.store
        await until(lambda: ANN not in house.node.subscribed())
        assert not service.books.held()


# -- persons, who count once


async def test_one_person_with_two_keys_does_not_administer_where_two_have_to() -> None:
    roots = ({"name": "root", "keys": (key("root-a").principal, key("root-b").principal)},)
    chamber = await Chamber(settings=settings_of(person=roots)).open()
    with pytest.raises(NotEntitled):
        await chamber.office.submit(envelope("revoke", {"what": "principal", "name": who("hub")}, "root-a", "root-b"))
    assert not chamber.books.revocations


async def test_a_chats_user_is_one_of_two_though_its_domain_is_a_principal_too() -> None:
    """Two owners have licensed one deputy: "two asked in person" is what keeps the deputy from deciding alone (R13)."""
    chamber = await Chamber().open()
    in_person = f'operation == "approve" && topic == "restricted" && {ANYTHING} && _ACTION_AUTHORIZERS ~= "^[^,]+,.+$"'
    chamber.policies = [each for each in chamber.policies if b"restricted" not in each[1] or each[0] != "people"]
    chamber.policies.append(("people", assertion("POLICY", "2-of({root-a}, {root-b})", in_person)))
    chamber.credentials += [signed(each, f"xmpp:{OP}", f'operation == "approve" && {ANYTHING}') for each in ("root-a", "root-b")]
    await chamber.believe()
    case = await chamber.waiting(to="restricted")
    assert (await chamber.office.approve(chat(), case.id)).decision is None


async def test_a_person_who_is_named_otherwise_after_a_restart_still_counts_once(chamber: Chamber) -> None:
    """R3: whose an approval is follows from its principal and the settings of today."""
    case = await chamber.waiting(to="restricted")
    await chamber.office.approve(signer("deputy"), case.id)
    renamed = tuple({**each, "name": "vice"} if each["name"] == "deputy" else each for each in PERSONS)
    chamber.settings = settings_of(person=renamed)
    after = await chamber.restarted()
    with pytest.raises(AlreadyApproved):
        await after.office.approve(replace(signer("deputy-2"), person="vice"), case.id)


# -- strangers


async def test_a_receipt_does_not_tell_a_stranger_what_there_is(house: House) -> None:
    """R22: about a topic that is there, and about one that is not, a refused platform has as much in its hands."""
    async with house.open() as service:
        there, nowhere, taken = [
            await service.doors[0].platform_asked(PlatformAsked(operation, BROKER, topic, read_subscriber(EVE), IODEF * made, receipt=True))
            for operation, topic, made in (("publish", TOPIC, 0), ("publish", "nowhere", 0), ("create", TOPIC, 1))
        ]
    for each in (there, nowhere, taken):
        assert (each.outcome, each.reason) == ("refused", "not-granted")
        receipt, _ = open_receipt(each.receipt, key("log").principal)
        assert (receipt.entry.ref, receipt.opening) == (each.id, None)


async def test_a_stranger_who_signs_has_nothing_admitted(chamber: Chamber) -> None:
    """R21: what is wrong with the credential is for those to hear who may add one."""
    for raw in (signed("eve", "mallory", "true"), b"no assertion"):
        with pytest.raises(NotEntitled):
            await chamber.office.submit(envelope("credential-add", {"credential": raw.decode()}, "eve"))


@pytest.mark.parametrize(
    "kind, there, nowhere",
    [
        ("lift", {"revocation": "{bar}"}, {"revocation": "ff"}),
        ("lift", {"revocation": "{key}"}, {"revocation": "ff"}),
        ("credential-withdraw", {"credential": FOLDER}, {"credential": "ff" * 32}),
        ("credential-withdraw", {"credential": ADDED}, {"credential": "ff" * 32}),
        ("revoke", {"what": "credential", "name": ADDED[:9]}, {"what": "credential", "name": "ff"}),
    ],
)
async def test_a_stranger_who_signs_learns_of_no_id(chamber: Chamber, kind: str, there: dict[str, str], nowhere: dict[str, str]) -> None:
    """R22: what is there, of whatever kind, and what is not are one answer."""
    await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, who("nobody"))
    await chamber.office.revoke(chat(), KINDS.HOLDER, BAR)
    await chamber.office.add_credential(ROOTS, NEW)
    key_id, bar_id = chamber.books.revocations
    codes = set()
    for body in ({name: each.format(bar=bar_id, key=key_id) for name, each in there.items()}, nowhere):
        with pytest.raises(PeerError) as caught:
            await chamber.office.submit(envelope(kind, body, "eve"))
        codes.add(caught.value.code)
    assert len(codes) == 1


async def test_envelopes_are_counted_among_what_their_bearer_asks(house: House) -> None:
    """Whoever brings them need not have signed them, and checking sixteen signatures takes long."""
    house.settings_text += "\n[rates]\neach_per_second = 1.0\neach_burst = 3.0\n"
    async with house.open() as service:
        for _ in range(3):
            service.doors[0].paced(read_subscriber(EVE))
        with pytest.raises(RateLimited):
            service.doors[0].paced(read_subscriber(f"{EVE}/other"))
        service.doors[0].paced(read_subscriber(ANN))


async def test_a_topic_that_people_let_a_platform_make_is_ours_to_rule_over(house: House) -> None:
    """Or whoever asks for it would wait, unheard, until the next start."""
    where = 'operation == "create" && topic == "feed"'
    house.write("policies/topics/feed.kn", *(assertion("POLICY", whose, where, value) for whose, value in MADE_BY_BEA))
    house.write("policies/people/feed.kn", assertion("POLICY", f"{{{OP}}}", 'operation == "approve" && topic == "feed" && subject ~= "@"'))
    async with house.open() as service:
        await service.doors[0].platform_asked(PlatformAsked("create", BROKER, "feed", read_subscriber(BEA), IODEF))
        (case,) = service.books.cases.values()
        assert (BROKER, "feed") not in service.register.askings
        await service.hall.office.approve(house.op, case.id)
        assert house.world.network.broker.nodes["feed"].affiliation(BEA) == "publisher"
        assert (BROKER, "feed") in service.register.askings
        assert "feed" in house.line.exchange.brokers[BROKER]


async def test_a_name_that_a_topic_has_at_another_broker_is_taken(house: House) -> None:
    """Policies know a topic by its node: whoever took the name elsewhere would speak to those who may read the first."""
    house.write("policies/topics/feeds.kn", assertion("POLICY", "xmpp-member:a.example", 'operation == "create" && topic ~= "^feed"'))
    async with house.open() as service:
        service.register.add(Asking(Topic(ELSEWHERE, "feed-1", IODEF), "other.example"))
        ann = read_subscriber(ANN)
        told = [await service.doors[0].platform_asked(PlatformAsked("create", BROKER, f"feed-{n}", ann, IODEF)) for n in (1, 2)]
    assert [each.outcome for each in told] == ["refused", "granted"]


# -- names


@pytest.mark.parametrize("name", ["xmpp:Ann@A.example", "xmpp:ann@a.example/home", "xmpp-member:A.example", "xmpp:\uff41nn@a.example"])
async def test_a_name_in_a_spelling_that_nobody_asks_with_is_not_called_revoked(chamber: Chamber, name: str) -> None:
    with pytest.raises(MalformedRequest):
        await chamber.office.revoke(ROOTS, KINDS.PRINCIPAL, name)
    assert not chamber.books.revocations
