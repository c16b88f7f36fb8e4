"""R16: one broken file never freezes the others; removals always take effect; every change of policy is on record."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.errors import UnsafeFile
from clearinghouse.runtime import policy
from clearinghouse.storage.folders import FileRead
from clearinghouse.storage.holdings import Holdings, Loader
from tests.runtime.house import ANN, TOPIC, House, example, hurry, until
from tests.world import assertion

LOADER = Loader()


def text(topic: str) -> bytes:
    return assertion("POLICY", "hub", f'operation == "subscribe" && topic == "{topic}"', "allow")


def broken(topic: str) -> bytes:
    return text(topic).replace(b"->", b"=>")


def file(*pieces: bytes, name: str = "topics/a.kn") -> FileRead:
    return FileRead(name, "topics", b"\n".join(pieces))


def topics(held: Holdings) -> list[str]:
    return sorted(each.raw.decode().split('topic == "')[1].split('"')[0] for each in held.admitted())


def load(*files: FileRead, before: Holdings | None = None) -> Holdings:
    return LOADER.load(files, before or Holdings())


def test_a_broken_file_keeps_no_other_from_counting() -> None:
    held = load(file(text("one")), file(broken("two"), name="topics/b.kn"), file(text("three"), name="topics/c.kn"))
    assert topics(held) == ["one", "three"]
    assert [each.file for each in held.problems] == ["topics/b.kn"]


def test_a_broken_assertion_keeps_no_other_of_its_file_from_counting() -> None:
    assert topics(load(file(text("one"), broken("two"), text("three")))) == ["one", "three"]


def test_what_was_never_good_never_counts() -> None:
    first = load(file(broken("one")))
    assert topics(load(file(broken("other")), before=first)) == []


def test_what_was_good_before_it_broke_stays_in_use_and_that_is_said() -> None:
    before = load(file(text("one"), text("two")))
    after = load(file(text("one"), broken("changed")), before=before)
    assert topics(after) == ["one", "two"]
    [problem] = after.problems
    assert problem.kept
    assert str(problem).endswith("its last good content stays in use")


def test_it_stays_in_use_however_often_it_is_broken_again_and_goes_when_it_is_mended() -> None:
    held = load(file(text("one")))
    for attempt in ("a", "b", "c"):
        held = load(file(broken(attempt)), before=held)
        assert topics(held) == ["one"]
    assert topics(load(file(text("new")), before=held)) == ["new"]


def test_a_file_that_may_no_longer_be_read_keeps_its_last_good_content() -> None:
    before = load(file(text("one"), broken("two")))
    unread = FileRead("topics/a.kn", "topics", UnsafeFile("everybody can write it", mend="chmod o-w it"))
    after = load(unread, before=before)
    assert topics(after) == ["one"]
    assert str(after.problems[0]).endswith("its last good content stays in use")
    assert topics(load(unread)) == []


def test_a_file_that_is_taken_away_stops_counting_while_another_is_broken() -> None:
    before = load(file(text("one")), file(text("two"), name="topics/b.kn"))
    assert topics(load(file(broken("two"), name="topics/b.kn"), before=before)) == ["two"]


def test_an_assertion_that_is_taken_away_stops_counting_while_its_neighbour_breaks() -> None:
    before = load(file(text("one"), text("two"), text("three")))
    after = load(file(text("one"), broken("three")), before=before)
    assert topics(after) == ["one"]  # nobody can say which of the two was meant to stay


def licensing(*to: str, topic: str = "one", fine: bool = True) -> list[bytes]:
    found = [assertion("POLICY", each, f'operation == "subscribe" && topic == "{topic}"', "allow") for each in to]
    return found if fine else [each.replace(b"->", b"=>") for each in found]


def licensed(held: Holdings) -> list[str]:
    return sorted(name for each in held.admitted() for name in "abcd" if f"{name}.example".encode() in each.raw)


def test_a_broken_assertion_never_brings_back_what_was_taken_away_beside_it() -> None:
    before = load(file(*licensing("a.example", "b.example")))
    after = load(file(*licensing("b.example", fine=False), *licensing("d.example")), before=before)
    assert licensed(after) == ["b", "d"]
    assert [each.kept for each in after.problems] == [True]


def test_a_broken_assertion_that_names_others_than_before_is_a_new_one() -> None:
    before = load(file(*licensing("a.example")))
    after = load(file(*licensing("b.example", fine=False)), before=before)
    assert (licensed(after), [each.kept for each in after.problems]) == ([], [False])


def test_what_broke_among_others_with_the_same_parties_is_nobody_s_to_guess() -> None:
    before = load(file(text("one"), text("two")))
    assert topics(load(file(broken("two"), text("three")), before=before)) == ["three"]
    assert topics(load(file(broken("two"), broken("three")), before=before)) == []


def test_one_good_assertion_is_not_kept_twice() -> None:
    held = load(file(broken("one")), before=load(file(text("one"))))
    assert topics(held) == ["one"]
    assert topics(load(file(broken("one"), broken("one")), before=held)) == []


def test_what_comes_new_counts_while_its_neighbour_is_broken() -> None:
    before = load(file(text("one")))
    assert topics(load(file(broken("one"), text("new")), before=before)) == ["new"]


def test_a_file_that_becomes_empty_takes_all_it_said_away() -> None:
    assert topics(load(file(b"# nothing any more\n"), before=load(file(text("one"))))) == []


@pytest.mark.parametrize("by", ['"POLICY"', '"alice"', '"ed25519-hex:3e6a8fa45b8bec450cb2e9613d9b5decf39ef5ca2723f27bd46283e8273107c2"'])
@pytest.mark.parametrize("group", ["topics", "federate"])
def test_a_policy_that_is_written_only_as_far_as_its_authorizer_does_not_count(by: str, group: str) -> None:
    half = FileRead(f"{group}/a.kn", group, f"Authorizer: {by}\n".encode())
    held = load(half)
    assert list(held.admitted()) == []
    assert str(held.problems[0]).endswith("would trust anybody with everything: add Licensees and Conditions")


# -- in the running service ----------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    hurry(monkeypatch)
    return example(tmp_path)


async def test_no_name_in_the_folders_ends_the_service(house: House) -> None:
    async with house.open() as service, house.platform(ANN) as ann:
        (house.directory / "policies" / "loop").symlink_to("loop")
        house.write(os.fsdecode(b"credentials/caf\xe9.kn"), b"Authorizer: POLICY\n")
        await house.reload()
        assert [each.file for each in service.policy.holdings.problems] == ["policies/loop", "credentials/caf\\udce9.kn"]
        await ann.subscribe(TOPIC)
        assert (await ann.ruling()).state == "subscribed"


async def test_a_look_that_fails_leaves_in_force_what_is_and_the_next_one_counts(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    async with house.open() as service:
        before, folder = service.policy.holdings, service.policy.folders.policies
        service.policy.folders.policies = Path("no\0path")
        await until(lambda: "policy_not_adopted" in capsys.readouterr().out)
        assert service.policy.holdings is before
        service.policy.folders.policies = folder
        await house.reload()
        assert service.policy.holdings is not before


async def test_a_file_is_read_when_it_is_whole_also_when_loading_is_asked_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "SETTLE_SECONDS", 0.4)
    whole = text(TOPIC)
    async with house.open() as service:
        house.write("policies/topics/half.kn", whole[:40])
        service.reload.set()
        await asyncio.sleep(0.05)
        house.write("policies/topics/half.kn", whole)
        await until(lambda: any(each.source == "topics/half.kn" for each in service.policy.holdings.admitted()))
        refused = [each.detail["refused"] for each in await service.store.events(10) if "refused" in each.detail]
        assert refused
        assert not any(refused), "what was half written was never looked at"


# -- for any history -----------------------------------------------------------------------------------

State = Mapping[str, list[tuple[str, bool]]]
"""The assertions of each file, by the topic that they name, and whether each is good."""

pieces = st.lists(st.tuples(st.sampled_from("abcdefg"), st.booleans()), max_size=4, unique_by=lambda each: each[0])
states = st.dictionaries(st.sampled_from(("x.kn", "y.kn")), pieces)


def read(state: State) -> list[FileRead]:
    return [file(*(text(name) if good else broken(name) for name, good in pieces), name=path) for path, pieces in state.items()]


@given(st.lists(states, min_size=1, max_size=6))
def test_whatever_happens_good_text_counts_and_what_was_never_there_does_not(history: list[State]) -> None:
    """However files change, every good assertion counts, and what counts besides was good in a file that is broken now."""
    held, ever = Holdings(), set[str]()
    for state in history:
        held = load(*read(state), before=held)
        good = {name for pieces in state.values() for name, fine in pieces if fine}
        wrong = sum(1 for pieces in state.values() for _, fine in pieces if not fine)
        kept = set(topics(held)) - good
        assert good <= set(topics(held))
        assert kept <= ever
        assert len(list(held.admitted())) <= sum(len(pieces) for pieces in state.values())
        assert len(held.problems) == wrong
        ever |= good
    assert topics(load(before=held)) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_order_of_files_changes_nothing(order: tuple[int, int]) -> None:
    files = (file(text("one")), file(text("two"), name="topics/b.kn"))
    assert load(*(files[at] for at in order)).snapshot.version == load(*files).snapshot.version
