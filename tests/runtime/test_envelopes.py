"""Signed envelopes: what is asked in them is done on the word of their signers alone, and once (rule R18)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

import pytest

from clearinghouse.clearing.cases import Case, CaseState, RevocationKind
from clearinghouse.clearing.envelope import (
    REQUEST,
    Asked,
    MalformedEnvelope,
    Replayed,
    StaleEnvelope,
    WrongAudience,
    seal,
    written,
)
from clearinghouse.clearing.people import AlreadyApproved, Changed, NoSuchThing, NotEntitled, Ruling, WrongCase
from clearinghouse.errors import BadSignature, StoreUnavailable
from clearinghouse.keynote import admit
from clearinghouse.storage.changes import Change, EnvelopeSeen
from clearinghouse.storage.memory import MemoryStore
from tests.runtime.chamber import ANN, BEA, EVE, Chamber
from tests.world import INCIDENTS, NOON, key, signed, who

_numbers = count()
MINUTES = timedelta(minutes=3)
NEW = signed("hub", "xmpp-member:c.example", 'domain == "c.example" && jid ~= "@c.example$"')


def envelope(kind: str, body: Mapping[str, str], *signers: str, audience: str = "csirt-net", nonce: str = "") -> bytes:
    """Return an envelope that the keys of *signers* signed at noon."""
    nonce = nonce or f"nonce-{next(_numbers):016d}"
    return seal(written(Asked(kind, audience, nonce, NOON, NOON + MINUTES, body)), REQUEST, [key(name) for name in signers])


def approving(case: Case, **more: str) -> dict[str, str]:
    return {"case": case.id, "shown": case.digest(), "subject": case.subject, "topic": case.topic, **more}


@dataclass
class Failing(MemoryStore):
    """A store that cannot write what remembers an envelope while it is full."""

    full: bool = False

    async def write(self, *changes: Change) -> None:
        if self.full and any(isinstance(each, EnvelopeSeen) for each in changes):
            raise StoreUnavailable("the disk is full", mend="make room")
        await super().write(*changes)


@pytest.fixture
async def chamber() -> Chamber:
    return await Chamber().open()


async def test_a_signed_approval_counts(chamber: Chamber) -> None:
    case = await chamber.waiting()
    raw = envelope("approve", approving(case, seconds="3600"), "op")
    ruling = await chamber.office.submit(raw)
    assert isinstance(ruling, Ruling)
    assert ruling.decision is not None
    assert ruling.decision.until == NOON + timedelta(hours=1)
    (approval,) = ruling.case.approvals
    assert (approval.person, approval.principals, approval.envelope) == ("op", (who("op"),), raw)


async def test_several_signers_are_as_many_persons_and_no_more(chamber: Chamber) -> None:
    """R3: three keys signed, two persons did."""
    case = await chamber.waiting(to="restricted")
    alone = await chamber.office.submit(envelope("approve", approving(case), "deputy", "deputy-2"))
    assert isinstance(alone, Ruling)
    assert (alone.decision, len(alone.case.approvals)) == (None, 1)
    other = await chamber.waiting(BEA, "restricted")
    both = await chamber.office.submit(envelope("approve", approving(other), "deputy", "op", "deputy-2"))
    assert isinstance(both, Ruling)
    assert both.decision is not None
    assert [each.person for each in both.case.approvals] == ["deputy", "op"]


async def test_with_a_signer_who_may_not_approve_nothing_is_counted(chamber: Chamber) -> None:
    case = await chamber.waiting()
    with pytest.raises((NotEntitled, NoSuchThing)):
        await chamber.office.submit(envelope("approve", approving(case), "op", "root-a"))
    assert chamber.books.cases[case.id].approvals == ()


async def test_an_envelope_is_taken_once(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    raw = envelope("approve", approving(case), "op")
    await chamber.office.submit(raw)
    with pytest.raises(Replayed):
        await chamber.office.submit(raw)
    again = await chamber.restarted()
    with pytest.raises(Replayed):
        await again.office.submit(raw)


async def test_a_signature_more_makes_no_new_envelope(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    body = approving(case)
    await chamber.office.submit(envelope("approve", body, "op", nonce="the-same-nonce-always"))
    with pytest.raises(Replayed):
        await chamber.office.submit(envelope("approve", body, "op", "deputy", nonce="the-same-nonce-always"))


async def test_of_one_envelope_submitted_twice_at_once_one_counts(chamber: Chamber) -> None:
    grant = await chamber.holding()
    raw = envelope("revoke", {"what": "holder", "name": f"{EVE} {INCIDENTS}"}, "op")
    both = await asyncio.gather(*(chamber.office.submit(raw) for _ in range(2)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in both) == ["Changed", "Replayed"]
    assert chamber.books.held() == [grant]


async def test_what_was_not_written_may_come_again() -> None:
    """Nothing was done, so nothing is remembered: the sender tries again with the same envelope."""
    store = Failing()
    chamber = await Chamber(store).open()
    case = await chamber.waiting()
    raw = envelope("approve", approving(case), "op")
    store.full = True
    with pytest.raises(StoreUnavailable):
        await chamber.office.submit(raw)
    store.full = False
    ruling = await chamber.office.submit(raw)
    assert isinstance(ruling, Ruling)
    assert ruling.decision is not None


async def test_an_envelope_for_somebody_else_or_of_yesterday_is_refused(chamber: Chamber) -> None:
    case = await chamber.waiting()
    with pytest.raises(WrongAudience):
        await chamber.office.submit(envelope("approve", approving(case), "op", audience="other-net"))
    raw = envelope("approve", approving(case), "op")
    chamber.sleep(minutes=3)
    with pytest.raises(StaleEnvelope):
        await chamber.office.submit(raw)


async def test_a_tampered_envelope_is_refused(chamber: Chamber) -> None:
    case, other = await chamber.waiting(), await chamber.waiting(BEA)
    raw = envelope("approve", approving(case), "op")
    with pytest.raises((BadSignature, MalformedEnvelope)):
        await chamber.office.submit(raw.replace(raw[14:20], b"AAAAAA", 1))
    assert not chamber.books.cases[other.id].approvals


@pytest.mark.parametrize("wrong", [{"subject": BEA}, {"topic": "restricted"}, {"shown": "0" * 64}, {"shown": ""}])
async def test_an_approval_with_another_subject_topic_or_content_is_refused(chamber: Chamber, wrong: Mapping[str, str]) -> None:
    case = await chamber.waiting()
    with pytest.raises(WrongCase):
        await chamber.office.submit(envelope("approve", {**approving(case), **wrong}, "op"))
    assert chamber.books.cases[case.id].approvals == ()


@pytest.mark.parametrize(
    "kind, body",
    [
        ("approve", {"case": "1"}),
        ("deny", {"case": "1", "more": "x"}),
        ("unheard-of", {}),
        ("revoke", {"what": "everything", "name": "x"}),
        ("end-grant", {"grant": "1", "may-ask-again": "perhaps"}),
        ("approve", {"case": "1", "shown": "", "subject": "", "topic": "", "seconds": "-1"}),
    ],
)
async def test_what_an_envelope_cannot_say_is_refused(chamber: Chamber, kind: str, body: dict[str, str]) -> None:
    if "seconds" in body:
        case = await chamber.waiting()
        body = {**approving(case), "seconds": body["seconds"]}
    with pytest.raises(MalformedEnvelope):
        await chamber.office.submit(envelope(kind, body, "op"))


async def test_every_kind_of_act_can_be_signed(chamber: Chamber) -> None:
    denied, grant = await chamber.waiting(BEA), await chamber.holding()
    ruling = await chamber.office.submit(envelope("deny", {"case": denied.id, "reason": "no"}, "op"))
    assert isinstance(ruling, Ruling)
    assert ruling.case.state is CaseState.DENIED
    ended = await chamber.office.submit(envelope("end-grant", {"grant": grant.id, "may-ask-again": "yes"}, "op"))
    assert isinstance(ended, Changed)
    assert ended.names == (grant.id,)
    bar = envelope("revoke", {"what": RevocationKind.HOLDER.value, "name": f"{ANN} {INCIDENTS}", "reason": "why"}, "op")
    assert isinstance(await chamber.office.submit(bar), Changed)
    (revocation,) = chamber.books.revocations.values()
    assert isinstance(await chamber.office.submit(envelope("lift", {"revocation": revocation.id}, "op")), Changed)
    assert chamber.books.barred(ANN, INCIDENTS) is None
    added = await chamber.office.submit(envelope("credential-add", {"credential": NEW.decode()}, "root-a", "root-b"))
    assert isinstance(added, Changed)
    assert list(chamber.books.credentials) == [admit(NEW).name]
    assert chamber.books.credentials[admit(NEW).name].by == "root-a, root-b"
    await chamber.office.submit(envelope("credential-withdraw", {"credential": admit(NEW).name}, "root-a", "root-b"))
    assert not chamber.books.credentials
    await chamber.office.submit(envelope("revoke", {"what": "principal", "name": who("op")}, "root-a", "root-b"))
    with pytest.raises((NotEntitled, NoSuchThing)):
        await chamber.office.submit(envelope("lift", {"revocation": revocation.id}, "op"))


async def test_whoever_signs_alone_administers_nothing(chamber: Chamber) -> None:
    for signers in (("root-a",), ("root-a", "op")):
        with pytest.raises(NotEntitled):
            await chamber.office.submit(envelope("credential-add", {"credential": NEW.decode()}, *signers))


async def test_who_approved_with_a_jid_has_approved(chamber: Chamber) -> None:
    case = await chamber.waiting(to="restricted")
    await chamber.office.submit(envelope("approve", approving(case), "op"))
    with pytest.raises(AlreadyApproved):
        await chamber.office.submit(envelope("approve", approving(replace(case)), "op"))
