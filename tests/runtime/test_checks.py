from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.keynote.keys import write_key_file
from clearinghouse.runtime.checks import looked_at
from clearinghouse.settings.reading import parse_settings
from tests.commons import commons
from tests.runtime.house import SETTINGS, TOPIC, House
from tests.world import assertion, key


@pytest.fixture(autouse=True)
def secret(house: House) -> None:
    house.write("secret", b"word")
    (house.directory / "secret").chmod(0o600)


@pytest.fixture
def keys(house: House) -> None:
    for name in ("desk", "ledger"):
        write_key_file(house.directory / f"{name}.key", key(name))
        house.settings_text += f'\n[{name}]\nkey_file = "{name}.key"\n'


@pytest.mark.usefixtures("keys")
def test_all_is_well_where_all_is_well(house: House) -> None:
    found = looked_at(house.settings)
    assert found.good
    assert found.cautions == ()
    assert [each.source for each in found.holdings.credentials] == ["credentials/a.kn"]
    assert not house.settings.store.path.exists()


def test_a_secret_that_others_can_read_is_an_error(house: House) -> None:
    (house.directory / "secret").chmod(0o644)
    [error] = looked_at(house.settings).errors
    assert "chmod 600" in error.mend


def test_a_store_that_others_can_read_is_an_error(house: House) -> None:
    house.write("clearinghouse.db")
    (house.directory / "clearinghouse.db").chmod(0o644)
    assert not looked_at(house.settings).good


def test_a_broken_file_is_an_error(house: House) -> None:
    house.write("policies/topics/broken.kn", b"Authorizer\n")
    assert not looked_at(house.settings).good


CAUTIONS = [
    ('host = "192.0.2.1"\n', "secret_file", "to 192.0.2.1 is not encrypted"),
    ('host = "hub.example"\n', "secret_file", "to hub.example is not encrypted"),
]


@pytest.mark.parametrize("line,before,told", CAUTIONS, ids=lambda value: value.strip())
def test_what_may_not_be_meant_is_told(house: House, line: str, before: str, told: str) -> None:
    house.settings_text = house.settings_text.replace(before, f"{line}{before}")
    found = looked_at(house.settings)
    assert found.good
    assert any(told in each for each in found.cautions)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_caution(house: House, host: str) -> None:
    house.settings_text = house.settings_text.replace("secret_file", f'host = "{host}"\nsecret_file')
    assert not any("encrypted" in each for each in looked_at(house.settings).cautions)


def test_a_house_where_nobody_signs_and_nobody_decides_is_told(house: House) -> None:
    house.remove("policies/people/operators.kn")
    house.settings_text = SETTINGS + '\n[control]\nsocket = ""\n'
    told = "\n".join(looked_at(house.settings).cautions)
    for words in ("no key in `[desk]`", "no key in `[ledger]`", "names no socket"):
        assert words in told


def test_a_desk_whose_people_are_not_named_is_told(house: House) -> None:
    house.remove("policies/people/operators.kn")
    house.settings_text = SETTINGS
    write_key_file(house.directory / "desk.key", key("desk"))
    house.settings_text += '\n[desk]\nkey_file = "desk.key"\n'
    told = "\n".join(looked_at(house.settings).cautions)
    for words in ("no [[person]]", "no policies in the group `people`"):
        assert words in told


@pytest.mark.usefixtures("keys")
def test_a_key_that_others_can_read_is_an_error(house: House) -> None:
    (house.directory / "desk.key").chmod(0o644)
    found = looked_at(house.settings)
    assert not found.good
    assert "chmod 600" in found.errors[0].mend


def test_a_policy_that_trusts_the_desk_alone_is_left_out(house: House) -> None:
    house.write("policies/topics/desk.kn", assertion("POLICY", "desk", f'operation == "subscribe" && topic == "{TOPIC}"', "allow"))
    write_key_file(house.directory / "desk.key", key("desk"))
    house.settings_text += '\n[desk]\nkey_file = "desk.key"\n'
    assert [each.file for each in looked_at(house.settings).holdings.problems] == ["topics/desk.kn"]


def test_an_empty_house_is_told(house: House) -> None:
    house.remove("policies/topics/incidents.kn")
    settings = parse_settings('community = "x"\n[store]\npath = "none/x.db"', file="x", directory=house.directory)
    told = "\n".join(looked_at(settings).cautions)
    for words in ("no [[broker]]", "no policies in the group `topics`", "absent or cannot be written"):
        assert words in told


def test_a_topic_without_publishers_and_a_broker_without_topics_are_told(house: House) -> None:
    house.settings_text = house.settings_text.replace("publishers", "# publishers")
    house.settings_text += '\n[[broker]]\njid = "feeds.hub.example"\ncomponent = "clearinghouse.hub.example"\nsecret_file = "secret"\n'
    told = "\n".join(looked_at(house.settings).cautions)
    assert "nobody may publish to `incidents`" in told
    assert "`feeds.hub.example` has no [[topic]]" in told


def test_what_would_keep_tables_from_being_published_is_told(tmp_path: Path) -> None:
    home = commons(tmp_path)
    for name in ("table", "timestamp", "registrar"):
        write_key_file(tmp_path / f"{name}.key", key(name))
    home.text = home.text.replace('[revoker]\nkey_file = "revoker.key"\n', "").replace("[http]\nport = 0\n", "")
    home.text = home.text.replace("[federation]", "[federation]\nepoch = 2")
    (tmp_path / "policies/federate/levels.kn").unlink()
    found = looked_at(home.settings)
    assert found.good
    told = "\n".join(found.cautions)
    for fact in ("is of epoch 1, and", "no revocation set", "group `federate`", "a thief of it", "there is no [http]"):
        assert fact in told
    assert "[[broker]]" not in told, "a federation needs none"
    assert "`topics`" not in told
    (tmp_path / "root/1.json").unlink()
    assert "there is no root metadata" in "\n".join(looked_at(home.settings).cautions)
