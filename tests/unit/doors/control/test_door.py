"""The control door, over a real socket."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.clearing.cases import Case, CaseState
from clearinghouse.clearing.people import Office, Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.doors.control.asking import Asking
from clearinghouse.doors.control.client import NotRunning, Told, call
from clearinghouse.doors.control.server import MAX_CONNECTIONS, MAX_LINE_BYTES, control_door
from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.settings import Settings
from clearinghouse.settings.reading import parse_settings
from tests.offices import NOW, SmallOffice, a_case, a_grant

ME = f"unix:{getpass.getuser()}"


def settings(home: Path, text: str = "") -> Settings:
    person = f'[[person]]\nname = "keeper"\nlocal = ["{getpass.getuser()}"]\n'
    return parse_settings(f'community = "csirt-net"\n{text}{person}', file="clearinghouse.toml", directory=home)


def small_office() -> SmallOffice:
    office = SmallOffice(frozenset({ME}))
    office.cases["3f2a91c4aabbccdd"] = a_case()
    office.held["77aa00112233ffee"] = a_grant()
    return office


@dataclass(slots=True)
class At:
    """A door that is open, and the office behind it."""

    settings: Settings
    office: SmallOffice = field(default_factory=small_office)

    @property
    def path(self) -> Path:
        assert self.settings.control.socket is not None
        return self.settings.control.socket

    async def ask(self, do: str, **words: str) -> dict[str, Any]:
        return await asyncio.to_thread(call, self.settings, do, **words)


def asking(office: Office) -> Asking:
    return Asking(office, lambda: {"decisions_lost": 0})


@asynccontextmanager
async def door(home: Path) -> AsyncIterator[At]:
    at = At(settings(home))
    async with control_door(at.path, asking(at.office), at.settings.person_of):
        yield at


async def test_the_kernel_says_who_speaks_and_the_settings_whose_name_that_is(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        await at.ask("pending")
        (who,) = at.office.heard
    assert (who.person, who.principals, who.door, who.vouched_by) == ("keeper", (ME,), Door.OPERATOR, "")


async def test_somebody_whom_no_settings_name_is_their_principal(tmp_path: Path) -> None:
    office = small_office()
    async with control_door(tmp_path / "control.sock", asking(office), lambda _: None):
        await asyncio.to_thread(call, settings(tmp_path), "pending")
    assert office.heard[0].person == ME


async def test_a_case_is_seen_and_approved(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        told = await at.ask("pending")
        (case,) = told["cases"]
        assert (case["subject"], case["topic"], case["state"]) == ("ann@members.example", "incidents", "pending")
        assert "requester: xmpp:ann@members.example" in case["summary"]
        seen = {"case": case["id"], "shown": case["shown"], "subject": case["subject"], "topic": case["topic"]}
        told = await at.ask("approve", **seen, seconds="3600")
    assert told["ruling"]["case"]["state"] == "approved"
    assert told["ruling"]["waits_for"] == ""
    approval = at.office.cases["3f2a91c4aabbccdd"].approvals[0]
    assert approval.period is not None
    assert approval.period.total_seconds() == 3600


@pytest.mark.parametrize("wrong", [{"shown": ""}, {"subject": "eve@members.example"}, {"topic": "other"}])
async def test_who_approves_says_what_was_seen_word_for_word(wrong: dict[str, str]) -> None:
    office, case = small_office(), a_case()
    seen = {"case": case.id, "shown": case.digest(), "subject": case.subject, "topic": case.topic}
    line = json.dumps({"do": "approve", "with": seen | wrong}).encode()
    answer = await asking(office).answered(Speaker(ME, (ME,), Door.OPERATOR), line)
    assert (answer["ok"], answer["error"]["code"]) == (False, "wrong-case")
    assert office.cases[case.id].open


async def test_what_the_office_refuses_comes_back_with_its_code_mend_and_status(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        with pytest.raises(Told) as caught:
            await at.ask("approve", case="3f2a", shown="00" * 32, subject="ann@members.example", topic="incidents")
        assert (caught.value.as_json()["code"], caught.value.mend, caught.value.exit_code) == ("wrong-case", "look at it again", 2)
        at.office.entitled = frozenset()
        with pytest.raises(Told) as caught:
            await at.ask("pending")
        assert caught.value.as_json()["code"] == "not-entitled"


async def test_everything_that_people_do_has_its_answer(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        assert (await at.ask("case", id="3f2a"))["case"]["state"] == "pending"
        assert "waits for a person" in (await at.ask("explain", id="3f2a"))["explanation"]
        assert (await at.ask("deny", case="3f2a", reason="no"))["ruling"]["case"]["why"] == "no"
        assert (await at.ask("grants"))["grants"][0]["holder"] == "bob@members.example"
        tried = (await at.ask("revoke", what="below", name="key", dry_run="yes"))["changed"]
        assert (tried["done"], tried["losing"][0]["jid"]) == (False, "bob@members.example")
        assert not at.office.revoked
        assert (await at.ask("revoke", what="below", name="key", reason="lost"))["changed"]["done"]
        assert (await at.ask("revocations"))["revocations"][0]["reason"] == "lost"
        assert (await at.ask("lift", revocation="5e"))["revocation"]["lifted"] == NOW.isoformat()
        assert (await at.ask("end-grant", grant="77aa00112233ffee"))["changed"]["done"]
        assert (await at.ask("grants"))["count"] == 0
        assert (await at.ask("grants", ended="yes"))["count"] == 1
        assert (await at.ask("credentials"))["credentials"] == []
        assert (await at.ask("status"))["status"] == {"decisions_lost": 0}
    assert at.office.cases["3f2a91c4aabbccdd"].state is CaseState.DENIED


async def test_what_cannot_be_tried_is_not_done(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        with pytest.raises(Told, match="cannot be tried without doing it"):
            await at.ask("deny", case="3f2a", dry_run="yes")
    assert at.office.cases["3f2a91c4aabbccdd"].open


async def test_a_credential_that_is_not_good_is_refused_with_its_line(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        with pytest.raises(Told) as caught:
            await at.ask("credential-add", credential="no assertion")
        assert caught.value.as_json()["line"] == 1


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{\n",
        b"[]\n",
        b"\xff\n",
        b'{"do": 1}\n',
        b'{"do": "pending", "with": []}\n',
        b'{"do": "pending", "with": {"id": "x"}}\n',
        b'{"do": "case", "with": {"id": 1}}\n',
        b'{"do": "obey"}\n',
        b'{"do": "submit", "with": {"envelope": "%"}}\n',
        b'{"do": "pending", "do": "status"}\n',
    ],
)
async def test_what_is_no_request_is_answered_and_the_next_one_too(tmp_path: Path, line: bytes) -> None:
    async with door(tmp_path) as at:
        reader, writer = await asyncio.open_unix_connection(str(at.path), limit=1 << 20)
        with closing(writer):
            for raw, ok in ((line, False), (b'{"do": "status"}\n', True)):
                writer.write(raw)
                assert json.loads(await reader.readline())["ok"] is ok


async def test_a_line_without_an_end_is_cut_off(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        reader, writer = await asyncio.open_unix_connection(str(at.path))
        with closing(writer):
            writer.write(b"x" * (MAX_LINE_BYTES + 2))
            assert json.loads(await reader.readline())["error"]["code"] == "too-large"
            assert await reader.read() == b""
        assert await at.ask("status")


async def test_more_connections_than_it_bears_are_told_to_come_again(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        held = [await asyncio.open_unix_connection(str(at.path)) for _ in range(MAX_CONNECTIONS)]
        for reader, writer in held:
            writer.write(b'{"do": "status"}\n')
            assert await reader.readline()
        with pytest.raises(Told) as caught:
            await at.ask("status")
        assert (caught.value.as_json()["code"], caught.value.exit_code) == ("busy", 3)
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.05)
        assert await at.ask("status")


async def test_the_socket_is_private_and_goes_with_the_service(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        assert at.path.stat().st_mode & 0o777 == 0o600
    assert not at.path.exists()
    with pytest.raises(NotRunning, match="start the service: `clearinghouse serve`"):
        await at.ask("status")


async def test_a_socket_that_a_killed_service_left_is_replaced(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(tmp_path / "control.sock"))
    async with door(tmp_path) as at:
        assert await at.ask("status")


async def test_a_second_service_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        with pytest.raises(BadSettings, match="somebody answers at"):
            async with control_door(at.path, asking(at.office), lambda _: None):
                pytest.fail("it was opened")
        assert await at.ask("status")


async def test_a_file_in_its_place_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("precious")
    with pytest.raises(BadSettings, match="is no socket"):
        async with door(tmp_path):
            pytest.fail("it was opened")
    assert (tmp_path / "control.sock").read_text() == "precious"


async def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)  # noqa: ASYNC240 - of a test
    with pytest.raises(UnsafeFile, match="can be written by everybody"):
        async with door(tmp_path):
            pytest.fail("it was opened")


async def test_without_a_socket_nobody_is_let_in(tmp_path: Path) -> None:
    without = settings(tmp_path, '[control]\nsocket = ""\n')
    async with control_door(None, asking(small_office()), lambda _: None):
        with pytest.raises(BadSettings, match="have no control socket"):
            call(without, "status")


async def test_an_act_that_has_begun_is_finished_when_the_service_ends(tmp_path: Path) -> None:
    at = At(settings(tmp_path))
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(SmallOffice):
        async def pending(self, who: Speaker) -> Sequence[Case]:
            begun.set()
            await go_on.wait()
            return await SmallOffice.pending(self, who)

    office = Slow(frozenset({ME}), cases=at.office.cases)
    async with control_door(at.path, asking(office), at.settings.person_of):
        told = asyncio.create_task(at.ask("pending"))
        await begun.wait()
        asyncio.get_running_loop().call_later(0.1, go_on.set)
    assert (await told)["count"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_user_without_a_name_is_refused(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.path.chmod(0o666)
        for each in (tmp_path, *tmp_path.parents):
            if each != Path("/") and each != Path("/tmp"):  # noqa: S108 - where the test's folder is
                each.chmod(each.stat().st_mode | 0o011)
        script = "import os, socket, sys; os.setuid(54321); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9999))"
        done = await asyncio.create_subprocess_exec("python3", "-c", script, str(at.path), stdout=asyncio.subprocess.PIPE)
        out, _ = await done.communicate()
    assert b"user 54321 of this machine has no name" in out
    assert not at.office.heard
