"""`doctor` where peers are sent on: for the operators of the door, and for a member whose server is to follow it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.demo.certificates import Authority
from clearinghouse.demo.dns import Names, Service
from clearinghouse.demo.servers import free_address
from clearinghouse.importing.certificates import read_pin
from tests.agent.houses import settings_text
from tests.cli.conftest import Command
from tests.commons import Commons, commons

DOOR = "door.hub.example"
REDIRECT = f"""
[redirect]
name = "{DOOR}"
certificate_file = "door.pem"
key_file = "door.key"
anchors_file = "ca.pem"

[[redirect.fronted]]
domain = "b.example"
certificate_file = "b.pem"
key_file = "b.key"
"""


@pytest.fixture
def names() -> Iterator[Names]:
    with Names(free_address()) as found:
        yield found


def certify(path: Path, *domains: str) -> str:
    path.write_bytes(Authority().identity(domains).certificate)
    return read_pin(path)


def told(names: Names, *words: str) -> dict[str, list[str]]:
    """Return what the doctor finds, by its ids."""
    resolver = ("--resolver", f"{names.address}:{names.port}")
    with capture_logs():
        result = CliRunner().invoke(app, ["doctor", *words, *resolver, "--json"])
    found: dict[str, list[str]] = {}
    answer: Mapping[str, Any] = json.loads(result.stdout)
    for each in answer["findings"]:
        found.setdefault(each["id"], []).append(f"{each['where']}: {each['finding']}")
    return found


async def test_the_operators_of_a_door_see_what_fails_open_and_who_cannot_follow(tmp_path: Path, names: Names) -> None:
    home: Commons = commons(tmp_path)
    pin = certify(tmp_path / "door.pem", DOOR)
    certify(tmp_path / "b.pem", "other.example")
    (tmp_path / "b.key").touch()
    (tmp_path / "b.key").chmod(0o644)
    async with home.open():
        await home.enrols("a.example", endpoints="192.0.2.1:5269", pins="a" * 64)
        await home.enrols("b.example", endpoints="xmpp.b.example:5269", pins="b" * 64)
        await home.enrols("c.example", endpoints="192.0.2.3:5269:direct")
        await home.enrols("d.example", endpoints=f"{DOOR}:5269", pins="d" * 64)
        for domain, doors, server in (("a.example", f"{DOOR}={pin}", "prosody"), ("b.example", "", "ejabberd")):
            report = {"server": server, "module": "7", "doors": doors, "retry": "300" if server == "ejabberd" else "0"}
            await home.house.library.hand_in(home.asked("status", report, domain))
    home.write("clearinghouse.toml", (home.text + REDIRECT).encode())
    for domain in ("a.example", "b.example", "d.example"):
        names.put(domain, DOOR, 5269)
    names.put_services("b.example", Service(DOOR, 5270), Service("xmpp.b.example", 5270, 9), direct=True)
    names.put("c.example", "192.0.2.3", 5269)
    found = await asyncio.to_thread(told, names, "--clearinghouse", str(tmp_path / "clearinghouse.toml"))
    assert found["D601"] == [
        "_xmpps-server._tcp.b.example: `xmpp.b.example` is the recorded address of `b.example`, beside the clearinghouse"
    ]
    assert found["D602"] == [f"d.example: its address is `{DOOR}`, port 5269"]
    assert found["D603"] == ["c.example: its service records name 192.0.2.3"]
    assert found["D605"] == ["c.example: its record has no endpoint with STARTTLS to which a peer could be sent"]
    assert found["D313"] == [
        f"b.example: its module (ejabberd 7) follows no door, and not {DOOR}",
        "b.example: its server does not ask again for up to 300 seconds after a refusal (`s2s_max_retry_delay`)",
    ]
    assert found["D503"] == [f"{tmp_path}/b.pem: does not name `b.example`; it names other.example"]
    assert any(DOOR in each for each in found["D502"]), "certificates of the tests end within a day"
    assert any("b.key: this key can be reached by others" in each for each in found["D401"])
    assert "D604" not in found


async def test_a_dns_that_is_silent_is_unknown(tmp_path: Path) -> None:
    home = commons(tmp_path)
    certify(tmp_path / "door.pem", DOOR)
    async with home.open():
        await home.enrols("a.example", pins="a" * 64)
    home.write("clearinghouse.toml", (home.text + REDIRECT.partition("[[")[0]).encode())
    with Names(free_address()) as names:
        pass
    found = await asyncio.to_thread(told, names, "--clearinghouse", str(tmp_path / "clearinghouse.toml"))
    assert found["D604"] == ["the DNS: nobody answers for _xmpp-server._tcp.a.example, and 1 more"]
    assert not {"D601", "D603"} & found.keys()


def test_a_member_sees_whether_its_server_follows_the_door(run: Command, desk: Path, names: Names) -> None:
    del run
    pin = certify(desk / "door.crt", DOOR)
    old = certify(desk / "old.crt", DOOR)
    names.put("a.example", DOOR, 5269)
    (desk / "agent.toml").write_text(settings_text("0" * 64))
    words = ("--agent", "agent.toml", "--prosody", "prosody.cfg.lua", "--door-certificate", "door.crt")
    plain = 'modules_enabled = { "clearinghouse" }\nVirtualHost "a.example"\n'

    def found(doors: str) -> dict[str, list[str]]:
        (desk / "prosody.cfg.lua").write_text(doors + plain)
        return told(names, *words)

    assert found("")["D311"] == [f"{(desk / 'prosody.cfg.lua').resolve()}: follows no redirection of {DOOR}"]
    wrong = found(f'clearinghouse_doors = {{ ["{DOOR}"] = {{ "{old}" }} }}\n')
    assert ("D311" in wrong, wrong["D312"][0].partition(": ")[2]) == (
        False,
        f"knows `{DOOR}` by {old[:16]}..., and its certificate has {pin[:16]}...",
    )
    right = found(f'clearinghouse_doors = {{ ["{DOOR}"] = {{ "{old}", "{pin.upper()}" }} }}\n')
    assert not {"D311", "D312", "D601", "D603", "D604"} & right.keys()
    names.put_services("a.example", Service(DOOR, 5269), Service("192.0.2.1", 5269, 5))
    assert found("")["D601"] == ["_xmpp-server._tcp.a.example: `192.0.2.1` is the real address of `a.example`, beside the clearinghouse"]
