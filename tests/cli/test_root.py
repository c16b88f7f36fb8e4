"""``root``: a ceremony from the first draft to the third generation, and everything that can be done wrong on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.clearing.dsse import REVOCATIONS, opened
from clearinghouse.federation.published import revocations, roots
from clearinghouse.federation.published.documents import digest
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.keynote.keys import write_key_file
from tests.cli.conftest import Command
from tests.cli.test_pages import documented
from tests.presses import Press, key, made, plan, sealed

KEYS = ("r1", "r2", "r3", "r4", "table", "timestamp", "revoker", "registrar")
INIT = (
    *("root", "init", "--community", "csirt-net", "--root", "r1.pub", "--root", "r2.pub", "--root", "r3.pub", "--threshold", "2"),
    *("--table", "table.pub", "--timestamp", "timestamp.pub", "--revoker", "revoker.pub", "--registrar", "registrar.pub"),
)


@pytest.fixture(autouse=True)
def keys(desk: Path) -> None:
    for name in KEYS:
        write_key_file(desk / f"{name}.key", key(name))
        (desk / f"{name}.pub").write_text(key(name).principal + "\n")


def signed(run: Command, file: str, *names: str) -> str:
    """Have *names* sign *file* one after the other, and return the last file."""
    for at, name in enumerate(names):
        after = f"{Path(file).stem}-{at}{name}.json"
        assert run("root", "sign", file, "--key", f"{name}.key", "-o", after).status == 0
        file = after
    return file


def first(run: Command) -> str:
    assert run(*INIT, "-o", "draft.json").status == 0
    return signed(run, "draft.json", "r1", "r2", "r2", "r1")


def test_a_whole_ceremony(run: Command) -> None:
    made_first = first(run)
    shown = run("root", "show", made_first)
    assert "2 of 3 sign together" in shown.out
    assert shown.out.count("has signed") == 2
    assert shown.out.count("has not signed") == 1
    verified = run("root", "verify", made_first, "--json").json
    assert verified["ok"]
    assert verified["pin"] == run("root", "show", made_first, "--json").json["digest"]
    assert run("root", "verify", made_first, "--pin", verified["pin"]).status == 0
    assert run("root", "verify", made_first, "--pin", "0" * 64).status == 1


def test_without_an_output_nothing_is_signed(run: Command, desk: Path) -> None:
    assert run(*INIT, "-o", "draft.json").status == 0
    before = sorted(desk.iterdir())
    shown = run("root", "sign", "draft.json", "--key", "r1.key")
    assert shown.status == 0
    assert "would sign 4 role credentials" in shown.out
    assert sorted(desk.iterdir()) == before


def test_nothing_is_overwritten(run: Command, desk: Path) -> None:
    assert run(*INIT, "-o", "draft.json").status == 0
    draft = (desk / "draft.json").read_bytes()
    for words in (
        (*INIT, "-o", "draft.json"),
        ("root", "sign", "draft.json", "--key", "r1.key", "-o", "draft.json"),
        ("root", "combine", "draft.json", "-o", "draft.json"),
    ):
        refused = run(*words)
        assert (refused.status, "exists already" in refused.err) == (2, True)
    assert (desk / "draft.json").read_bytes() == draft


def test_copies_that_were_signed_apart_are_combined(run: Command) -> None:
    assert run(*INIT, "-o", "draft.json").status == 0
    for name in ("r1", "r3"):
        assert run("root", "sign", "draft.json", "--key", f"{name}.key", "-o", f"{name}.json").status == 0
    assert run("root", "combine", "r1.json", "r3.json", "-o", "both.json").status == 0
    for name in ("r1", "r3"):
        assert run("root", "sign", "both.json", "--key", f"{name}.key", "-o", f"root-{name}.json").status == 0
    assert run("root", "combine", "root-r1.json", "root-r3.json", "-o", "1.json").status == 0
    assert run("root", "verify", "1.json").status == 0
    mixed = run("root", "combine", "1.json", "both.json", "-o", "x.json", "--json").json
    assert mixed["error"]["code"] == "wrong-ceremony"


def test_three_generations_a_new_epoch_and_another_root(run: Command) -> None:
    line = [first(run)]
    assert run("root", "rotate", line[0], "--days", "400", "-o", "d2.json").status == 0
    line.append(signed(run, "d2.json", "r2", "r3", "r3", "r2"))
    rotate = ("root", "rotate", line[1], "--root", "r2.pub", "--root", "r3.pub", "--root", "r4.pub", "--new-epoch", "-o", "d3.json")
    begun = run(*rotate, "--json").json
    assert (begun["generation"], begun["epoch"], len(begun["unsigned"])) == (3, 2, 3)
    line.append(signed(run, "d3.json", "r2", "r4", "r4", "r3", "r2"))
    verified = run("root", "verify", *line, "--json").json
    assert (verified["ok"], verified["root"]["generation"], verified["root"]["epoch"]) == (True, 3, 2)
    for wrong, code in ((line[:1] + line[2:], "root-gap"), (line[:1] + line[:1], "root-rollback")):
        refused = run("root", "verify", *wrong, "--json").json
        assert [each["code"] for each in refused["errors"]] == [code]


def test_the_old_roots_have_to_sign_too(run: Command) -> None:
    line = [first(run)]
    assert run("root", "rotate", line[0], "--root", "r4.pub", "--threshold", "1", "-o", "d2.json").status == 0
    line.append(signed(run, "d2.json", "r4", "r4", "r1"))
    refused = run("root", "verify", *line)
    assert (refused.status, "have the roots sign it" in refused.out) == (1, True)
    line[1] = signed(run, line[1], "r3")
    assert run("root", "verify", *line).status == 0


@pytest.mark.parametrize(
    "words, code",
    [
        ((*INIT[:-2], "-o", "x.json"), "wrong-ceremony"),
        ((*INIT, "--threshold", "4", "-o", "x.json"), "wrong-ceremony"),
        ((*INIT, "--table", "r1.pub", "-o", "x.json"), "wrong-ceremony"),
        ((*INIT, "--needs", "table=2", "-o", "x.json"), "wrong-ceremony"),
        ((*INIT, "--needs", "table", "-o", "x.json"), "bad-settings"),
        ((*INIT, "--needs", "grant=1", "-o", "x.json"), "bad-settings"),
        ((*INIT, "--grant", "xmpp:ann@a.example", "-o", "x.json"), "bad-settings"),
        (("root", "show", "hub.key"), "malformed-envelope"),
        (("root", "show", "nowhere.json"), "bad-settings"),
        (("root", "verify", "topic.kn"), "malformed-envelope"),
        (("root", "sign", "topic.kn", "--key", "r1.key"), "malformed-envelope"),
    ],
    ids=str,
)
def test_what_cannot_be_done(run: Command, desk: Path, words: tuple[str, ...], code: str) -> None:
    answer = run(*words, "--json")
    assert answer.status == 2
    assert answer.json["error"]["code"] == code
    assert not (desk / "x.json").exists()


def test_nobody_signs_twice_and_no_table_is_judged_by_a_draft(run: Command, press: Press, desk: Path) -> None:
    assert run("root", "sign", first(run), "--key", "r1.key", "-o", "x.json", "--json").json["error"]["code"] == "nothing-to-sign"
    assert not (desk / "x.json").exists()
    refused = run("table", "verify", "out", "--root", "draft.json", "--pin", press.pin)
    assert (refused.status, "is a draft still" in refused.err) == (2, True)


def test_what_was_written_by_hand_is_shown_and_checked_but_not_rotated(run: Command, desk: Path) -> None:
    root = made(plan())
    by_hand = roots.Root(root.community, 1, 1, root.issued, root.expires, (root.policy[0].replace("Comment: root of csirt-net\n", ""),))
    (desk / "hand.json").write_bytes(sealed(by_hand))
    assert run("root", "show", "hand.json").status == 0
    assert run("root", "rotate", "hand.json", "-o", "x.json", "--json").json["error"]["code"] == "hand-written-root"


def test_every_member_of_the_answers_is_documented(run: Command, desk: Path) -> None:
    (desk / "1.json").write_bytes(sealed(made(plan())))
    answers = [
        run(*INIT, "-o", "draft.json", "--json"),
        run("root", "sign", "draft.json", "--key", "r1.key", "--json"),
        run("root", "combine", "draft.json", "-o", "copy.json", "--json"),
        run("root", "rotate", "1.json", "-o", "d2.json", "--json"),
        run("root", "show", "draft.json", "--json"),
        run("root", "verify", "1.json", "--json"),
    ]
    assert [each.status for each in answers] == [0] * 6
    for each in answers:
        assert {*each.json} - {"schema", "command", "ok"} <= documented()["root"]


# -- revocation sets by hand -----------------------------------------------------------------------------------


def test_sets_are_signed_by_hand_one_after_the_other(run: Command, desk: Path) -> None:
    first_set = (
        "root",
        "revoke",
        "--community",
        "csirt-net",
        "--key",
        "revoker.key",
        "--principal",
        "table.pub",
        "-o",
        "revocations-1.json",
    )
    assert run(*first_set, "--json").json["count"] == 1
    more = ("root", "revoke", "revocations-1.json", "--key", "revoker.key", "--credential", "ab" * 32, "--below", "r1.pub")
    told = run(*more, "-o", "revocations-2.json", "--json").json
    assert (told["version"], told["epoch"], told["count"]) == (2, 1, 3)
    assert {*told} - {"schema", "command", "ok"} <= documented()["root"]
    anew = run("root", "revoke", "revocations-2.json", "--key", "revoker.key", "--epoch", "2", "-o", "next.json", "--json").json
    assert (anew["version"], anew["epoch"], anew["count"]) == (1, 2, 3)
    press = Press()
    raw = (desk / "revocations-2.json").read_bytes().rstrip()
    found = revocations.read_payload(opened(raw, payload_type=REVOCATIONS).payload)
    assert (found.principals, found.credentials, found.below) == ((key("table").principal,), ("ab" * 32,), (key("r1").principal,))
    assert Entitlement.of(press.root).less(found).allows("publish-timestamp", (key("timestamp").principal,), now=press.now) is False


@pytest.mark.parametrize(
    "words",
    [
        ("--principal", "table.pub"),
        ("--community", "csirt-net", "--credential", "abc"),
        ("nowhere.json",),
        ("topic.kn",),
    ],
    ids=str,
)
def test_what_cannot_be_revoked(run: Command, desk: Path, words: tuple[str, ...]) -> None:
    assert run("root", "revoke", *words, "--key", "revoker.key", "-o", "x.json").status == 2
    assert not (desk / "x.json").exists()


# -- table ---------------------------------------------------------------------------------------------------


@pytest.fixture
def press(desk: Path) -> Press:
    """Publish in files, as of today: the commands have no other clock."""
    from datetime import UTC, datetime  # noqa: PLC0415 - the one place that reads a clock

    press = Press(now=datetime.now(UTC).replace(microsecond=0))
    press.prints({"a.example": "level-1", "xn--bcher-kva.example": "level-3"})
    for name, raw in press.documents.items():
        (desk / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (desk / "out" / name).write_bytes(raw)
    return press


def test_a_table_is_shown(run: Command, press: Press) -> None:
    shown = run("table", "show", "out/community/table/1")
    assert "table of csirt-net for the whole community, epoch 1, version 1" in shown.out
    assert "level-3: 1 domain\n" in shown.out
    assert "every other domain has deny" in shown.out
    told = run("table", "show", "out/community/table/1", "--json").json
    assert told["rows"] == press.publisher.last.rows  # type: ignore[union-attr]  # it has printed
    assert {*told} - {"schema", "command", "ok"} <= documented()["table"]
    for domain, level in (("Bücher.example", "level-3"), ("nobody.example", "deny")):
        assert run("table", "show", "out/community/table/1", "--domain", domain, "--json").json["level"] == level


def test_a_table_is_verified(run: Command, press: Press, desk: Path) -> None:
    trust = ("--root", "out/root/1", "--pin", press.pin)
    for where in ("out", "out/community/table/1"):
        answer = run("table", "verify", where, *trust, "--json")
        assert (answer.status, answer.json["table"]["version"]) == (0, 1)
    assert run("table", "verify", "out", *trust[:2], "--pin", "0" * 64, "--json").json["error"]["code"] == "not-the-pinned-root"
    (desk / "out/community/timestamp").write_bytes(b"{}")
    spoiled = run("table", "verify", "out", *trust, "--json")
    assert (spoiled.status, [each["code"] for each in spoiled.json["errors"]]) == (1, ["malformed-envelope"])
    assert "malformed" not in run("table", "verify", "out/community/table/1", *trust).out


def test_a_table_that_is_none_is_named(run: Command, press: Press, desk: Path) -> None:
    table = desk / "out/community/table/1"
    trust = ("--root", "out/root/1", "--pin", press.pin)
    table.write_bytes(table.read_bytes().replace(b'"a.example"', b'"e.example"'))
    assert run("table", "show", str(table), "--json").json["error"]["code"] == "content-mismatch"
    press.signers["table"] = ("mallory",)
    press.prints({"b.example": "level-1"})
    table.write_bytes(press.documents["community/table/2"])
    refused = run("table", "verify", str(table), *trust, "--json")
    assert (refused.status, [each["code"] for each in refused.json["errors"]]) == (1, ["foreign-signer"])
    assert run("table", "show", str(table)).status == 0
    root = digest(roots.written(press.root))
    assert root == press.pin


def test_a_directory_without_what_is_named_is_not_whole(run: Command, press: Press, desk: Path) -> None:
    (desk / "out/revocations/1").unlink()
    answer = run("table", "verify", "out", "--root", "out/root/1", "--pin", press.pin)
    assert answer.status == 1
    assert "a document that is named is not there" in answer.out
