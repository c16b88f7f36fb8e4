from __future__ import annotations

import os
from pathlib import Path

import pytest

from clearinghouse.errors import TooLarge, UnsafeFile
from clearinghouse.storage import folders as module
from clearinghouse.storage.folders import CREDENTIALS, FileRead, Folders
from tests.storage.conftest import put


@pytest.fixture
def reader(folders: Path) -> Folders:
    return Folders(folders / "policies", folders / "credentials")


def read(reader: Folders) -> dict[str, FileRead]:
    return {each.name: each for each in reader.read(reader.look())}


def problem(reader: Folders, name: str) -> str:
    content = read(reader)[name].content
    assert isinstance(content, Exception)
    return str(content)


def test_each_file_comes_with_the_group_of_its_folder(reader: Folders, folders: Path) -> None:
    put(folders / "policies/topics/a.kn", b"one")
    put(folders / "policies/people/a.kn", b"two")
    put(folders / "credentials/a.kn", b"three")
    found = {each.name: (each.group, each.content) for each in read(reader).values()}
    assert found == {"topics/a.kn": ("topics", b"one"), "people/a.kn": ("people", b"two"), "credentials/a.kn": (CREDENTIALS, b"three")}


def test_what_is_no_file_of_assertions_is_left_alone(reader: Folders, folders: Path) -> None:
    for name in ("README.md", "a.kn~", ".a.kn.swp", ".#a.kn", "#a.kn#"):
        put(folders / "policies/topics" / name, b"x")
    (folders / "policies/.git").mkdir()
    assert read(reader) == {}


def test_what_has_not_changed_is_not_read_again(reader: Folders, folders: Path) -> None:
    path = folders / "policies/topics/a.kn"
    put(path, b"one")
    before = read(reader)["topics/a.kn"]
    assert read(reader)["topics/a.kn"] is before
    put(path, b"two")
    assert read(reader)["topics/a.kn"].content == b"two"
    assert before.content == b"one"


@pytest.mark.parametrize("change", ["content", "mode", "another file", "gone"])
def test_a_look_sees_every_change(reader: Folders, folders: Path, change: str) -> None:
    path = folders / "credentials/a.kn"
    put(path, b"one")
    before = reader.look()
    assert reader.look() == before
    match change:
        case "content":  # of the same length, in the same instant as far as a clock of seconds knows
            put(path, b"two")
        case "mode":
            path.chmod(0o600)
        case "another file":
            put(folders / "credentials/b.kn", b"")
        case _:
            path.unlink()
    assert reader.look() != before


def test_a_file_that_everybody_can_write_is_refused(reader: Folders, folders: Path) -> None:
    put(folders / "policies/topics/a.kn", b"one", 0o646)
    assert problem(reader, "topics/a.kn").startswith("it can be written by everybody (mode 0646): chmod o-w")


def test_a_folder_that_everybody_can_write_counts_for_nothing(reader: Folders, folders: Path) -> None:
    put(folders / "policies/topics/a.kn", b"one")
    (folders / "policies/topics").chmod(0o777)
    assert problem(reader, "policies/topics").startswith("this folder can be written by everybody (mode 0777)")
    assert "topics/a.kn" not in read(reader)


@pytest.mark.parametrize("name", ["policies", "policies/topics", "credentials"])
@pytest.mark.parametrize("unsafe", ["everybody", "link", "group", "owner"])
def test_nothing_counts_in_a_folder_that_somebody_else_can_write(reader: Folders, folders: Path, name: str, unsafe: str) -> None:
    put(folders / "policies/topics/a.kn", b"one")
    put(folders / "credentials/a.kn", b"two")
    harm(folders / name, unsafe)
    found = read(reader)
    assert isinstance(found[f"{(folders / name).parent.name}/{(folders / name).name}"].content, UnsafeFile)
    assert [each.content for each in found.values() if isinstance(each.content, bytes)] == [b"one" if name == "credentials" else b"two"]


@pytest.mark.parametrize("unsafe", ["group", "owner"])
def test_a_file_that_somebody_else_can_write_is_refused(reader: Folders, folders: Path, unsafe: str) -> None:
    put(folders / "credentials/a.kn", b"one")
    harm(folders / "credentials/a.kn", unsafe)
    assert "belongs to user 12345" in (told := problem(reader, "credentials/a.kn")) or "written by group 12345" in told


def test_a_file_that_our_own_group_can_write_is_ours(reader: Folders, folders: Path) -> None:
    put(folders / "policies/topics/a.kn", b"one", 0o664)
    os.chown(folders / "policies/topics/a.kn", -1, os.getegid())
    (folders / "policies/topics").chmod(0o775)
    os.chown(folders / "policies/topics", -1, os.getegid())
    assert read(reader)["topics/a.kn"].content == b"one"


def harm(path: Path, how: str) -> None:
    if how in {"group", "owner"} and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    match how:
        case "everybody":
            path.chmod(0o777)
        case "link":
            path.rename(path.with_name("elsewhere"))
            path.symlink_to("elsewhere")
        case "group":
            path.chmod(0o775)
            os.chown(path, -1, 12345)
        case _:
            os.chown(path, 12345, -1)


def test_a_link_in_circles_ends_no_look(reader: Folders, folders: Path) -> None:
    put(folders / "policies/topics/a.kn", b"one")
    (folders / "policies/loop").symlink_to("loop")
    (folders / "policies/people").rmdir()
    (folders / "policies/people").symlink_to("people")
    assert problem(reader, "policies/loop").startswith("a link counts for nothing")
    assert problem(reader, "policies/people").startswith("this is no folder")
    assert read(reader)["topics/a.kn"].content == b"one"


@pytest.mark.parametrize("name", [b"caf\xe9.kn", b"a\nb.kn", b"\xe2\x80\xae.kn", b"caf\\udce9.kn"])
def test_a_name_that_cannot_be_shown_is_refused(reader: Folders, folders: Path, name: bytes) -> None:
    put(folders / "credentials" / os.fsdecode(name), b"one")
    put(folders / "credentials/café.kn", b"two")
    refused, good = read(reader).values() if name < b"caf\xc3" else tuple(reversed(read(reader).values()))
    assert str(refused.content).endswith("give it another name")
    assert refused.name.encode()
    assert refused.name.isprintable()
    assert good.content == b"two"


def test_links_and_devices_are_refused(reader: Folders, folders: Path) -> None:
    put(folders / "elsewhere", b"one")
    (folders / "policies/topics/link.kn").symlink_to(folders / "elsewhere")
    os.mkfifo(folders / "policies/topics/pipe.kn")
    (folders / "policies/topics/folder.kn").mkdir()
    found = read(reader)
    assert all(isinstance(each.content, UnsafeFile) for each in found.values())
    assert set(found) == {"topics/link.kn", "topics/pipe.kn", "topics/folder.kn"}


def test_what_is_too_large_is_refused(reader: Folders, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 3)
    put(folders / "credentials/a.kn", b"four")
    put(folders / "credentials/b.kn", b"two")
    assert isinstance(read(reader)["credentials/a.kn"].content, TooLarge)
    assert read(reader)["credentials/b.kn"].content == b"two"
    monkeypatch.setattr(module, "MAX_FILES", 1)
    assert "it has 2 files" in problem(reader, f"{folders.name}/credentials")


def test_what_lies_beside_the_groups_is_told(reader: Folders, folders: Path) -> None:
    (folders / "policies/topic").mkdir()
    (folders / "policies/whatever").mkdir()
    put(folders / "policies/a.kn", b"one")
    assert problem(reader, "policies/topic").endswith("did you mean `topics`?")
    assert "the groups are federate, admit, whitelist" in problem(reader, "policies/whatever")
    assert "counts nowhere: move it into the folder of its group" in problem(reader, "policies/a.kn")


def test_absent_folders_are_told_and_an_absent_group_is_an_empty_one(folders: Path) -> None:
    found = read(Folders(folders / "none", folders / "nothing"))
    assert sorted(found) == [f"{folders.name}/none", f"{folders.name}/nothing"]
    assert read(Folders(folders / "policies", folders / "credentials")) == {}
