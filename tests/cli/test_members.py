"""`member`, `fleet` and `federation`: the commands in this process, the service beside them."""

from __future__ import annotations

import asyncio
import getpass
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.demo.certificates import Authority
from clearinghouse.federation.published.members import written
from clearinghouse.keynote.keys import write_key_file
from tests import presses
from tests.commons import Commons, commons, op, root_at
from tests.presses import key, member, who
from tests.world import assertion


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    made = commons(tmp_path)
    made.text = made.text.replace('socket = ""', 'socket = "control.sock"').replace('[registrar]\nkey_file = "registrar.key"\n', "")
    me = f"{{unix:{getpass.getuser()}}}"
    enrols = 'operation == "enrol" && member ~= "^[a-z0-9.-]+$"'
    made.write("policies/people/me.kn", assertion("POLICY", me, enrols), assertion("POLICY", me, 'operation == "administer"'))
    made.write("policies/people/key.kn", assertion("POLICY", who("ann")[0], enrols))
    made.write("clearinghouse.toml", made.text.encode())
    for name in ("registrar", "ann"):
        write_key_file(tmp_path / f"{name}.key", key(name))
    return made


async def run(home: Commons, *words: str) -> tuple[int, str]:
    """Run a command beside the service, and return its status and what it said."""
    config = ["--config", str(home.directory / "clearinghouse.toml")]
    with capture_logs():  # the service's lines would be taken for the command's: both are in this process
        result = await asyncio.to_thread(CliRunner().invoke, app, [*words, *config])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


async def told(home: Commons, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await run(home, *words, "--json"))[1])
    return found


async def test_a_member_is_added_signed_shown_changed_and_removed(home: Commons) -> None:
    async with home.open():
        add = ("member", "add", "b.example", "--endpoint", "b.example:5269", "--principal", who("b.example")[0], "--contact", "ann")
        assert await run(home, *add, "--dry-run") == (0, "b.example wins in *: deny -> level-2\n")
        status, said = await run(home, *add)
        assert (status, "waits as draft" in said) == (0, True)
        registrar = str(home.directory / "registrar.key")
        status, said = await run(home, "member", "sign", "--key", registrar)
        assert (status, "1 taken" in said, "signed b.example, serial 1" in said) == (0, True, True)
        await home.settled({"b.example": "level-2"})
        assert (await run(home, "member", "add", "B.Example"))[0] == 2
        shown = (await told(home, "member", "show", "b.example"))["members"]
        assert [(each["level"], each["serial"], each["contacts"]) for each in shown] == [("level-2", 1, ["ann"])]
        assert "b.example:5269" in (await run(home, "member", "list"))[1]
        changed = (await told(home, "member", "change", "b.example", "--note", "new"))["changed"]
        assert changed["waits_for"]
        assert (await run(home, "member", "drop", changed["names"][1]))[0] == 0
        assert await run(home, "member", "remove", "b.example", "--dry-run") == (0, "b.example loses in *: level-2 -> deny\n")
        assert (await run(home, "member", "remove", "b.example"))[0] == 0
        assert "leave" in (await run(home, "member", "list"))[1], "nobody signs a removal for a change"
        assert (await run(home, "member", "show", "z.example"))[0] == 2


async def test_pins_are_taken_from_certificates_and_rotate(home: Commons) -> None:
    (home.directory / "now.crt").write_bytes(Authority().identity(["b.example"]).certificate)
    now, late = str(home.directory / "now.crt"), "F" * 64
    (pin,) = [each["pin"] for each in json.loads(CliRunner().invoke(app, ["pin", now, "--json"]).output)["certificates"]]
    async with home.open():
        added = await run(home, "member", "add", "b.example", "--endpoint", "b.example:5269", "--certificate", now)
        assert added[0] == 0, added
        registrar = str(home.directory / "registrar.key")
        assert (await run(home, "member", "sign", "--key", registrar))[0] == 0
        assert (await told(home, "member", "show", "b.example"))["members"][0]["pins"] == [pin]
        assert f"pins: {pin}" in (await run(home, "member", "show", "b.example"))[1]
        assert (await run(home, "member", "change", "b.example", "--certificate", now, "--pin", late))[0] == 0
        (draft,) = (await told(home, "member", "list"))["drafts"]
        assert draft["record"]["pins"] == sorted([pin, late.lower()])
        assert (await run(home, "member", "change", "b.example", "--pin", "none"))[0] == 0
        assert (await run(home, "member", "accept", (await told(home, "member", "list"))["drafts"][0]["id"]))[0] == 0
        (draft,) = (await told(home, "member", "list"))["drafts"]
        assert "pins" not in draft["record"], "what a draft takes away stays away when it is accepted"
        status, said = await run(home, "member", "change", "b.example", "--pin", "12")
        assert (status, "`12`, which is no SHA-256" in said) == (2, True)
        assert (await run(home, "member", "change", "b.example", "--certificate", registrar))[0] == 2
        status, said = await run(home, "member", "add", "c.example", "--certificate", now)
        assert (status, "is not for `c.example`; it names b.example" in said) == (2, True)


async def test_drafts_are_signed_where_no_service_runs(home: Commons) -> None:
    directory = home.directory
    imported, listed, signed = (str(directory / name) for name in ("imported.jsonl", "listed.json", "signed.jsonl"))
    (directory / "imported.jsonl").write_bytes(b"".join(written(member(name)) + b"\n" for name in ("a.example", "b.example")))
    async with home.open():
        result = await told(home, "member", "add", "--from", imported)
        assert [bool(each["changed"]["waits_for"]) for each in result["records"]] == [True, True]
        (directory / "listed.json").write_text((await run(home, "member", "list", "--json"))[1])
    assert (await run(home, "member", "sign", "--from", listed, "--key", str(directory / "registrar.key")))[0] == 2
    assert (await run(home, "member", "sign", "--from", listed, "--key", str(directory / "registrar.key"), "-o", signed))[0] == 0
    async with home.open():
        assert (await told(home, "member", "add", "--from", signed))["ok"]
        await home.settled({"a.example": "level-1", "b.example": "level-2"})
        again = await told(home, "member", "add", "--from", signed)
        assert {each["error"]["code"] for each in again["records"]} == {"old-record"}
        assert [each["changed"]["names"][0] for each in (await told(home, "member", "renew"))["records"]] == ["a.example", "b.example"]
        assert [each.accepted for each in home.house.drafts(op())] == [True, True]


async def test_the_registrar_writes_a_record_offline(home: Commons) -> None:
    registrar, file = str(home.directory / "registrar.key"), str(home.directory / "b.jsonl")
    add = ("member", "add", "b.example", "--endpoint", "b.example:5269", "--registrar", registrar)
    assert (await run(home, *add))[0] == 2
    assert (await run(home, *add, "--serial", "7", "-o", file))[0] == 0
    async with home.open():
        assert (await told(home, "member", "add", "--from", file))["ok"]
        assert home.house.roll.present()["b.example"].serial == 7


async def test_a_key_may_say_it_instead_of_a_user(home: Commons) -> None:
    home.now = datetime.now(UTC)  # by which commands sign
    home.write("root/1.json", presses.sealed(root_at(home.now)))
    async with home.open():
        ann = ("--key", str(home.directory / "ann.key"))
        file = home.directory / "act.json"
        assert (await run(home, "member", "add", "a.example", *ann, "-o", str(file)))[0] == 0
        assert home.house.drafts(op()) == []
        assert (await run(home, "submit", str(file)))[0] == 0
        assert [each.by for each in home.house.drafts(op())] == [who("ann")[0]]


async def test_the_fleet_and_what_is_published(home: Commons) -> None:
    async with home.open():
        assert (await run(home, "fleet"))[0] == 0
        found = await told(home, "federation", "status")
        assert (found["ok"], found["published"]["views"]["*"]["version"], found["published"]["root_days"]) == (True, 1, 365)
        home.now += timedelta(days=340)
        assert "root metadata 1 ends in 25 days" in (await run(home, "federation", "status"))[1]
        (home.directory / "root/1.json").unlink()
        home.house.press.wake()
        await home.looked()
        status, said = await run(home, "federation", "status")
        assert (status, "not published: there is no root metadata" in said) == (1, True)


async def test_an_export_has_every_document_and_needs_no_service(home: Commons) -> None:
    async with home.open():
        documents = {name: each.body for name, each in home.house.shelf.documents.items()}
    stick = home.directory / "stick"
    (stick / "root").mkdir(parents=True)
    (stick / "root/7").write_bytes(b"old")
    (stick / "notes.txt").write_bytes(b"mine")
    found = await told(home, "federation", "export", str(stick))
    assert (found["documents"], found["written"]) == (len(documents), len(documents))
    there = {path.relative_to(stick).as_posix(): path.read_bytes() for path in stick.rglob("*") if path.is_file()}
    assert there == documents | {"notes.txt": b"mine"}
    assert (await told(home, "federation", "export", str(stick)))["written"] == 0


async def test_without_a_federation_the_commands_say_so(home: Commons) -> None:
    text = (home.directory / "clearinghouse.toml").read_text().partition("[http]")[0]
    home.text = text
    home.write("clearinghouse.toml", text.encode())
    async with home.open(published=False):
        status, said = await run(home, "fleet")
        assert (status, "the service has no federation" in said) == (2, True)
