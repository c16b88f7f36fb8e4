"""Each check of the doctor with a bad and a good example, and the facts from which it judges."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clearinghouse.doctor.catalogue import CHECKS, Finding, Severity, check, findings
from clearinghouse.doctor.certificates import Certificate
from clearinghouse.doctor.checks import ALL
from clearinghouse.doctor.dns import Record
from clearinghouse.doctor.facts import Facts, FileMode, Lifetime
from clearinghouse.doctor.follows import Follows
from clearinghouse.doctor.gathering import Asked, gathered
from clearinghouse.doctor.versions import packaged
from clearinghouse.errors import BadSettings
from clearinghouse.federation.enforced.image import EVERYTHING, Image, LevelClass
from clearinghouse.federation.published.members import Endpoint, Member

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEXTS = tomllib.loads(Path(__file__).with_name("examples.toml").read_text())["check"]
NAMES = {
    "prosody": "prosody.cfg.lua",
    "ejabberd": "ejabberd.yml",
    "agent": "agent.toml",
    "clearinghouse": "clearinghouse.toml",
    "status": "status.json",
    "live": "status.json",
    "dns": "zone",
}
AGENT = f"""
community = "net"
domain = "a.example"
root_digest = "{"0" * 64}"
key_file = "agent.key"
[server]
kind = "prosody"
component = "agent.a.example"
secret_file = "secret"
"""
IMAGE = Image("a.example", 7, ("a.example",), {"yes": LevelClass(EVERYTHING)}, {"b.example": "yes"})


@dataclass(frozen=True, slots=True)
class Example:
    id: str
    kind: str
    bad: str
    good: str
    words: list[str]


@dataclass(frozen=True, slots=True)
class Case:
    """An example whose facts are not text."""

    id: str
    bad: Facts
    good: Facts
    words: str
    severity: Severity | None = None


def facts(kind: str, text: str, folder: Path) -> Facts:
    filled = text.replace("{AGENT}", AGENT).replace("{PROSODY}", packaged("prosody")).replace("{EJABBERD}", packaged("ejabberd"))
    path = folder / NAMES[kind]
    path.write_text(filled)
    asked = Asked(**{"status" if kind == "live" else kind: path}, doors=("door.hub.example",))  # type: ignore[arg-type]
    found = gathered(asked, NOW)
    if kind != "live":
        return found
    return replace(found, images=(IMAGE,), live={**found.live, "facts": {"agent": "agent.a.example", **found.told}})


def found_by(id_: str, known: Facts) -> list[str]:
    return [f"{each.where}: {each.what}" for each in findings(known, [ALL[id_]])]


@pytest.mark.parametrize("example", [pytest.param(Example(**each), id=f"{n}-{each['id']}") for n, each in enumerate(TEXTS)])
def test_each_example(example: Example, tmp_path: Path) -> None:
    found = found_by(example.id, facts(example.kind, example.bad, tmp_path))
    assert found
    assert [word for word in example.words if word not in " ".join(found)] == []
    assert found_by(example.id, facts(example.kind, example.good, tmp_path)) == []


def file(kind: str, mode: int, gid: int = os.getegid()) -> Facts:
    return Facts(NOW, files=(FileMode(Path("/x"), kind, mode, os.geteuid(), gid),))


@pytest.mark.skipif(os.geteuid() == 0, reason="root cannot tell as whom the service runs")
def test_settings_of_somebody_else_are_a_warning() -> None:
    (found,) = findings(Facts(NOW, files=(FileMode(Path("/x"), "settings", 0o600, 12_345, 0),)), [ALL["D403"]])
    assert (found.severity, found.what) == (Severity.WARNING, "belongs to user 12345")


def certificate(*names: str, days: float = 365) -> Facts:
    return Facts(NOW, certificates={"rooms.a.example": (Certificate(names, NOW + timedelta(days=days), "a.pem"),)})


def lifetime(before: float, left: float) -> Facts:
    return Facts(NOW, lifetimes=(Lifetime("table 1.3", NOW - timedelta(days=before), NOW + timedelta(days=left)),))


def member(host: str) -> Facts:
    found = Member("b.example", "net", endpoints=(Endpoint(host),))
    return Facts(NOW, members=(found,), addresses=frozenset({"192.0.2.1", "xmpp.a.example"}))


PINS = frozenset({"a" * 64})
DOOR = "door.hub.example"
KNOWN = {DOOR: PINS}


def follows(*doors: str, pins: frozenset[str] | None = PINS) -> Facts:
    return Facts(NOW, follows=(Follows("the running server", dict.fromkeys(doors, pins)),), door_pins=KNOWN)


def report(**more: str) -> Facts:
    told = {"server": "ejabberd", "module": "1.2", "doors": f"{DOOR}={'a' * 64}", "retry": "1", "dialback": "no", **more}
    return Facts(NOW, reports={"b.example": told}, door_pins=KNOWN, named_doors=frozenset({DOOR}))


def presented(*names: str, days: float = 365) -> Facts:
    return Facts(NOW, presented={DOOR: (Certificate(names, NOW + timedelta(days=days), "door.pem"),)})


def srv(*targets: str, unanswered: bool = False) -> Facts:
    """Return what is known where the DNS was asked about `b.example`."""
    records = tuple(Record("_xmpp-server._tcp.b.example", "SRV", ("0", "0", "5269", each), 0) for each in targets)
    addresses = (Record("xmpp.b.example", "A", ("192.0.2.7",), 0), Record("other.example", "A", ("192.0.2.9",), 0))
    silent = frozenset({("_xmpps-server._tcp.b.example", "SRV")} if unanswered else ())
    found = Member("b.example", "net", endpoints=(Endpoint("192.0.2.7"),))
    asked = {"dns": (*records, *addresses), "asked_about": ("b.example",), "members": (found,), "unanswered": silent}
    return Facts(NOW, doors=frozenset({DOOR}), **asked)  # type: ignore[arg-type]  # each is what it is


def enrolled(*pins: str, tls: str = "start") -> Facts:
    found = Member("b.example", "net", endpoints=(Endpoint("xmpp.b.example", tls=tls),), pins=pins)  # type: ignore[arg-type]  # one of two
    return Facts(NOW, members=(found,), presented=presented(DOOR).presented)


def presenting(pin: str, host: str = "b.example") -> Facts:
    shown = Certificate(("b.example",), NOW + timedelta(days=90), "b.pem", pin)
    return replace(enrolled("a" * 64, "b" * 64), presented={}, certificates={host: (shown,)})


CASES = [
    Case("D606", presenting("c" * 64), presenting("b" * 64), "b.pem: its key, cccccccccccccccc..., is not in the record of `b.example`"),
    Case("D606", presenting("c" * 64), presenting(""), "is not in the record"),
    Case("D606", presenting("c" * 64), presenting("c" * 64, "rooms.b.example"), "is not in the record"),
    Case("D311", follows(), follows(DOOR), "the running server: follows no redirection of door.hub.example"),
    Case("D311", follows("old.example"), follows(DOOR, "old.example"), "; it follows old.example"),
    Case(
        "D311",
        replace(srv(DOOR), named_doors=frozenset({DOOR}), follows=(Follows("prosody.cfg.lua:3", {}),)),
        replace(srv("xmpp.b.example"), named_doors=frozenset({DOOR}), follows=(Follows("prosody.cfg.lua:3", {}),)),
        "prosody.cfg.lua:3: follows no redirection of door.hub.example",
    ),
    Case("D312", follows(DOOR, pins=frozenset({"b" * 64})), follows(DOOR, pins=PINS | {"b" * 64}), "by bbbbbbbbbbbbbbbb..., and its"),
    Case("D312", follows(DOOR, pins=frozenset()), follows(DOOR, pins=None), "knows `door.hub.example` by none"),
    Case("D313", report(doors=""), report(), "b.example: its module (ejabberd 1.2) follows no door, and not door.hub.example"),
    Case("D313", report(doors=f"{DOOR}={'b' * 64}"), report(doors=DOOR), "knows `door.hub.example` by bbbbbbbbbbbbbbbb..."),
    Case("D313", report(retry="300"), report(retry="x" * 20), "up to 300 seconds after a refusal"),
    Case("D313", report(dialback="yes"), report(dialback="yes", server="prosody"), "`mod_s2s_dialback`"),
    Case("D313", report(doors=""), report(doors="", module=""), "follows no door"),
    Case("D502", presented(DOOR, days=3), presented(DOOR), "the certificate of `door.hub.example` ends in 3 days", Severity.WARNING),
    Case("D503", presented("hub.example"), presented("*.hub.example"), "door.pem: does not name `door.hub.example`; it names hub.example"),
    Case("D503", Facts(NOW, presented={DOOR: ()}), presented(DOOR), "no certificate can be read"),
    Case("D601", srv(DOOR, "192.0.2.7"), srv(DOOR), "_xmpp-server._tcp.b.example: `192.0.2.7` is the recorded address of `b.example`"),
    Case("D601", srv(DOOR, "xmpp.b.example"), srv("xmpp.b.example"), "`xmpp.b.example` is the recorded address"),
    Case("D601", srv(DOOR, "other.example"), srv(DOOR, DOOR), "`other.example` is the real address"),
    Case("D603", srv("xmpp.b.example"), srv(DOOR), "b.example: its service records name xmpp.b.example"),
    Case("D603", srv(), srv(unanswered=True), "has no service record"),
    Case("D604", srv(unanswered=True), srv(), "the DNS: nobody answers for _xmpps-server._tcp.b.example"),
    Case("D605", enrolled(), enrolled("a" * 64), "b.example: its record has no pins"),
    Case("D605", enrolled("a" * 64, tls="direct"), enrolled("a" * 64), "no endpoint with STARTTLS"),
    Case("D401", file("secret", 0o640), file("secret", 0o600), "/x: this secret can be reached by others (mode 0640)"),
    Case("D401", file("key", 0o604), file("key", 0o400), "this key"),
    Case("D401", file("configuration", 0o644), file("configuration", 0o640), "this configuration"),
    Case("D402", file("state", 0o750), file("state", 0o700), "(mode 0750)"),
    Case("D401", file("store", 0o660), file("store", 0o600), "this store"),
    Case("D403", file("settings", 0o646), file("settings", 0o644), "can be written by others"),
    Case("D403", file("settings", 0o664, gid=-1), file("settings", 0o664), "can be written by others"),
    Case("D501", certificate("a.example"), certificate("a.example", "rooms.a.example"), "they name a.example"),
    Case("D501", certificate("*.example"), certificate("*.a.example"), "is named by no certificate"),
    Case("D502", certificate("rooms.a.example", days=29), certificate("rooms.a.example", days=31), "ends in 29 days", Severity.NOTE),
    Case("D502", certificate("rooms.a.example", days=6), certificate("rooms.a.example"), "ends in 6 days", Severity.WARNING),
    Case("D502", certificate("rooms.a.example", days=-3), certificate("rooms.a.example"), "ended 3 days ago", Severity.DANGER),
    Case("D602", member("192.0.2.1"), member("192.0.2.2"), "b.example: its address is `192.0.2.1`, port 5269"),
    Case("D602", member("127.0.0.1"), member("xmpp.b.example"), "`127.0.0.1`"),
    Case("D602", member("xmpp.a.example"), member("0.0.2.1"), "`xmpp.a.example`"),
    Case("D701", lifetime(90, 20), lifetime(3, 4), "table 1.3: ends in 20 days", Severity.NOTE),
    Case("D701", lifetime(10, 3), lifetime(1, 6), "ends in 3 days", Severity.WARNING),
    Case("D701", lifetime(7, 0.5), lifetime(0.1, 0.5), "ends in 12 hours", Severity.DANGER),
    Case("D701", lifetime(7, -1), lifetime(90, 100), "ended 24 hours ago", Severity.DANGER),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{n}-{case.id}") for n, case in enumerate(CASES)])
def test_each_case(case: Case) -> None:
    (found,) = findings(case.bad, [ALL[case.id]])
    assert case.words in f"{found.where}: {found.what}"
    assert found.severity is (case.severity or ALL[case.id].severity)
    assert list(findings(case.good, [ALL[case.id]])) == []


def test_every_check_has_examples() -> None:
    assert {each["id"] for each in TEXTS} | {case.id for case in CASES} == set(ALL)


def test_ids_are_sorted_into_groups_and_names_are_told_apart() -> None:
    assert list(ALL) == sorted(ALL)
    assert len({each.name for each in ALL.values()}) == len(ALL)
    with pytest.raises(ValueError, match="D101 is taken"):
        check("D101", "again", Severity.NOTE, "", "")(lambda _: ())
    assert CHECKS["D101"] is ALL["D101"]


def test_nothing_known_is_nothing_said() -> None:
    assert list(findings(Facts(NOW), ALL.values())) == []


def test_the_worst_comes_first_and_is_said_once() -> None:
    known = Facts(NOW, files=(FileMode(Path("/x"), "state", 0o777, 0), FileMode(Path("/x"), "state", 0o777, 0)), admits=False)
    found = list(findings(known, ALL.values()))
    assert [each.check.id for each in found] == ["D402", "D406"]
    assert isinstance(found[0], Finding)
    assert found[0].as_json()["severity"] == "danger"


def test_streams_of_a_shadowed_image_are_a_warning() -> None:
    stream = {"local": "a.example", "remote": "evil.example", "secure": True}
    known = Facts(NOW, images=(replace(IMAGE, mode="shadow"),), live={"streams": [stream]})
    (found,) = findings(known, [ALL["D303"]])
    assert (found.severity, "would refuse" in found.what) == (Severity.WARNING, True)


@pytest.mark.parametrize("text", ["[]", "7", "{", '"x"'])
def test_statuses_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(text)
    with pytest.raises(BadSettings, match="is no status"):
        gathered(Asked(status=tmp_path / "status.json"), NOW)


@pytest.mark.parametrize(
    "text", ['{"module": {"facts": 7, "streams": [1, {"secure": 3}], "images": [], "server": []}}', '{"facts": []}', "{}"]
)
def test_odd_statuses_say_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(text)
    known = gathered(Asked(status=tmp_path / "status.json"), NOW)
    assert [each.check.id for each in findings(known, ALL.values())] == ["D301"]


def test_saved_answers_of_the_agent_are_understood(tmp_path: Path) -> None:
    status = {"standing": "fresh", "module": {"module": "0", "server": "prosody", "facts": {"secure_auth": False}}}
    for name, content in (("plain", status), ("answer", {"schema": "x", "status": status})):
        (tmp_path / name).write_text(json.dumps(content))
        assert found_by("D101", gathered(Asked(status=tmp_path / name), NOW))
