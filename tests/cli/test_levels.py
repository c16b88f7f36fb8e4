"""Levels from folders: shown, compared and explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clearinghouse.federation.published.members import Member, seal_member, written
from tests.cli.conftest import ANN, HUB, Command, credential
from tests.docs.pages import ROOT

DEMO = ("--policies", str(ROOT / "policies/federation-demo"), "--credentials", str(ROOT / "credentials/federation-demo"))
NORTH, SOUTH, WEST = (f"{name}.fed.example" for name in ("north", "south", "west"))
ALL = (NORTH, SOUTH, WEST)
NOW = ("--now", "2026-11-20")


def test_each_member_and_its_level(run: Command) -> None:
    shown = run("levels", "show", *DEMO, *NOW, *ALL, "elsewhere.example")
    assert shown.status == 0
    assert [line.split() for line in shown.out.splitlines()[2:6]] == [
        [NORTH, "level-3"],
        [SOUTH, "level-2"],
        [WEST, "level-1"],
        ["elsewhere.example", "deny"],
    ]
    assert "4 members: 1 with level-3, 1 with level-2, 1 with level-1, 1 with deny" in shown.out


def test_as_one_server_sees_it_and_as_each_does(run: Command) -> None:
    views = run("levels", "show", *DEMO, *NOW, *ALL, "--pairs", "--json").json["audiences"]
    assert views[WEST]["rows"] == {NORTH: "level-3", SOUTH: "level-2"}
    assert views[SOUTH]["rows"][WEST] == "level-2"
    alone = run("levels", "show", *DEMO, *NOW, *ALL, "--audience", WEST).out
    assert f"for {WEST}" in alone
    assert "1 with deny" in alone
    assert "for the server of each column" in run("levels", "show", *DEMO, *NOW, *ALL, "--pairs").out


def test_until_when_it_stays_so(run: Command) -> None:
    found = run("levels", "show", *DEMO, "--now", "2026-11-14T23:00:00Z", SOUTH, "--json").json
    assert (found["audiences"]["*"]["rows"], found["stable_until"]) == ({SOUTH: "level-1"}, "2026-11-15T00:00:00.000000Z")


def test_records_of_members_with_their_keys(run: Command, desk: Path) -> None:
    policies(desk, f'Authorizer: "POLICY"\nLicensees: "{ANN.principal}"\nConditions: operation == "federate" -> "level-1";\n')
    draft, record = Member("a.example", "net", keys=(ANN.principal,)), Member("b.example", "net", keys=(ANN.principal,))
    gone = Member("c.example", "net", keys=(ANN.principal,), removed=True)
    lines = (written(draft), seal_member(record, [HUB]), written(gone), b"# by name", b"D.Example.")
    (desk / "members").write_bytes(b"\n".join(lines))
    found = run("levels", "show", "--members", "members", "--json").json
    assert found["members"] == ["a.example", "b.example", "d.example"]
    assert found["audiences"]["*"]["rows"] == {"a.example": "level-1", "b.example": "level-1"}
    assert run("levels", "explain", "a.example", "--members", "members").status == 0
    assert run("levels", "explain", "a.example").status == 1


def test_an_explanation_draws_no_policies_of_other_groups(run: Command, desk: Path) -> None:
    policies(desk, 'Authorizer: "POLICY"\nLicensees: "xmpp:a.example"\nConditions: operation == "federate" -> "level-1";\n')
    people = desk / "policies/people"
    people.mkdir()
    (people / "operators.kn").write_text('Authorizer: "POLICY"\nLicensees: "unix:ann"\nConditions: operation == "administer" -> "allow";\n')
    drawn = run("levels", "explain", "z.example")
    assert (drawn.status, "operators.kn" in drawn.out) == (1, False)


def test_what_member_list_prints_is_a_list_of_members(run: Command, desk: Path) -> None:
    policies(desk, f'Authorizer: "POLICY"\nLicensees: "{ANN.principal}"\nConditions: operation == "federate" -> "level-1";\n')
    rows = [{"domain": "a.example", "keys": [ANN.principal], "removed": "no"}, {"domain": "b.example", "keys": []}]
    (desk / "members.json").write_text(json.dumps({"command": "member list", "members": rows, "drafts": []}, indent=2))
    found = run("levels", "show", "--members", "members.json", "--json").json
    assert (found["members"], found["audiences"]["*"]["rows"]) == (["a.example", "b.example"], {"a.example": "level-1"})


def test_what_reads_a_live_connection_is_named(run: Command, desk: Path) -> None:
    policies(desk, 'Authorizer: "POLICY"\nLicensees: "xmpp:a.example"\nConditions: from_domain == "a.example" && tls_version != "";\n')
    shown = run("levels", "show", "a.example")
    assert "federate/levels.kn: nothing that it says counts in a table: it reads `tls_version`" in " ".join(shown.err.split())
    policies(desk, 'Authorizer: "POLICY"\nLicensees: "xmpp:a.example"\nConditions: from_domain == "a.example" && tls_version == "";\n')
    explained = run("levels", "explain", "a.example")
    assert explained.status == 1
    assert "(fact-missing)" in explained.out
    assert run("levels", "explain", "a.example", "--json").json["reason"]["code"] == "fact-missing"
    assert "(fact-missing)" in run("levels", "show", "a.example").out


def test_who_wins_and_loses_at_another_time(run: Command) -> None:
    shown = run("levels", "diff", *DEMO, *NOW, *ALL, "--to-now", "2027-10-02", "--audience", "*", "--audience", WEST)
    assert shown.status == 0
    assert f"{NORTH} loses: level-3 -> deny" in shown.out
    assert shown.out.count(" loses: ") == 4
    assert "4 levels change: 0 gained, 0 raised, 0 lowered, 4 lost" in shown.out
    assert run("levels", "diff", *DEMO, *NOW, *ALL, "--to-now", "2026-11-21").out == "nobody's level changes\n"


def test_more_changes_than_are_wanted_are_told_by_the_status(run: Command, desk: Path) -> None:
    (desk / "fewer").mkdir()
    source = ROOT / "credentials/federation-demo/south-member.kn"
    (desk / "fewer" / source.name).write_bytes(source.read_bytes())
    words = ("levels", "diff", *DEMO, *NOW, *ALL, "--to-credentials", "fewer")
    assert [run(*words, "--threshold", number).status for number in ("3", "2")] == [0, 1]
    found = run(*words, "--json").json
    assert found["changes"]["*"] == [
        {"domain": NORTH, "before": "level-3", "after": "deny"},
        {"domain": SOUTH, "before": "level-2", "after": "level-1"},
        {"domain": WEST, "before": "level-1", "after": "deny"},
    ]
    assert (found["count"], found["ok"]) == (3, True)
    assert run("levels", "diff", *DEMO, *ALL).status == 2


def test_why_a_member_has_its_level(run: Command) -> None:
    shown = run("levels", "explain", WEST, *DEMO, *NOW, "--audience", SOUTH)
    assert shown.status == 0
    assert shown.out.startswith(f"{WEST} has level-2 for {SOUTH}\n")
    assert "SouthKeeper" in shown.out
    assert "for level-3 is missing" in shown.out
    found = run("levels", "explain", WEST, *DEMO, *NOW, "--json").json
    assert (found["level"], found["proof"]["value"], found["audience"]) == ("level-1", "level-1", "*")
    assert run("levels", "explain", "elsewhere.example", *DEMO).status == 1


def test_settings_say_what_options_do_not(run: Command, desk: Path) -> None:
    text = 'Authorizer: "POLICY"\nLicensees: "xmpp:a.example"\nConditions: operation == "federate" && community == "net" -> "gold";\n'
    policies(desk, text)
    (desk / "clearinghouse.toml").write_text('community = "net"\nlevels = ["deny", "gold"]\n')
    assert run("levels", "show", "a.example", "--json").json["audiences"]["*"]["rows"] == {"a.example": "gold"}
    other = run("levels", "show", "a.example", "--community", "other", "--json").json
    assert (other["audiences"]["*"]["rows"], other["levels"]) == ({}, ["deny", "gold"])


@pytest.mark.parametrize(
    "words, says",
    [
        (("show", "a.example"), "this folder cannot be read"),
        (
            ("show", "a.example", "--policies", str(ROOT / "policies/paper-section-3"), "--credentials", "."),
            "there is no policy for levels",
        ),
        (("show", *DEMO), "no member is named"),
        (("show", *DEMO, "192.0.2.1"), "is an address"),
        (("show", *DEMO, "a.example", "--levels", "deny"), "is one value"),
        (("show", *DEMO, *(f"d{number}.example" for number in range(41)), "--pairs"), "do not fit beside each other"),
        (("show", *DEMO, "--members", "broken.kn"), "broken.kn:1"),
        (("show", *DEMO, "a.example", "--audience", "no domain"), "no name of a server"),
    ],
)
def test_what_cannot_be_used_is_said(run: Command, words: tuple[str, ...], says: str) -> None:
    told = run("levels", *words)
    assert told.status == 2
    assert says in " ".join(told.err.split())


def test_a_file_that_cannot_be_loaded_is_left_out_and_named(run: Command, desk: Path) -> None:
    policies(desk, 'Authorizer: "POLICY"\nLicensees: "xmpp:a.example"\nConditions: operation == "federate" -> "level-1";\n')
    (desk / "policies/federate/broken.kn").write_text('Authorizer: "POLICY"\nLicensee: "hub"\n')
    shown = run("levels", "show", "a.example")
    assert (shown.status, "level-1" in shown.out, "federate/broken.kn" in shown.err) == (0, True, True)
    (desk / "policies/federate/levels.kn").unlink()
    assert "not a field of KeyNote" in run("levels", "show", "a.example").err


def policies(desk: Path, text: str) -> None:
    folder = desk / "policies/federate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "levels.kn").write_text(text)
    (desk / "credentials").mkdir(exist_ok=True)
    (desk / "credentials/ann.kn").write_bytes(credential(ANN.principal))
