"""Members' records: what the registrar signs is whole, or it is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clearinghouse.clearing.wire import canonical
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.membership.enrolment import Change, applied, change_between, read_wanted
from clearinghouse.federation.published import members
from clearinghouse.federation.published.documents import MAX_MEMBER_BYTES
from clearinghouse.federation.published.members import Endpoint, Member, read_member, seal_member
from tests.presses import COMMUNITY, NOW, key, member, who

GOOD = members.as_members(
    member("a.example", 3, agent="https://agent.a.example/", component="agent.a.example", contacts=("ops@a.example",))
)


def test_a_record_is_read_as_it_was_signed() -> None:
    record = member("a.example", 3, endpoints=(Endpoint("xmpp.a.example"), Endpoint("192.0.2.7", 5270, "direct")))
    read = read_member(seal_member(record, [key("registrar"), key("a.example")]))
    assert read.member == record
    assert read.signers == who("registrar", "a.example")


def test_the_least_that_a_record_says() -> None:
    record = Member("a.example", COMMUNITY, issued=NOW)
    assert members.read_payload(members.written(record)) == record


@pytest.mark.parametrize(
    "name, value",
    [
        ("domain", "A.example"),
        ("domain", "192.0.2.1"),
        ("domain", "a.example."),
        ("domain", "bücher.example"),
        ("domain", "community"),
        ("domain", "root"),
        ("domain", ""),
        ("community", ""),
        ("keys", ["nobody"]),
        ("keys", ["ed25519-hex:00"]),
        ("keys", [who("a")[0].upper()]),
        ("keys", [*who("a", "a")]),
        ("keys", [*who(*"abcdefghi")]),
        ("keys", [1]),
        ("endpoints", [{"host": "", "port": 1, "tls": "start"}]),
        ("endpoints", [{"host": "a b", "port": 1, "tls": "start"}]),
        ("endpoints", [{"host": "a", "port": 0, "tls": "start"}]),
        ("endpoints", [{"host": "a", "port": 65_536, "tls": "start"}]),
        ("endpoints", [{"host": "a", "port": 5269, "tls": "none"}]),
        ("endpoints", [{"host": "a", "port": 5269}]),
        ("endpoints", ["a"]),
        ("endpoints", [{"host": "a", "port": 5269, "tls": "start"}] * 17),
        ("agent", "http://agent.a.example/"),
        ("agent", "https://agent a/"),
        ("component", "a b"),
        ("contacts", ["x"] * 17),
        ("contacts", ["x" * 1_024]),
        ("note", "x" * 1_024),
        ("source", "a\0b"),
        ("serial", 0),
        ("serial", -1),
        ("serial", 10**15),
        ("serial", "1"),
        ("removed", "maybe"),
        ("removed", True),
        ("issued", "2026-11-20"),
        ("another", "member"),
    ],
    ids=repr,
)
def test_a_record_that_is_none(name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(ClearinghouseError) as refused:
        members.read_payload(canonical({**GOOD, name: value}))
    assert refused.value.code == "malformed-document"


PIN, OTHER = "0" * 63 + "1", "f" * 64


def test_a_record_without_pins_keeps_its_bytes() -> None:
    assert b"pins" not in members.written(member("a.example"))
    record = member("a.example", pins=(PIN, OTHER))
    assert b'"note":"","pins":["' in members.written(record)
    assert members.read_payload(members.written(record)) == record


@pytest.mark.parametrize(
    "found",
    [[], [PIN.upper().replace("0", "A")], [OTHER, PIN], [PIN, PIN], ["12"], [1], "x", [f"{n:064x}" for n in range(9)], [f"{PIN} "]],
    ids=repr,
)
def test_pins_have_one_form(found: Any) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(ClearinghouseError) as refused:
        members.read_payload(canonical({**GOOD, "pins": found}))
    assert refused.value.code == "malformed-document"


def changed(before: Member, **words: str) -> Member:
    wanted = read_wanted("change", {"domain": before.domain, **words})
    return applied(wanted, before, community=COMMUNITY, serial=before.serial + 1, now=NOW, source="test")


def test_pins_come_in_any_form_and_a_change_of_them_is_one_of_the_address() -> None:
    colons = ":".join(OTHER[n : n + 2] for n in range(0, 64, 2)).upper()
    before = member("a.example")
    made = changed(before, pins=f"{colons} {PIN} {PIN}")
    assert made.pins == (PIN, OTHER)
    assert change_between(before, made) is Change.ADDRESS
    assert changed(made, note="x").pins == (PIN, OTHER)
    assert changed(made, pins="none").pins == changed(made, pins="").pins == ()
    with pytest.raises(ClearinghouseError, match="no SHA-256"):
        changed(before, pins="12")


def test_a_record_without_a_member() -> None:
    for name in GOOD:
        with pytest.raises(ClearinghouseError, match="has no member"):
            members.read_payload(canonical({each: value for each, value in GOOD.items() if each != name}))


def test_a_record_is_not_written_that_could_not_be_read() -> None:
    with pytest.raises(ClearinghouseError, match="no member's name"):
        seal_member(Member("A.example", COMMUNITY, issued=NOW), [key("registrar")])


def test_a_record_that_is_too_long_is_not_opened() -> None:
    with pytest.raises(ClearinghouseError) as refused:
        read_member(b"{" * (MAX_MEMBER_BYTES + 1))
    assert refused.value.code == "endless-data"


def test_equal_sets_of_records_are_equal_lists() -> None:
    records = [seal_member(member(f"m{number}.example"), [key("registrar")]) for number in range(4)]
    assert members.listed(records) == members.listed(reversed(records))
    assert sorted(members.unlisted(members.listed(records))) == sorted(records)
    assert members.unlisted(members.listed([])) == ()


@pytest.mark.parametrize("raw", [b"", b"{}", b"[", b"[1]", b'["a"]', b"[null]", b"[{}]  ", b"[ {} ]", b"[[]]", b"\xff", b"[" * 20_000])
def test_a_list_that_is_none(raw: bytes) -> None:
    with pytest.raises(ClearinghouseError) as refused:
        members.unlisted(raw)
    assert refused.value.code == "malformed-document"


def test_records_that_were_carried_in_files_are_listed_in_one_form() -> None:
    record = seal_member(member("a.example"), [key("registrar")])
    laid_out = json.dumps(json.loads(record), indent=2).encode() + b"\n"
    assert members.listed([laid_out]) == members.listed([record + b"\n"]) == members.listed([record])


def test_a_list_in_another_order_is_none() -> None:
    records = sorted(seal_member(member(f"m{number}.example"), [key("registrar")]) for number in range(3))
    with pytest.raises(ClearinghouseError, match="not in its one form"):
        members.unlisted(b"[%b]" % b",".join(reversed(records)))
