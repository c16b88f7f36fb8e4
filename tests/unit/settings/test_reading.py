from __future__ import annotations

import os
from dataclasses import asdict, fields
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse import keynote
from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.settings import LogFormat, Settings, read_settings
from clearinghouse.settings.model import NAMES, SWITCHES, TABLES
from clearinghouse.settings.reading import MAX_SETTINGS_BYTES, parse_settings
from clearinghouse.settings.values import LONGEST_GRANT

HOME = Path("/srv/hub")
FULL = """\
community = "csirt-net"
levels = ["deny", "level-1", "level-2"]
shared_keys = ["ed25519-base64:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
allow_legacy_signatures = true
grant_cap = "12 hours"

[store]
path = "decisions.db"

[policies]
directory = "/etc/policies"

[credentials]
directory = "signed"

[limits]
steps = 1000

[log]
format = "json"

[[broker]]
jid = "pubsub.hub.example"
component = "clearinghouse.hub.example"
secret_file = "secrets/hub"
host = "127.0.0.2"
port = 5348

[[topic]]
node = "incidents"
broker = "pubsub.hub.example"
payload_type = "urn:ietf:params:xml:ns:iodef-2.0"
title = "Incidents"
max_items = 7
publishers = ["provider@hub.example"]
"""


def parse(text: str) -> Settings:
    return parse_settings(text, file="clearinghouse.toml", directory=HOME)


def refused(text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        parse(text)
    return str(caught.value)


def test_everything_that_can_be_said_is_read() -> None:
    read = parse(FULL)
    assert read.grant_cap == timedelta(hours=12)
    assert read.shared_keys == ("ed25519-hex:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",)
    assert asdict(read.limits) == asdict(keynote.Limits(steps=1000))
    assert read.log.format is LogFormat.JSON
    assert (read.broker[0].port, read.broker[0].voucher) == (5348, "hub.example")
    topic = read.topic[0].as_topic()
    assert (topic.node, topic.payload_type, topic.max_items) == ("incidents", "urn:ietf:params:xml:ns:iodef-2.0", 7)


def test_relative_paths_start_at_the_settings_file() -> None:
    read = parse(FULL)
    assert read.store.path == HOME / "decisions.db"
    assert read.policies.directory == Path("/etc/policies")
    assert read.credentials.directory == HOME / "signed"
    assert read.broker[0].secret_file == HOME / "secrets/hub"


def test_what_is_left_out_is_the_safe_choice() -> None:
    read = parse('community = "csirt-net"')
    assert read.levels == ("deny", "allow")
    assert (read.allow_legacy_signatures, read.shared_keys, read.broker, read.topic) == (False, (), (), ())
    assert read.grant_cap == timedelta(days=90)
    assert read.store.path == HOME / "clearinghouse.db"
    assert read.policies.directory == HOME / "policies"
    assert asdict(read.limits) == asdict(keynote.Limits())


def test_every_limit_of_the_engine_can_be_set_and_nothing_else() -> None:
    assert NAMES["limits"] == tuple(each.name for each in fields(keynote.Limits))


WRONG = [
    # (in place of, text, what is said, the mend)
    ('community = "csirt-net"', 'community = "CSIRT net"', "line 1: `community` has `CSIRT net`, which is no name", "lower-case"),
    ('community = "csirt-net"', "", "`community` is missing", "add `community = ...`"),
    ('"level-1", ', '"level-2", ', "line 2: `levels` is no scale", 'begin with "deny"'),
    ('["deny", "level-1", ', '["none", "level-1", ', "line 2: `levels` is no scale", 'begin with "deny"'),
    ("ed25519-base64:11qY", "ed25519-base64:1", "line 3: `shared_keys` has a key that cannot be decoded", "the key's bits in base64"),
    ("= true", '= "yes"', "line 4: `allow_legacy_signatures` is not usable", "a valid boolean"),
    ("12 hours", "12 moons", "line 5: `grant_cap` is `12 moons`, which is no length of time", "`90 days`"),
    ("12 hours", "0 days", "line 5: `grant_cap` is `0 days`", "more than nothing"),
    ("12 hours", "99999999999999 days", "line 5: `grant_cap` is", f"at most {LONGEST_GRANT.days} days"),
    ("[store]", "[stroe]", "line 7: `stroe` is not a setting", "did you mean `store`?"),
    ("path =", "where =", "line 8: `where` in [store] is not a setting", "the settings here are path, url_file"),
    ("steps = 1000", "step = 1000", "line 17: `step` in [limits] is not a setting", "did you mean `steps`?"),
    ("steps = 1000", "steps = 0", "line 17: `steps` in [limits] is `0`", "at least 1"),
    ("steps = 1000", "steps = true", "line 17: `steps` in [limits] is `True`", "a whole number"),
    ('format = "json"', 'format = "xml"', "line 20: `format` in [log] is not usable", "'console' or 'json'"),
    ('jid = "pubsub', 'jid = "PubSub', "line 23: `jid` in [[broker]] number 1 is `PubSub.hub.example`, which is no domain", "lower case"),
    ('jid = "pubsub.hub.example"', 'jid = "*"', "line 23: `jid` in [[broker]] number 1 is `*`, which is no domain", "lower case"),
    ("secret_file", "secret", "line 25: `secret` in [[broker]] number 1 is not a setting", "did you mean `secret_file`?"),
    ("port = 5348", "port = 70000", "line 27: `port` in [[broker]] number 1 is not usable", "less than or equal to 65535"),
    ("port = 5348", 'port = "5348"', "line 27: `port` in [[broker]] number 1 is not usable", "a valid integer"),
    ('node = "incidents"', 'node = ""', "line 30: `node` in [[topic]] number 1 is empty", "write something"),
    ('node = "incidents"', 'node = "a\\u202eb"', "line 30: `node` in [[topic]] number 1 has control characters", "printable"),
    (
        'broker = "pubsub.hub.example"',
        'broker = "other.example"',
        "`incidents` is at `other.example`, which is no [[broker]]",
        "pubsub.hub.example",
    ),
    ("payload_type", "payload", "line 32: `payload` in [[topic]] number 1 is not a setting", "did you mean `payload_type`?"),
    ('["provider@hub.example"]', '["Provider@hub.example"]', "which is no bare JID in lower case", "`user@domain`"),
    ('["provider@hub.example"]', '["provider@hub.example/desk"]', "which is no bare JID in lower case", "`user@domain`"),
    ('["provider@hub.example"]', '["*"]', "which is no bare JID in lower case", "`user@domain`"),
]


@pytest.mark.parametrize("old,new,fact,mend", WRONG, ids=[f"{new or 'nothing'}" for _, new, _, _ in WRONG])
def test_a_mistake_is_told_with_its_place_and_its_mend(old: str, new: str, fact: str, mend: str) -> None:
    assert old in FULL
    said = refused(FULL.replace(old, new))
    assert fact in said
    assert mend in said.partition(fact)[2]
    assert "clearinghouse.toml" in said


def test_every_mistake_is_told_in_the_order_of_the_file() -> None:
    said = refused(FULL.replace("12 hours", "soon").replace("port = 5348", "port = 0").replace("format =", "form ="))
    assert said.startswith("`clearinghouse.toml` has 3 mistakes: mend each of them\n")
    assert [row.split(":")[0].strip() for row in said.splitlines()[1:]] == [f"`clearinghouse.toml`, line {at}" for at in (5, 20, 27)]


def test_two_topics_of_one_name_are_refused_at_whatever_brokers() -> None:
    other = FULL.partition("[[topic]]")[2].replace("pubsub.hub", "pubsub.other")
    broker = FULL.partition("[[broker]]")[2].partition("[[topic]]")[0].replace("hub.example", "other.example")
    assert "`topic` names `incidents` twice" in refused(f"{FULL}[[broker]]{broker}[[topic]]{other}")


def test_one_component_is_connected_in_one_way() -> None:
    second = FULL.partition("[[broker]]")[2].partition("[[topic]]")[0].replace("pubsub.", "feeds.")
    assert len(parse(f"{FULL}[[broker]]{second}").broker) == 2
    assert "connects `clearinghouse.hub.example` in two ways" in refused(f"{FULL}[[broker]]{second.replace('5348', '5349')}")
    assert "`broker` names `pubsub.hub.example` twice" in refused(f"{FULL}[[broker]]{second.replace('feeds.', 'pubsub.')}")


def test_whose_word_a_name_rests_on_can_be_said() -> None:
    said = FULL.replace("port = 5348", 'port = 5348\nvouched_by = "host.example"')
    assert parse(said).broker[0].voucher == "host.example"


def test_text_that_is_not_toml_is_told_with_its_line() -> None:
    said = refused('community = "csirt-net"\nlevels = [')
    assert "is not TOML" in said
    assert "line" in refused("community = x\n")


def test_a_file_that_cannot_be_read_is_told_with_its_mend(tmp_path: Path) -> None:
    missing = tmp_path / "clearinghouse.toml"
    with pytest.raises(BadSettings, match="there is no such file: name it with `--config`, or write one with `clearinghouse init"):
        read_settings(missing)
    with pytest.raises(BadSettings, match="cannot be read"):
        read_settings(tmp_path)
    missing.write_bytes(b"\xff")
    with pytest.raises(BadSettings, match="is not UTF-8"):
        read_settings(missing)
    missing.write_bytes(b"#" * (MAX_SETTINGS_BYTES + 1))
    with pytest.raises(BadSettings, match="settings have at most"):
        read_settings(missing)


def test_the_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clearinghouse.toml"
    path.write_text(FULL)
    before = read_settings(path)
    for name in ("COMMUNITY", "CLEARINGHOUSE_COMMUNITY", "ALLOW_LEGACY_SIGNATURES", "LEVELS"):
        monkeypatch.setenv(name, "x")
    assert read_settings(path) == before


@pytest.mark.parametrize("section", NAMES)
def test_the_reference_page_names_every_setting(section: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "settings.md").read_text()
    heading = f"[{section}]" if section in {*TABLES, *SWITCHES} else f"[[{section}]]"
    part = page.partition(f"## `{heading}`\n" if section else "## At the top\n")[2].partition("\n## ")[0]
    others = {*TABLES, *SWITCHES, "broker", "topic", "person", "table_signer"} if not section else set()
    assert [name for name in NAMES[section] if f"`{name}`" not in part] == sorted(others, key=NAMES[""].index)


DOOR = """
[redirect]
name = "door.hub.example"
certificate_file = "door.pem"
key_file = "door.key"
anchors_file = "anchors.pem"
"""


def test_a_door_is_named_and_proves_its_own_name() -> None:
    found = parse(FULL + DOOR).redirect
    assert found is not None
    assert (found.require, found.listen, found.listening_tls, found.fronted) == ("certificate", ("0.0.0.0:5269",), (), ())
    assert found.certificate_file == HOME / "door.pem"
    assert [(each.name, each.port, each.tls_port, each.priority, each.weight) for each in found.nodes] == [
        ("door.hub.example", 5269, None, 1, 1)
    ]
    assert parse(FULL).redirect is None


def test_a_door_listens_at_addresses_of_both_kinds() -> None:
    found = parse(f'{FULL}{DOOR}listen = []\nlisten_tls = ["[::]:5270", "127.0.0.1:0"]\n').redirect
    assert found is not None
    assert found.listening_tls == (("::", 5270), ("127.0.0.1", 0))
    assert (found.nodes[0].port, found.nodes[0].tls_port) == (5269, 5270)


@pytest.mark.parametrize(
    "more, said",
    [
        ('listen = ["localhost:5269"]', "has `localhost:5269`, which is no address with a port"),
        ('listen = ["[::1:5269"]', "has `[::1:5269`, which is no address with a port"),
        ('listen = ["127.0.0.1:65536"]', "which is no address with a port: write it as in"),
        ("listen = []", "listens nowhere"),
        ('require = "nothing"', "`require` in [redirect] is not usable"),
        ("conections = 5", "did you mean `connections`?"),
        (
            '[[redirect.node]]\nname = "b.example"\nprot = 5',
            "line 44: `prot` in [[redirect.node]] number 1 is not a setting: did you mean `port`?",
        ),
        (
            '[[redirect.fronted]]\ndomain = "b.example"\ncertificate_file = "b.pem"',
            "`key_file` in [[redirect.fronted]] number 1 is missing",
        ),
        (
            2 * '[[redirect.fronted]]\ndomain = "b.example"\ncertificate_file = "b.pem"\nkey_file = "b.key"\n',
            "two certificates for `b.example`",
        ),
    ],
)
def test_what_a_door_cannot_be_told_is_refused_with_its_place(more: str, said: str) -> None:
    assert said in refused(f"{FULL}{DOOR}{more}\n")


def test_settings_that_everybody_can_write_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clearinghouse.toml"
    path.write_text(FULL)
    path.chmod(0o646)
    with pytest.raises(UnsafeFile, match=r"can be written by everybody \(mode 0646\): chmod o-w it"):
        read_settings(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_settings_of_somebody_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clearinghouse.toml"
    path.write_text(FULL)
    os.chown(path, 12345, -1)
    with pytest.raises(UnsafeFile, match="belongs to user 12345: run as that user"):
        read_settings(path)
    os.chown(path, 0, 12345)
    path.chmod(0o664)
    with pytest.raises(UnsafeFile, match="can be written by group 12345"):
        read_settings(path)
