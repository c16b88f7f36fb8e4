"""``keygen``."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.keynote.keys import DEMO_MARK, read_key_file
from tests.cli.conftest import HUB, Command


def test_it_writes_a_key_and_prints_its_principal_alone(run: Command, desk: Path) -> None:
    made = run("keygen", "new.key")
    assert made.status == 0
    assert (desk / "new.key").stat().st_mode & 0o777 == 0o600
    assert made.out == read_key_file(desk / "new.key").principal + "\n"
    assert "Ed25519 key" in made.err
    assert "PRIVATE" not in made.out + made.err


def test_it_never_overwrites(run: Command, desk: Path) -> None:
    before = (desk / "hub.key").read_bytes()
    again = run("keygen", "hub.key")
    assert again.status == 2
    assert "`hub.key` exists already" in again.err
    assert (desk / "hub.key").read_bytes() == before


def test_public_shows_an_existing_key(run: Command) -> None:
    assert run("keygen", "--public", "hub.key").out == HUB.principal + "\n"
    shown = run("keygen", "--public", "hub.key", "--json").json
    assert (shown["ok"], shown["principal"], shown["demo"]) == (True, HUB.principal, False)


def test_a_key_that_others_can_read_is_refused(run: Command, desk: Path) -> None:
    (desk / "hub.key").chmod(0o640)
    refused = run("keygen", "--public", "hub.key", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (2, "unsafe-file")
    assert refused.json["error"]["mend"] == "chmod 600 hub.key"


def test_rsa_of_a_chosen_size(run: Command) -> None:
    assert run("keygen", "rsa.key", "--kind", "rsa", "--bits", "2048").out.startswith("rsa-hex:")
    assert run("keygen", "weak.key", "--kind", "rsa", "--bits", "1024").status == 2
    assert run("keygen", "dsa.key", "--kind", "dsa").status == 2


def test_a_passphrase_from_the_first_line_of_a_file(run: Command, desk: Path) -> None:
    (desk / "secret").write_text("correct horse\nsecond line\n")
    assert run("keygen", "new.key", "--passphrase-file", "secret").status == 0
    assert b"ENCRYPTED" in (desk / "new.key").read_bytes()
    assert run("keygen", "--public", "new.key", "--passphrase-file", "secret").status == 0
    assert "give its passphrase" in run("keygen", "--public", "new.key").err
    (desk / "secret").write_text("\n")
    assert "is empty" in run("keygen", "other.key", "--passphrase-file", "secret").err
    assert not (desk / "other.key").exists()


def test_a_demonstration_key_is_marked(run: Command, desk: Path) -> None:
    made = run("keygen", "demo.key", "--demo", "--json")
    assert made.json["demo"] is True
    assert (desk / "demo.key").read_text().startswith(DEMO_MARK)
    assert "(demonstration)" in run("keygen", "--public", "demo.key").err


@pytest.mark.parametrize("name", ["nowhere/new.key", "", "a\0b"], ids=repr)
def test_a_file_that_cannot_be_made(run: Command, name: str) -> None:
    made = run("keygen", name, "--json")
    assert (made.status, made.json["ok"], made.json["error"]["code"]) == (2, False, "bad-settings")
