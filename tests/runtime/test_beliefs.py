"""What is believed: folders, with what was added at run time and less what was revoked, archived before it counts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clearinghouse.clearing.cases import Revocation, RevocationKind
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.people import KeptCredential
from clearinghouse.errors import StoreUnavailable
from clearinghouse.keynote import admit
from clearinghouse.runtime.standing.beliefs import Supposed
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.changes import CredentialAdded, CredentialWithdrawn, Revoked
from clearinghouse.storage.memory import MemoryStore
from tests.runtime.chamber import CREDENTIALS, Chamber
from tests.world import NOON, signed, who

EVA = "eva@c.example"
NEW = signed("hub", f"xmpp:{EVA}", 'jid ~= "^[^@]+@c.example$"')
NEW_ID = admit(NEW).name


def added(raw: bytes = NEW, identity: str = NEW_ID) -> CredentialAdded:
    return CredentialAdded(identity, raw, "root", NOON)


def revocation(kind: RevocationKind, name: str) -> Revocation:
    return Revocation("r1", NOON, kind, name, "root")


@dataclass
class Full(MemoryStore):
    """A store that keeps no snapshot when it is full."""

    full: bool = False

    async def archive(self, archive: Archive, *, at: object) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full", mend="make room")
        await super().archive(archive, at=at)  # type: ignore[arg-type]


@pytest.fixture
async def chamber() -> Chamber:
    return await Chamber().open()


async def test_a_credential_added_at_run_time_counts_like_one_of_a_folder(chamber: Chamber) -> None:
    assert (await chamber.asks(EVA)).outcome is Outcome.REFUSED
    await chamber.books.write(added())
    await chamber.beliefs.refresh()
    assert (await chamber.asks(EVA)).outcome is Outcome.PENDING
    await chamber.books.write(CredentialWithdrawn(NEW_ID, "root", NOON))
    await chamber.beliefs.refresh()
    assert (await chamber.asks(EVA)).outcome is Outcome.REFUSED


async def test_a_bad_credential_is_named_and_keeps_no_other_from_counting(chamber: Chamber) -> None:
    await chamber.books.write(added(NEW.replace(b"c.example", b"d.example"), "ff" * 32), added())
    await chamber.beliefs.refresh()
    assert {name: error.code for name, error in chamber.beliefs.left_out.items()} == {"ff" * 32: "bad-signature"}
    assert (await chamber.asks(EVA)).outcome is Outcome.PENDING


@pytest.mark.parametrize(
    "kind, name",
    [
        (RevocationKind.CREDENTIAL, admit(CREDENTIALS[0]).name),
        (RevocationKind.PRINCIPAL, "xmpp-member:a.example"),
        (RevocationKind.PRINCIPAL, who("hub")),
        (RevocationKind.BELOW, who("hub")),
    ],
)
async def test_what_is_revoked_is_taken_away_and_stays_away(chamber: Chamber, kind: RevocationKind, name: str) -> None:
    await chamber.books.write(Revoked(revocation(kind, name)))
    await chamber.beliefs.refresh()
    assert (await chamber.asks()).outcome is Outcome.REFUSED
    chamber.credentials.append(CREDENTIALS[0] + b"\nwhat stands after the signature is not signed\n")
    again = await chamber.restarted()
    assert (await again.asks()).outcome is Outcome.REFUSED


async def test_every_snapshot_that_counts_is_archived_first(chamber: Chamber) -> None:
    versions = [chamber.desk.snapshot.version]
    await chamber.books.write(added(), Revoked(revocation(RevocationKind.PRINCIPAL, who("root-a"))))
    await chamber.beliefs.refresh()
    versions.append(chamber.desk.snapshot.version)
    assert len(set(versions)) == 2
    for version in versions:
        archive = await chamber.store.archived(version)
        assert archive is not None
        assert archive.holdings().snapshot.version == version


async def test_what_cannot_be_archived_is_not_believed() -> None:
    store = Full()
    chamber = await Chamber(store).open()
    before, heard = chamber.desk.snapshot, list[str]()
    chamber.beliefs.heard.append(lambda: heard.append("told"))
    await chamber.books.write(added())
    store.full = True
    with pytest.raises(StoreUnavailable):
        await chamber.beliefs.refresh()
    assert chamber.desk.snapshot is before
    assert not heard
    store.full = False
    await chamber.beliefs.refresh()
    assert heard == ["told"]


async def test_who_listens_is_told_of_changes_alone(chamber: Chamber) -> None:
    heard: list[str] = []
    chamber.beliefs.heard.append(lambda: heard.append(chamber.desk.snapshot.version))
    await chamber.beliefs.refresh()
    await chamber.believe()
    assert heard == []
    await chamber.books.write(added())
    await chamber.beliefs.refresh()
    assert heard == [chamber.desk.snapshot.version]


async def test_what_is_supposed_is_kept_nowhere(chamber: Chamber) -> None:
    before = chamber.desk.snapshot
    more = KeptCredential(NEW_ID, NEW, "")
    supposed = await chamber.beliefs.supposed(Supposed((more,), revoked=(revocation(RevocationKind.PRINCIPAL, who("root-a")),)))
    assert supposed.snapshot.version != before.version
    assert NEW_ID in {each.name for each in supposed.admitted()}
    assert chamber.desk.snapshot is before
    assert await chamber.store.archived(supposed.snapshot.version) is None
    assert not chamber.books.credentials
    await chamber.books.write(added())
    await chamber.beliefs.refresh()
    less = await chamber.beliefs.supposed(Supposed(less=frozenset({NEW_ID})))
    assert less.snapshot.version == before.version
