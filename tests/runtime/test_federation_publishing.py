"""What a clearinghouse with a federation publishes, as an agent finds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.errors import StoreUnavailable
from clearinghouse.federation.published.documents import table_name
from clearinghouse.federation.roles.ceremonies import Keyholders
from clearinghouse.federation.trust.trusted import Standing
from clearinghouse.settings import Settings
from clearinghouse.storage.changes import Change, Published
from clearinghouse.storage.memory import MemoryStore
from clearinghouse.storage.store import Store
from tests import presses
from tests.commons import Commons, commons, op
from tests.presses import who
from tests.runtime.house import until
from tests.world import assertion


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    return commons(tmp_path)


async def kinds(home: Commons) -> list[str]:
    return [each.entry.kind.value for each in await home.service.store.entries(0, 99)]


async def test_members_have_their_levels_in_a_signed_table_over_http(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example", "b.example", "c.example", "d.example")
        await home.settled({"a.example": "level-1", "b.example": "level-2", "d.example": "level-3"})
        trusted = home.trusted()
        assert trusted.rows == home.rows()
        assert set(trusted.members) == {"a.example", "b.example", "c.example", "d.example"}
        assert trusted.standing(home.now) is Standing.FRESH
        async with home.client() as client:
            for name, document in home.house.shelf.documents.items():
                answer = await client.get(f"/v1/documents/{name}", headers=home.reads("a.example"))
                assert (answer.status_code, answer.content) == (200, document.body)
        assert {"member", "table"} <= set(await kinds(home))


async def test_a_change_of_policy_a_revocation_and_a_removal_change_the_table_at_once(home: Commons) -> None:
    async with home.open() as service:
        await home.enrols("a.example", "d.example")
        await home.settled({"a.example": "level-1", "d.example": "level-3"})
        home.write("policies/federate/more.kn", assertion("POLICY", "xmpp:a.example", 'from_domain == "a.example"', "level-3"))
        service.reload.set()
        await home.settled({"a.example": "level-3", "d.example": "level-3"})
        await service.beliefs.refresh()
        home.write("policies/people/keys.kn", assertion("POLICY", "{unix:op}", 'operation == "administer"'))
        service.reload.set()
        await until(lambda: service.hall.rights.may(op(), "administer"))
        await service.hall.office.revoke(op(), RevocationKind.PRINCIPAL, who("d.example")[0])
        await home.settled({"a.example": "level-3"})
        await until(lambda: who("d.example")[0] in home.trusted().revocations.principals)  # type: ignore[union-attr]
        await home.house.enrol(op(), "remove", {"domain": "a.example"})
        await home.settled({})


async def test_a_date_in_a_condition_changes_the_table_at_that_second(home: Commons) -> None:
    until_noon = assertion("POLICY", "xmpp:c.example", 'from_domain == "c.example" && time < "20261120130000"', "level-1")
    home.write("policies/federate/late.kn", until_noon)
    async with home.open():
        await home.enrols("c.example")
        await home.settled({"c.example": "level-1"})
        assert home.house.press.next_due(home.now) <= home.now + timedelta(hours=1)
        assert home.house.press.views[EVERYTHING].stable_until == home.now + timedelta(hours=1)
        home.sleep(minutes=59, seconds=59)
        await until(lambda: home.timestamp_at() == home.now)
        assert home.rows() == {"c.example": "level-1"}
        home.sleep(seconds=1)
        await home.settled({})


async def test_the_timestamp_is_signed_anew_and_the_table_only_when_it_grows_old(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        version = home.version()
        home.sleep(minutes=2)
        await home.looked()
        first = home.timestamp_at()
        home.sleep(minutes=2)
        await until(lambda: home.timestamp_at() > first)
        assert home.version() == version
        home.sleep(days=4)
        await until(lambda: home.version() == version + 1)
        assert home.trusted().rows == {"a.example": "level-1"}


async def test_versions_go_on_after_a_restart_and_an_unchanged_table_is_not_made_again(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        version, table = home.version(), home.house.shelf.documents[table_name("*", home.version())].body
    home.now += timedelta(minutes=1)
    async with home.open():
        await until(lambda: home.timestamp_at() == home.now)
        assert home.house.shelf.documents[table_name("*", version)].body == table
        await home.enrols("b.example")
        await until(lambda: home.version() == version + 1)
        assert home.trusted().rows == {"a.example": "level-1", "b.example": "level-2"}


async def test_a_view_has_the_rows_that_its_audience_may_see(home: Commons) -> None:
    home.text = home.text.replace("views = []", 'views = ["b.example"]')
    pair = assertion("POLICY", "xmpp:c.example", 'from_domain == "c.example" && to_domain == "b.example"', "level-2")
    home.write("policies/federate/pair.kn", pair)
    async with home.open():
        await home.enrols("a.example", "b.example", "c.example")
        await home.settled({"a.example": "level-1", "b.example": "level-2"})
        await home.settled({"a.example": "level-1", "b.example": "level-2", "c.example": "level-2"}, "b.example")
        assert home.trusted("b.example").rows == home.rows("b.example")
        async with home.client() as client:
            statuses = [
                (await client.get("/v1/documents/b.example/timestamp", headers=home.reads(name, name))).status_code
                for name in ("b.example", "a.example")
            ]
        assert statuses == [200, 404]


async def test_each_member_has_a_view_while_it_is_one_unless_the_settings_name_others(home: Commons) -> None:
    home.text = home.text.replace("views = []\n", "")
    async with home.open():
        await home.enrols("a.example", "b.example")
        await home.settled({"a.example": "level-1", "b.example": "level-2"})
        await until(lambda: set(home.house.press.views) == {"*", "a.example", "b.example"})
        await home.looked()
        assert home.trusted("a.example").rows == home.trusted().rows
        await home.house.enrol(op(), "remove", {"domain": "a.example"})
        await until(lambda: set(home.house.press.views) == {"*", "b.example"})
        assert not any(name.startswith("a.example/") for name in home.house.shelf.documents)
    async with home.open():
        assert set(home.house.press.views) == {"*", "b.example"}


async def test_several_keys_sign_a_table_where_the_root_wants_several(home: Commons) -> None:
    several = Keyholders(who("t1", "t2", "t3"), 2)
    home.write("root/1.json", presses.sealed(presses.made(presses.plan(table=several))))
    home.signers = {"table": ("t1", "t3")}
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        assert home.trusted(pin=presses.pin_of(presses.made(presses.plan(table=several)))).rows == {"a.example": "level-1"}


async def test_a_table_that_too_few_have_signed_is_not_published(home: Commons) -> None:
    home.write("root/1.json", presses.sealed(presses.made(presses.plan(table=Keyholders(who("t1", "t2", "t3"), 2)))))
    home.signers = {"table": ("t1",)}
    async with home.open(published=False):
        await until(lambda: home.problem() == "too-few-signers")
        assert home.house.shelf.timestamp(EVERYTHING) is None
    home.signers = {"table": ("t1", "t2")}
    async with home.open():
        assert home.version() > 0


async def test_a_new_root_is_adopted_and_a_new_epoch_begins_anew(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        home.write("root/2.json", presses.sealed(presses.made(presses.plan(2))))
        home.house.press.wake()
        await until(lambda: home.house.shelf.get("root/2") is not None)
        assert "root-adopted" in [each.kind for each in await home.service.store.events(50)]
    home.write("root/3.json", presses.sealed(presses.made(presses.plan(3, epoch=2))))
    home.text = home.text.replace("[federation]", "[federation]\nepoch = 2")
    home.now += timedelta(minutes=1)
    async with home.open():
        await until(lambda: home.version() == 1)
        assert home.trusted().rows == {"a.example": "level-1"}


async def test_without_root_metadata_or_in_another_epoch_nothing_is_published_and_it_is_said(home: Commons) -> None:
    (home.directory / "root/1.json").unlink()
    async with home.open(published=False):
        await until(lambda: home.problem() == "no-root")
        assert not home.house.shelf.documents
    home.write("root/1.json", presses.sealed(presses.made(presses.plan())))
    home.text = home.text.replace("[federation]", "[federation]\nepoch = 2")
    async with home.open(published=False):
        await until(lambda: home.problem() == "bad-settings")
        assert home.house.shelf.timestamp(EVERYTHING) is None


async def test_what_the_revoker_signed_by_hand_is_published_as_it_is(home: Commons) -> None:
    home.text = home.text.replace('[revoker]\nkey_file = "revoker.key"\n', "")
    async with home.open(published=False):
        await until(lambda: home.problem() == "no-revocations")
        press = presses.Press()
        home.write("root/revocations-1.json", press.documents["revocations/1"])
        home.house.press.wake()
        await until(lambda: home.house.shelf.timestamp(EVERYTHING) is not None)
        assert home.house.shelf.documents["revocations/1"].body == press.documents["revocations/1"]
        assert home.trusted().revocations is not None


async def test_what_was_revoked_stays_revoked_whoever_signs_the_next_set(home: Commons) -> None:
    by_hand = home.text.replace('[revoker]\nkey_file = "revoker.key"\n', "")
    online, home.text = home.text, by_hand
    press = presses.Press()
    press.revokes(*who("eve"))
    home.write("root/revocations-2.json", press.documents["revocations/2"])
    async with home.open():
        assert home.revoked() == who("eve")
        shorter = presses.Press()
        shorter.revokes()
        shorter.revokes()
        home.write("root/revocations-3.json", shorter.documents["revocations/3"])
        home.house.press.wake()
        await home.looked()
        assert home.revoked() == who("eve")
    home.text = online
    async with home.open():
        await home.looked()
        assert home.revoked() == who("eve")
        assert home.trusted().revocations is not None


async def test_a_version_that_could_not_be_kept_is_not_given_twice(home: Commons) -> None:
    kept = Full()
    home.store_of = kept.opened
    async with home.open():
        await home.enrols("a.example")
        await home.settled({"a.example": "level-1"})
        version = home.version()
        kept.full = True
        home.write("policies/federate/more.kn", assertion("POLICY", "xmpp:a.example", 'from_domain == "a.example"', "level-3"))
        home.service.reload.set()
        await until(lambda: home.problem() == "store-unavailable")
        kept.full = False
        await home.settled({"a.example": "level-3"})
        assert home.version() > version + 1
        assert home.trusted().rows == {"a.example": "level-3"}


class Full(MemoryStore):
    """A store whose disk is full when the test says so, for what a federation publishes."""

    full = False

    async def write(self, *changes: Change) -> None:
        if self.full and any(isinstance(each, Published) for each in changes):
            raise StoreUnavailable("the disk is full", mend="make room")
        await super().write(*changes)

    @asynccontextmanager
    async def opened(self, _: Settings, __: object) -> AsyncIterator[Store]:
        yield self
