"""`srv` prints service records that a name server takes, and says what the DNS says instead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.demo.dns import Names, Service
from clearinghouse.demo.servers import free_address
from clearinghouse.federation.published.members import Endpoint, Member, written
from clearinghouse.federation.redirection.zone import MAX_OWNER, Node, unserved
from clearinghouse.federation.redirection.zone import zone as lines_of
from tests.cli.conftest import Command, Run
from tests.cli.test_pages import documented
from tests.commons import Commons, commons
from tests.presses import COMMUNITY, NOW, member

SETTINGS = f"""
community = "{COMMUNITY}"

[redirect]
name = "door.hub.example"
certificate_file = "door.pem"
key_file = "door.key"
anchors_file = "ca.pem"
"""
NODES = """
[[redirect.node]]
name = "door1.hub.example"
tls_port = 5270
weight = 3

[[redirect.node]]
name = "door2.hub.example"
port = 5299
priority = 2
"""
MEMBERS = (
    member("a.example", endpoints=(Endpoint("xmpp.a.example"), Endpoint("192.0.2.7", 5270, "direct"))),
    member("b.example", endpoints=(Endpoint("2001:db8::1", 5270, "direct"),)),
    member("c.example", endpoints=(Endpoint("xmpp.c.example"),)),
    member("gone.example", 4, removed=True, endpoints=()),
)


@pytest.fixture
def place(desk: Path) -> Path:
    (desk / "clearinghouse.toml").write_text(SETTINGS + NODES)
    (desk / "members.jsonl").write_bytes(b"".join(written(each) + b"\n" for each in MEMBERS))
    return desk


@pytest.fixture
def names() -> Iterator[Names]:
    with Names(free_address()) as found:
        for domain in ("a.example", "c.example"):
            found.put_services(domain, Service("door1.hub.example", 5269, 1, 3), Service("door2.hub.example", 5299, 2, 1))
            found.put_services(domain, Service("door1.hub.example", 5270, 1, 3), direct=True)
        yield found


def services(text: str, origin: str) -> set[tuple[str, str]]:
    """Return what a name server would say, as dnspython reads the zone."""
    head = f"$ORIGIN {origin}.\n@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\n"
    found = dns.zone.from_text(head + text, origin, relativize=False)
    return {(name.to_text(), rdata.to_text()) for name, _, rdata in found.iterate_rdatas(dns.rdatatype.SRV)}


@pytest.mark.usefixtures("place")
def test_a_zone_is_what_name_servers_read(run: Command) -> None:
    done = run("srv", "--members", "members.jsonl")
    assert done.status == 0
    assert services(done.out, "a.example") == {
        ("_xmpp-server._tcp.a.example.", "1 3 5269 door1.hub.example."),
        ("_xmpp-server._tcp.a.example.", "2 1 5299 door2.hub.example."),
        ("_xmpps-server._tcp.a.example.", "1 3 5270 door1.hub.example."),
    }
    assert "; a.example: must not stand here: xmpp.a.example, port 5269" in done.out
    assert "; b.example: nothing, its record has no endpoint with STARTTLS" in done.out
    assert "gone.example" not in done.out
    assert max(map(len, done.out.splitlines())) > 100, "lines are not wrapped"


def test_without_nodes_the_door_itself_is_named(run: Command, place: Path) -> None:
    (place / "clearinghouse.toml").write_text(SETTINGS)
    done = run("srv", "C.example", "--members", "members.jsonl", "--ttl", "60")
    assert "_xmpp-server._tcp.c.example. 60 IN SRV 1 1 5269 door.hub.example.\n" in done.out
    assert "; _xmpps-server._tcp.c.example. must have no record" in done.out
    assert "a.example" not in done.out


@pytest.mark.usefixtures("place")
def test_json_has_the_same(run: Command) -> None:
    told = run("srv", "--members", "members.jsonl", "--json").json
    page = documented()
    assert set(told) - {"schema", "command", "ok"} <= page["srv"]
    for each in told["members"]:
        assert set(each) == page["srv/members"]
    a, b, _ = told["members"]
    assert (a["unserved"], len(a["records"]), b["records"], bool(b["unserved"])) == (None, 3, [], True)
    first = {"name": "_xmpp-server._tcp.a.example", "ttl": 3600, "priority": 1, "weight": 3, "port": 5269, "target": "door1.hub.example"}
    assert a["records"][0] == first
    assert a["not_beside"] == [{"host": "xmpp.a.example", "port": 5269}, {"host": "192.0.2.7", "port": 5270}]


def checked(run: Command, names: Names, *words: str) -> Run:
    return run("srv", *words, "--members", "members.jsonl", "--check", "--resolver", f"{names.address}:{names.port}")


@pytest.mark.usefixtures("place")
def test_the_dns_is_asked_and_says_the_same(run: Command, names: Names) -> None:
    done = checked(run, names)
    assert (done.status, done.out) == (0, "✔ 3 of 3 members are as they should be in the DNS\n")


def differences(run: Command, names: Names) -> list[tuple[str, str, str]]:
    done = checked(run, names, "--json")
    page, told = documented(), done.json
    assert (done.status, set(told) - {"schema", "command", "ok"} <= page["srv"]) == (1, True)
    assert all(set(each) == page["srv/differences"] for each in told["differences"])
    return [(each["domain"], each["kind"], each["what"]) for each in told["differences"]]


@pytest.mark.usefixtures("place")
def test_a_real_address_beside_the_clearinghouse_is_found(run: Command, names: Names) -> None:
    names.put_services("a.example", Service("door1.hub.example", 5270, 1, 3), Service("192.0.2.7", 5270, 9, 0), direct=True)
    said = [("a.example", "beside", "_xmpps-server._tcp.a.example names 192.0.2.7, port 5270: peers go there unasked")]
    assert differences(run, names) == said
    assert "✘ a.example: beside: _xmpps-server" in checked(run, names).out


@pytest.mark.usefixtures("place")
def test_what_is_missing_or_weighed_otherwise_is_told(run: Command, names: Names) -> None:
    names.put("a.example", "door1.hub.example", 5269)
    names.remove("c.example")
    names.put("b.example", "door1.hub.example", 5269)
    found = differences(run, names)
    assert [each[:2] for each in found] == [
        ("a.example", "other"),
        ("a.example", "missing"),
        ("b.example", "unserved"),
        *[("c.example", "missing")] * 3,
    ]
    assert found[0][2].endswith("door1.hub.example, port 5269, with priority 0 and weight 0, and not 1 and 3")
    assert ("a.example", "missing", "_xmpp-server._tcp.a.example. IN SRV 2 1 5299 door2.hub.example.") in found


@pytest.mark.usefixtures("place")
def test_silence_is_unknown_and_not_fine(run: Command) -> None:
    done = run("srv", "c.example", "--members", "members.jsonl", "--check", "--resolver", f"{free_address()}:9", "--json")
    assert (done.status, [each["kind"] for each in done.json["differences"]]) == (3, ["unknown"])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("text", ["dns.example", "127.0.0.1:0", "127.0.0.1:70000", "[::1", "1.2.3:53", ""])
def test_a_resolver_that_is_none(run: Command, text: str) -> None:
    done = run("srv", "--members", "members.jsonl", "--check", "--resolver", text or " ")
    assert (done.status, "is no resolver" in done.err) == (2, True)


def test_what_stands_in_the_way_is_said(run: Command, place: Path) -> None:
    assert "`z.example` is no member" in run("srv", "z.example", "--members", "members.jsonl").err
    (place / "clearinghouse.toml").write_text(f'community = "{COMMUNITY}"\n')
    assert "have no [redirect]" in run("srv", "--members", "members.jsonl").err


def test_a_name_that_no_service_record_can_have_is_left_out() -> None:
    long = ".".join(("a" * 60, "b" * 60, "c" * 60, "d" * 60, "e"))
    found = Member(long, COMMUNITY, (Endpoint("xmpp.example"),), issued=NOW)
    assert len(long) < MAX_OWNER < len(f"_xmpps-server._tcp.{long}")
    assert unserved(found) == "its name is too long for a service record"
    hostile = Member("a.example", COMMUNITY, (Endpoint("x\x1b\u2028y"), Endpoint("xmpp.example")), issued=NOW)
    text = "\n".join(lines_of("net\nevil. IN A 192.0.2.1", [hostile], [Node("door.example", 5269)], 60))
    assert [line for line in text.splitlines() if line and not line.startswith((";", "_xmpp-server._tcp.a.example. "))] == []


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    return commons(tmp_path)


async def test_records_of_the_store_are_those_of_today(home: Commons) -> None:
    async with home.open():
        await home.enrols("a.example", "b.example")
    home.write("clearinghouse.toml", (home.text + SETTINGS.partition("\n\n")[2]).encode())
    result = await asyncio.to_thread(CliRunner().invoke, app, ["srv", "--config", str(home.directory / "clearinghouse.toml")])
    assert result.exit_code == 0, result.output
    assert "_xmpp-server._tcp.b.example. 3600 IN SRV 1 1 5269 door.hub.example." in result.output
