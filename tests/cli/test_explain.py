"""``explain``: the picture of the delegations."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.keynote.signing import sign
from tests.cli.conftest import ANN, EVE, HUB, Command, credential

ASK = ("--policy", "topic.kn", "--credential", "ann.kn", "--now", "2026-11-20", "--attribute", "operation=subscribe")
NEWS = (*ASK, "--authorizer", ANN.principal, "--attribute", "topic=news")

GRANTED = """\
allow   of deny < ask < allow
asked by Ed25519 key {ann}…
stands until 2027-01-01 00:00:00 UTC, if nothing but the time changes

POLICY has allow
└── ✔ policy {policy} gives allow  topic.kn
      clause 2: operation is `subscribe`, topic is `news`
    └── Hub (ed25519-{hub}) has allow
        └── ✔ credential {credential} gives allow  ann.kn
              clause 1: operation is `subscribe`, date is `20261120`
            └── ed25519-{ann} asks
"""


def picture(run: Command, *words: str) -> list[str]:
    """Return the lines; the tree fits 80 columns, and the messages around it are not broken in a file or pipe."""
    found = run("explain", *words)
    lines = found.out.splitlines()
    tree = [line for line in lines if line.startswith(("POLICY", "├", "│", "└", "    "))]
    assert tree
    assert all(len(line) <= 80 for line in tree)
    assert "\x1b" not in found.out
    return [line.rstrip() for line in lines]


def test_what_held(run: Command) -> None:
    told = run(*("explain", *NEWS), "--json").json["proof"]["chain"]
    wanted = GRANTED.format(ann=ANN.principal[12:20], hub=HUB.principal[12:20], policy=told[0]["id"][:8], credential=told[1]["id"][:8])
    assert picture(run, *NEWS) == wanted.splitlines()


def test_what_failed_is_shown_with_the_values(run: Command) -> None:
    lines = picture(run, *NEWS[:-1], "topic=people")
    assert lines[0] == "deny   of deny < ask < allow"
    assert '      clause 1: `topic == "incidents"` failed: `topic` is `people`' in lines
    assert '      clause 2: `topic == "news"` failed: `topic` is `people`' in lines
    assert lines[-2] == "for allow is missing"
    assert "topic" in lines[-1]
    assert run("explain", *NEWS[:-1], "topic=people").status == 1


def test_a_stranger_sees_where_the_way_begins(run: Command) -> None:
    lines = picture(run, *ASK, "--authorizer", EVE.principal)
    assert "POLICY has nothing" in lines
    assert any("a licence for `ed25519-" in line and "Hub (" in line for line in lines)


def test_what_leads_nowhere_is_counted(run: Command, desk: Path) -> None:
    (desk / "others.kn").write_bytes(b"\n".join(credential(f"user-{number}") for number in range(20)))
    lines = picture(run, *NEWS, "--credential", "others.kn")
    assert "        └── and 20 more, which lead to nobody who asks" in lines
    assert not any("user-" in line for line in lines)
    everything = picture(run, *NEWS, "--credential", "others.kn", "--all")
    assert sum("user-" in line for line in everything) == 20
    stranger = picture(run, *ASK, "--credential", "others.kn", "--authorizer", EVE.principal)
    assert sum("user-" in line for line in stranger) == 2


def test_several_licensees_are_said_in_words(run: Command, desk: Path) -> None:
    (desk / "groups.kn").write_text("""\
Authorizer: "POLICY"
Licensees: "a" && ("b" || 2-of("c", "d", "e"))
Conditions: true -> "ask";

Authorizer: "POLICY"
Licensees: "a" || "b"
Conditions: true -> "unheard";
  1/0 == 1 -> { true; };
  true -> { x == "1"; };

Authorizer: "POLICY"
Licensees: "a"
Conditions:

Authorizer: "POLICY"
Licensees: "a"
Conditions: a == "1" && b == "2" && c == "3" && d == "4" && e == "5" && f == "6";

Authorizer: "POLICY"
Licensees: whoever
Conditions: true -> "deny";

Authorizer: "b"
Licensees: "b"
""")
    lines = picture(run, "--policy", "groups.kn", "--authorizer", "a", "--attribute", "whoever=a")
    told = "\n".join(line.lstrip("│ ├└─") for line in lines)
    for words in (
        "for a and (b or (2 of c, d, e))",
        "its licensees have too little",
        "for a or b",
        "clause 1: `unheard` is not a value of this query",
        "clause 2: division by zero",
        "its Conditions are empty",
        'clause 1: `a == "1"` failed: `a` is not set',
        'and `b == "2"` failed: `b` is not set',
        "and 2 more",
        "b has nothing, see above",
    ):
        assert words in told


def test_left_out_files_are_part_of_the_picture(run: Command) -> None:
    found = run("explain", *NEWS, "--credential", "tampered.kn", "--policy", "broken.kn")
    assert found.status == 0
    assert "left out" in found.out
    assert "broken.kn: line 2, column 1: `Licensee` is not a field" in found.out
    assert "tampered.kn: the signature does not verify" in found.out


def test_only_the_operator_names_keys(run: Command, desk: Path) -> None:
    """A stranger's credential cannot call another key `Hub`."""
    text = f'Local-Constants: Hub = "{EVE.principal}"\nAuthorizer: "{ANN.principal}"\nLicensees: Hub\n'
    (desk / "eve.kn").write_bytes(sign(text.encode(), ANN))
    lines = picture(run, *ASK, "--credential", "eve.kn", "--authorizer", EVE.principal, "--attribute", "topic=news")
    assert any(f"Hub (ed25519-{HUB.principal[12:20]})" in line for line in lines)
    assert not any("Hub (ed25519-" + EVE.principal[12:20] in line for line in lines)


@pytest.mark.parametrize("length", [3, 80])
def test_long_chains_are_drawn_in_80_columns(run: Command, desk: Path, length: int) -> None:
    links = [f'Authorizer: "k{number}"\nLicensees: "k{number + 1}"\n' for number in range(length)]
    (desk / "chain.kn").write_text("\n".join(['Authorizer: "POLICY"\nLicensees: "k0"\n', *links]))
    lines = picture(run, "--policy", "chain.kn", "--authorizer", f"k{length}") if length < 10 else []
    found = run("explain", "--policy", "chain.kn", "--authorizer", f"k{length}")
    assert found.status == (0 if length < 10 else 2)
    assert any(f"k{length} asks" in line for line in lines) or length > 10
