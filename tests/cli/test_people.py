"""The commands of people, against a service of their own in a thread."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.clearing.cases import CaseState
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.doors.control.asking import Asking
from clearinghouse.doors.control.server import control_door
from clearinghouse.settings import read_settings
from tests.cli.conftest import ANN, EVE, Command, credential
from tests.offices import SmallOffice, a_case, a_grant

ME = f"unix:{getpass.getuser()}"
STATE: dict[str, Any] = {"brokers": {"pubsub.hub.example": True}, "grants": 1, "decisions_lost": 0}
CASE = "3f2a91c4aabbccdd"


@pytest.fixture
def office() -> SmallOffice:
    """Return an office in which this user and Ann may do everything; one case is open, one grant holds."""
    found = SmallOffice(frozenset({ME, ANN.principal}))
    found.cases[CASE] = a_case()
    found.held["77aa00112233ffee"] = a_grant()
    return found


@pytest.fixture
def config(desk: Path) -> Path:
    path = desk / "clearinghouse.toml"
    path.write_text(f'community = "csirt-net"\n[[person]]\nname = "keeper"\nlocal = ["{getpass.getuser()}"]\n')
    return path


@pytest.fixture
def service(config: Path, office: SmallOffice) -> Iterator[SmallOffice]:
    """Run the control door of the settings, as the service does."""
    with served(config, office, STATE):
        yield office


@contextmanager
def served(config: Path, office: SmallOffice, state: dict[str, Any]) -> Iterator[None]:
    settings = read_settings(config)
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def answer() -> None:
        async with control_door(settings.control.socket, Asking(office, lambda: state), settings.person_of):
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(answer(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def test_what_waits_is_listed(run: Command, service: SmallOffice) -> None:  # noqa: ARG001 - it runs
    listed = run("pending")
    assert listed.out.splitlines()[0].split() == ["id", "since", "until", "(UTC)", "who", "what"]
    assert "3f2a91c4" in listed.out
    assert "ann@members.example" in listed.out
    told = run("pending", "--json").json
    assert (told["ok"], told["community"], told["count"], told["cases"][0]["id"]) == (True, "csirt-net", 1, CASE)


@pytest.mark.parametrize(
    "wrong,status",
    [({}, 0), ({"brokers": {"pubsub.hub.example": False}}, 1), ({"decisions_lost": 3}, 1)],
    ids=["well", "a broker is away", "decisions were lost"],
)
def test_how_the_service_is(run: Command, office: SmallOffice, config: Path, wrong: dict[str, Any], status: int) -> None:
    with served(config, office, STATE | wrong):
        shown, told = run("status"), run("status", "--json")
    assert (shown.status, told.status, told.json["ok"]) == (status, status, status == 0)
    assert ("is away" in shown.out) == ("brokers" in wrong)
    assert told.json["status"] == STATE | wrong


def test_the_parts_of_the_service_are_shown_line_by_line(run: Command, office: SmallOffice, config: Path) -> None:
    door = {"listen": [["192.0.2.1", 5269]], "listen_tls": [], "answers": {"refused": 2}}
    views = {"*": {"version": 3}, "a.example": {"version": 1}}
    with served(config, office, STATE | {"doors": {"s2s": door}, "federation": {"views": views, "problem": None, "root": {}}}):
        shown = run("status").out.splitlines()
    part = [line.strip() for line in shown[shown.index("  federation:") :]] if "  federation:" in shown else []
    assert {"views: 2", "problem: none", "root: none"} <= set(part)
    assert {"listen: 192.0.2.1:5269", "listen tls: none", "refused: 2"} <= {line.strip() for line in shown}


def test_nothing_waits(run: Command, service: SmallOffice) -> None:
    service.cases.clear()
    assert run("pending").out == "nothing waits that you may see\n"


def test_a_case_is_shown_before_it_is_approved(run: Command, service: SmallOffice) -> None:
    done = run("approve", "3f2a", "--yes", "--for", "30 days")
    assert done.status == 0, done.err
    assert "  requester: xmpp:ann@members.example" in done.out
    assert "case 3f2a91c4 is approved" in done.out
    approval = service.cases[CASE].approvals[0]
    assert (approval.person, approval.door, approval.shown) == ("keeper", Door.OPERATOR, a_case().digest())
    assert approval.period is not None
    assert approval.period.days == 30


def test_nobody_approves_what_they_were_not_asked_about(run: Command, service: SmallOffice) -> None:
    done = run("approve", "3f2a")
    assert (done.status, "nobody is there who could agree" in done.err) == (2, True)
    assert service.cases[CASE].open


def test_a_key_that_cannot_be_used_is_told_before_anybody_reads_the_case(run: Command, service: SmallOffice, desk: Path) -> None:
    (desk / "ann.key").chmod(0o644)
    done = run("approve", "3f2a", "--key", "ann.key")
    assert (done.status, done.out, "chmod 600 ann.key" in done.err) == (2, "", True)
    assert service.cases[CASE].open


def test_further_people_may_be_wanted(run: Command, service: SmallOffice) -> None:
    service.enough = 2
    done = run("approve", "3f2a", "--yes")
    assert "is pending" in done.out
    assert "it waits for 1 more" in done.out
    done = run("approve", "3f2a", "--yes", "--json")
    assert (done.status, done.json["error"]["code"]) == (2, "already-approved")
    done = run("approve", "3f2a", "--yes", "--key", "ann.key")
    assert (done.status, service.cases[CASE].state) == (0, CaseState.APPROVED)
    assert [each.person for each in service.cases[CASE].approvals] == ["keeper", ANN.principal]


def test_a_key_speaks_for_itself(run: Command, service: SmallOffice) -> None:
    assert run("approve", "3f2a", "--yes", "--key", "ann.key").status == 0
    (approval,) = service.cases[CASE].approvals
    assert (approval.door, approval.principals) == (Door.ENVELOPE, (ANN.principal,))


def test_a_key_without_the_right_is_refused_with_its_reason(run: Command, service: SmallOffice) -> None:
    done = run("approve", "3f2a", "--yes", "--key", "eve.key")
    assert (done.status, "policy does not let you do this" in done.err) == (2, True)
    assert service.cases[CASE].open


def test_what_is_signed_elsewhere_is_carried_here(run: Command, service: SmallOffice, desk: Path) -> None:
    (desk / "cases.json").write_text(run("pending", "--json").out)
    elsewhere = ("--from", "cases.json", "--config", "no-such-settings.toml")
    signed = run("approve", "3f2a", "--yes", *elsewhere, "--key", "ann.key", "-o", "yes.json")
    assert (signed.status, signed.err) == (0, "")
    assert "clearinghouse submit yes.json" in signed.out
    assert service.cases[CASE].open
    assert run("submit", "yes.json").status == 0
    assert service.cases[CASE].state is CaseState.APPROVED


def test_nobody_signs_another_case_than_the_one_that_is_shown(run: Command, service: SmallOffice, desk: Path) -> None:
    """R4: whoever writes the list could show one request there, and have another one signed."""
    (desk / "cases.json").write_text(run("pending", "--json").out.replace("jid: ann@members.example", "jid: bob@members.example"))
    done = run("approve", "3f2a", "--yes", "--from", "cases.json", "--key", "ann.key", "-o", "yes.json")
    assert (done.status, "is not what would be approved" in done.err) == (2, True)
    assert not (desk / "yes.json").exists()
    assert service.cases[CASE].open


def test_an_envelope_is_never_written_over_something(run: Command, service: SmallOffice, desk: Path) -> None:  # noqa: ARG001 - it runs
    done = run("approve", "3f2a", "--yes", "--key", "ann.key", "-o", "ann.pub")
    assert (done.status, done.out) == (2, "")
    assert "error: `ann.pub` exists already\n" in done.err
    assert (desk / "ann.pub").read_text() == ANN.principal + "\n"


def test_only_what_is_signed_can_be_carried(run: Command, service: SmallOffice) -> None:
    done = run("approve", "3f2a", "--yes", "-o", "yes.json")
    assert (done.status, "give a key" in done.err) == (2, True)
    assert service.cases[CASE].open


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cases": [{}]}', '{"cases": [], "community": "x"}', '{"cases": 1}'])
def test_a_list_that_is_none_is_refused(run: Command, config: Path, desk: Path, content: str) -> None:  # noqa: ARG001 - it is there
    (desk / "cases.json").write_text(content)
    assert run("approve", "3f2a", "--yes", "--from", "cases.json", "--key", "ann.key").status == 2


@pytest.mark.parametrize("length", ["30", "-1 days", "0 days", "30 moons", "367 days"])
def test_a_length_of_time_that_is_none_is_refused(run: Command, service: SmallOffice, length: str) -> None:
    done = run("approve", "3f2a", "--yes", f"--for={length}")
    assert (done.status, "`--for`" in done.err) == (2, True)
    assert service.cases[CASE].open


def test_a_case_is_denied_with_its_reason(run: Command, service: SmallOffice) -> None:
    assert "is denied" in run("deny", "3f2a", "--reason", "no member any more").out
    assert service.cases[CASE].why == "no member any more"


def test_grants_are_listed_and_ended(run: Command, service: SmallOffice) -> None:
    assert "bob@members.example" in run("grants").out
    assert run("revoke", "--grant", "77aa00112233ffee", "--dry-run").status == 0
    assert service.held["77aa00112233ffee"].ended is None
    done = run("revoke", "--grant", "77aa00112233ffee", "--yes", "--may-ask-again", "--reason", "left us")
    assert (done.status, "loses" in done.out) == (0, True)
    assert service.held["77aa00112233ffee"].affiliation == "none"
    assert run("grants").out == "there are no grants that you may see\n"
    assert "(ended: left us)" in run("grants", "--ended").out


@pytest.mark.parametrize("what", [("--credential", "ab" * 32), ("--key", "eve.pub"), ("--below", EVE.principal)])
def test_who_loses_what_is_said_before_it_is_done(run: Command, service: SmallOffice, what: tuple[str, str]) -> None:
    tried = run("revoke", *what, "--dry-run")
    assert "bob@members.example loses subscribe incidents: allow -> deny, revoked" in tried.out
    assert "done" not in tried.out
    assert not service.revoked
    done = run("revoke", *what, "--yes", "--json").json["changed"]
    assert (done["done"], done["losing"][0]["jid"]) == (True, "bob@members.example")
    (revocation,) = service.revoked.values()
    assert revocation.name in {"ab" * 32, EVE.principal}


@pytest.mark.parametrize(
    "words",
    [(), ("--credential", "ab", "--key", "eve.pub"), ("--key", "eve.pub", "--may-ask-again"), ("--key", "absent.pub")],
    ids=["nothing", "two things", "a key may not ask again", "no such file"],
)
def test_what_is_to_be_revoked_is_said_once(run: Command, service: SmallOffice, words: tuple[str, ...]) -> None:
    assert run("revoke", *words, "--yes").status == 2
    assert not service.revoked


def test_a_revocation_is_signed_where_policy_wants_a_key(run: Command, service: SmallOffice) -> None:
    assert run("revoke", "--below", "eve.pub", "--yes", "--sign-with", "ann.key").status == 0
    assert service.heard[-1].door is Door.ENVELOPE


def test_a_bar_is_lifted(run: Command, service: SmallOffice) -> None:
    run("revoke", "--key", "eve.pub", "--yes", "--reason", "lost")
    assert "lost" in run("lift").out
    assert run("lift", "5e").out.startswith("lifted: ")
    assert service.revoked["5e"].lifted is not None


def test_credentials_come_and_go_with_who_wins_and_loses(run: Command, service: SmallOffice) -> None:
    tried = run("credentials", "add", "ann.kn", "--dry-run")
    assert "bob@members.example wins subscribe incidents" in tried.out
    assert not service.kept
    assert run("credentials", "add", "ann.kn", "--yes").status == 0
    (identity,) = service.kept
    assert service.kept[identity].raw == credential(ANN.principal)
    assert identity[:8] in run("credentials", "list").out
    assert "loses" in run("credentials", "withdraw", identity, "--dry-run").out
    assert run("credentials", "withdraw", identity, "--yes").status == 0
    assert run("credentials", "list").out == "there are no credentials\n"


def test_a_credential_that_is_not_good_is_refused_with_its_line(run: Command, service: SmallOffice) -> None:
    done = run("credentials", "add", "tampered.kn", "--yes", "--json")
    assert (done.status, done.json["error"]["code"]) == (2, "bad-signature")
    assert not service.kept


def test_what_was_decided_is_explained(run: Command, service: SmallOffice) -> None:  # noqa: ARG001 - it runs
    assert run("explain", CASE).out == f"case {CASE}\nit waits for a person\n"
    assert run("explain", CASE, "--json").json["explanation"].startswith("case")
    assert "an id is given, and a question too" in run("explain", CASE, "--policy", "topic.kn").err


def test_without_a_service_the_store_explains(run: Command, config: Path) -> None:  # noqa: ARG001 - it is there
    done = run("explain", CASE)
    assert done.status in {2, 3}
    assert "store" in done.err or "clearinghouse.db" in done.err


@pytest.mark.parametrize(
    "words", [("pending",), ("status",), ("approve", "3f2a", "--yes"), ("grants",), ("lift",), ("credentials", "list")]
)
def test_without_a_service_it_says_what_to_start(run: Command, config: Path, words: tuple[str, ...]) -> None:  # noqa: ARG001 - it is there
    done = run(*words)
    assert (done.status, "start the service: `clearinghouse serve`" in done.err) == (3, True)


def test_hostile_names_do_nothing_to_a_terminal(run: Command, service: SmallOffice) -> None:
    service.cases[CASE] = a_case(topic="\x1b]0;owned\x07\u202enode\nstate: approved")
    for words in (("pending",), ("approve", "3f2a", "--yes")):
        shown = run(*words).out
        assert not any(c in shown for c in "\x1b\x07\u202e")
        assert "\nstate: approved" not in shown


@pytest.mark.parametrize("answer,status,state", [(b"y\n", 0, CaseState.APPROVED), (b"n\n", 1, CaseState.PENDING)])
def test_on_a_terminal_a_person_is_asked(service: SmallOffice, desk: Path, answer: bytes, status: int, state: CaseState) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "clearinghouse", "approve", "3f2a"]
    process = subprocess.Popen(command, cwd=desk, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, answer)
    with suppress(OSError):  # the terminal closes with its last process
        while os.read(ours, 4096):
            pass
    assert process.wait(20) == status
    assert b"ann@members.example" in shown
    assert service.cases[CASE].state is state
    os.close(ours)


PAGES = (
    "status",
    "pending",
    "approve",
    "deny",
    "submit",
    "grants",
    "revoke",
    "lift",
    "desk",
    "credentials list",
    "credentials add",
    "credentials withdraw",
)


@pytest.mark.parametrize("command", PAGES)
def test_help_is_a_page_with_an_example_and_the_exit_status(run: Command, command: str) -> None:
    page = run(*command.split(), "--help").out
    assert f"  clearinghouse {command}" in page.partition("Example")[2]
    assert "Exit status: 0 " in page
    assert all(len(line) <= 80 for line in page.splitlines())


def test_every_answer_is_one_json_object(run: Command, service: SmallOffice) -> None:  # noqa: ARG001 - it runs
    for words in (("pending",), ("grants",), ("lift",), ("credentials", "list"), ("deny", "none"), ("submit", "ann.kn")):
        told = json.loads(run(*words, "--json").out)
        assert list(told)[:3] == ["schema", "command", "ok"]
