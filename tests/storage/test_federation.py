"""What lasts of a federation: each test runs in memory and in SQLite."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from alembic import command

from clearinghouse.federation.membership.registry import AgentStatus, Draft, Kept, KeptMember, Source
from clearinghouse.storage.changes import DraftClosed, Drafted, MemberSet, Published, Reported
from clearinghouse.storage.database import create_engine, writing
from clearinghouse.storage.layout import alembic_config
from clearinghouse.storage.sql_store import open_store
from clearinghouse.storage.store import Store
from tests.storage.conftest import put
from tests.world import NOON

MEMBER = KeptMember("a.example", 3, b'{"sealed":"\xff"}', NOON, "op")
DRAFT = Draft("3f2a91c4", "b.example", b"{}", Source.JOIN, "ed25519-hex:00", NOON, NOON + timedelta(days=30), "a person")
STATUS = AgentStatus("a.example", NOON, {"table": "7", "error": 'full "disk"'})


async def told(store: Store) -> list[tuple[str, str, dict[str, object]]]:
    found = await store.entries(0, 99)
    return [(each.entry.kind.value, each.entry.ref, json.loads(each.record or b"")) for each in found]


async def test_everything_comes_back(store: Store) -> None:
    await store.write(MemberSet(MEMBER, "add"), Drafted(DRAFT), Published(NOON, {"a/b": b"\x00", "c": b"1"}), Reported(STATUS))
    assert await store.federation() == Kept([MEMBER], [DRAFT], {"a/b": b"\x00", "c": b"1"}, [STATUS])


async def test_a_record_a_report_and_a_document_take_the_place_of_the_one_before(store: Store) -> None:
    later = KeptMember("a.example", 4, b"{}", NOON, "op", removed=True)
    await store.write(MemberSet(MEMBER, "add"), Published(NOON, {"x": b"1", "y": b"2"}), Reported(STATUS))
    await store.write(MemberSet(later, "remove"), Published(NOON, {"x": b"3"}, ("y", "z")), Reported(AgentStatus("a.example", NOON, {})))
    found = await store.federation()
    assert (found.members, found.documents, found.agents) == ([later], {"x": b"3"}, [AgentStatus("a.example", NOON, {})])


async def test_one_draft_waits_for_each_domain(store: Store) -> None:
    other = Draft("ffff0000", "b.example", b"[]", Source.CHAT, "ann", NOON, NOON, "")
    await store.write(Drafted(DRAFT))
    await store.write(Drafted(other))
    assert (await store.federation()).drafts == [other]
    await store.write(DraftClosed("3f2a91c4", "op", "dropped", NOON))
    assert (await store.federation()).drafts == [other]
    await store.write(DraftClosed("ffff0000", "op", "dropped", NOON))
    assert (await store.federation()).drafts == []


async def test_the_log_says_what_happened_to_members_and_tables_and_nothing_of_timestamps_and_reports(store: Store) -> None:
    await store.write(MemberSet(MEMBER, "add"))
    await store.write(Drafted(DRAFT))
    await store.write(DraftClosed(DRAFT.id, "op", "signed", NOON))
    await store.write(Published(NOON, {"*": b""}, told={"head": "ab" * 32, "version": 7, "audience": "*"}))
    await store.write(Published(NOON, {"*": b"1"}), Reported(STATUS))
    found = await told(store)
    assert [kind for kind, _, _ in found] == ["member", "member", "member", "table"]
    assert [record.get("change") for _, _, record in found] == ["add", "draft", "draft-closed", None]
    assert (found[3][1], found[3][2]["version"]) == ("ab" * 32, 7)
    assert store.highest_time == NOON


async def test_a_store_from_before_federations_is_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "clearinghouse.db"
    put(path, b"", 0o600)
    engine = create_engine(path)
    async with writing(engine).begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), "0002"))
    await engine.dispose()
    async with open_store(path) as store:
        await store.write(MemberSet(MEMBER, "add"))
        assert (await store.federation()).members == [MEMBER]
