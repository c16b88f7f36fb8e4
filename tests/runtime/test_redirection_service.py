"""The door for servers of a whole service: from the handshake to the entry in the log."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clearinghouse.errors import BadSettings
from clearinghouse.runtime.checks import looked_at
from clearinghouse.runtime.people.explaining import explained
from clearinghouse.runtime.records.replay import replay
from tests.commons import Commons, commons, op
from tests.runtime.house import until
from tests.unit.doors.s2s.opening import COMMUNITY, OWN, calling, trusting
from tests.unit.doors.s2s.papers import DAY, NOW, Wish
from tests.unit.doors.s2s.peers import header
from tests.world import assertion

DOOR = f"""
[redirect]
name = "{OWN}"
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
certificate_file = "door.pem"
key_file = "door.key"
anchors_file = "anchors.pem"
"""


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    """Members a and b; a may reach b while it has level 1 and shows the key of its certificate, or its name."""
    made = commons(tmp_path)
    made.text += DOOR
    COMMUNITY.paper(OWN).save(tmp_path, "door")
    made.write("anchors.pem", COMMUNITY.pem)
    return made


@asynccontextmanager
async def peopled(home: Commons) -> AsyncIterator[Any]:
    async with home.open() as service:
        await home.enrols("a.example", endpoints="192.0.2.1:5269")
        await home.enrols("b.example", endpoints="192.0.2.2:5270")
        await home.settled({"a.example": "level-1", "b.example": "level-2"})
        yield service


async def hears(home: Commons, claimed: str = "a.example", wanted: str = "b.example", shown: str = "a.example") -> bytes:
    """Return what the server *shown* hears that says it is *claimed*."""
    door = home.service.s2s
    assert door is not None
    context = trusting(home.directory, COMMUNITY.paper(shown) if shown else None)
    async with calling(door.listen_tls[0], context) as peer:
        return await peer.says(header(f" from='{claimed}' to='{wanted}' version='1.0'"))


async def test_a_member_is_sent_to_where_the_other_one_is_and_the_log_says_why(home: Commons) -> None:
    async with peopled(home) as service:
        told = await hears(home)
        assert b"<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[192.0.2.2]:5270</see-other-host>" in told
        found = re.search(rb"the server of b.example \(decision ([0-9a-f]{12})\)", told)
        assert found is not None
        recorded = await service.store.decision(found[1].decode())
        assert recorded is not None
        said = recorded.attributes
        assert (said["from_level"], said["to_level"]) == ("level-1", "level-2")
        assert (said["auth_method"], said["tls_version"], said["direction"], said["address"]) == ("external", "1.3", "in", "127.0.0.1")
        assert said["certificate_issuer"] == "CN=community"
        assert recorded.decision.request.requesters[0] == "xmpp:a.example"
        assert recorded.decision.request.requesters[1].startswith("ecdsa-hex:")
        again = await replay(recorded, service.store)
        assert again is not None
        assert again.agrees


async def test_answers_that_repeat_a_decision_are_found_and_proven_again_by_their_own_ids(home: Commons) -> None:
    async with peopled(home) as service:
        paper = trusting(home.directory, COMMUNITY.paper("a.example"))
        door = service.s2s
        ids = []
        for _ in range(3):
            async with calling(door.listen_tls[0], paper) as peer:
                told = await peer.says(header(" from='a.example' to='b.example' version='1.0'"))
            ids.append(told.partition(b"(decision ")[2][:12].decode())
            home.now += timedelta(seconds=1)
        first, *others = [await service.store.decision(each) for each in ids]
        assert [each.repeats for each in others] == [first.decision.id] * 2
        assert [each.decision.at for each in others] == [first.decision.at + timedelta(seconds=each) for each in (1, 2)]
        for each in others:
            again = await replay(each, service.store)
            assert again is not None
            assert (again.agrees, again.decision.value) == (True, first.decision.value)
            assert f"the same question as in decision {first.decision.id}" in explained(each, None, None)


async def test_everybody_else_hears_nothing_that_tells_them_apart(home: Commons) -> None:
    async with peopled(home) as service:
        await home.house.enrol(op(), "remove", {"domain": "b.example"})
        await home.settled({"a.example": "level-1"})
        for wanted in ("b.example", "unknown.example"):
            told = await hears(home, wanted=wanted)
            assert b"not permitted: not-granted (decision " in told
        for claimed in ("a.example", "c.example"):
            told = await hears(home, claimed, "b.example", shown="")
            assert b"<policy-violation" in told
            assert b"<text" not in told
        status = service.status()["doors"]["s2s"]
        assert status["answers"]["refused"] == 2
        assert status["answers"].get("redirected", 0) == 0
        reasons = [each.decision.reason.code for each in await service.store.decisions(10)]
        assert reasons.count("no-such-member") == 2


async def test_what_changes_while_it_runs_counts_at_once(home: Commons) -> None:
    async with peopled(home) as service:
        assert b"see-other-host" in await hears(home)
        home.write("policies/federate/levels.kn", assertion("POLICY", "xmpp:b.example", 'from_domain == "b.example"', "level-2"))
        service.reload.set()
        await until(lambda: home.rows() == {"b.example": "level-2"})
        assert b"not permitted: not-granted" in await hears(home)
        await home.house.enrol(op(), "change", {"domain": "a.example", "endpoints": "192.0.2.9:5269"})
        told = await hears(home, "b.example", "a.example", "b.example")
        assert b">192.0.2.9</see-other-host>" in told


async def test_hanging_up_reads_the_certificates_again(home: Commons) -> None:
    async with peopled(home) as service:
        door = service.s2s
        before = await _shown(home, door.listen_tls[0])
        COMMUNITY.paper(OWN, "second.example").save(home.directory, "door")
        service.hang_up()
        assert await _shown(home, door.listen_tls[0]) != before


async def _shown(home: Commons, place: tuple[str, int]) -> bytes:
    async with calling(place, trusting(home.directory, None)) as peer:
        found: bytes = peer.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found


async def test_status_tells_of_the_door(home: Commons) -> None:
    async with peopled(home) as service:
        await hears(home)
        told = json.loads(json.dumps(service.status()))["doors"]["s2s"]
        assert told["listen"] == [["127.0.0.1", service.s2s.listen[0][1]]]
        assert (told["require"], told["answers"], told["precedents"]) == ("certificate", {"redirected": 1}, {"kept": 1, "used": 0})
        assert told["counts"]["redirected"] == 1
    home.text = home.text.replace(DOOR, "")
    async with home.open() as service:
        assert (service.porter, service.s2s) == (None, None)
        assert "doors" not in service.status()


# -- before it begins ------------------------------------------------------------------------------------


async def test_a_door_without_records_of_members_is_refused(home: Commons) -> None:
    home.text = home.text.partition("[federation]")[0] + DOOR
    with pytest.raises(BadSettings, match=r"there is a \[redirect\] and no \[federation\]"):
        async with home.open(published=False):
            pass


def test_and_that_is_said_before(home: Commons) -> None:
    home.text = home.text.partition("[federation]")[0] + DOOR
    assert "there is a [redirect] and no [federation]" in _errors(home)


def _errors(home: Commons) -> str:
    return "\n".join(str(each) for each in looked_at(home.settings).errors)


def test_a_door_of_which_all_is_well_has_no_errors(home: Commons) -> None:
    assert [each for each in _errors(home).splitlines() if "door." in each or "anchors" in each] == []


@pytest.mark.parametrize(
    "change, said",
    [
        ("other name", "is not for `door.hub.example`: have one issued whose names include it"),
        ("expired", "have it renewed, and look at the clock"),
        ("other key", "are no certificate with its key"),
        ("open key", "chmod 600"),
        ("no anchors", "anchors.pem` has no certificates in PEM"),
        ("old list", "revoked.pem` has ended"),
    ],
)
def test_what_is_wrong_with_its_files_is_said_before(home: Commons, change: str, said: str) -> None:
    folder = home.directory
    match change:
        case "other name":
            COMMUNITY.paper("elsewhere.example").save(folder, "door")
        case "expired":
            COMMUNITY.paper(OWN, wish=Wish(ends=NOW - timedelta(hours=1))).save(folder, "door")
        case "other key":
            (folder / "door.key").write_bytes(COMMUNITY.paper(OWN).key_pem)
        case "open key":
            (folder / "door.key").chmod(0o644)
        case "no anchors":
            home.write("anchors.pem", b"")
        case _:
            home.write("revoked.pem", COMMUNITY.revoked(until=NOW - timedelta(hours=1)))
            home.text = home.text.replace('anchors_file = "anchors.pem"', 'anchors_file = "anchors.pem"\nrevocations_file = "revoked.pem"')
    assert said in _errors(home)


def test_what_is_dangerous_is_said_as_such(home: Commons) -> None:
    COMMUNITY.paper("b.example", wish=Wish(ends=NOW + 5 * DAY)).save(home.directory, "b")
    home.text += 'require = "none"\n[[redirect.fronted]]\ndomain = "b.example"\ncertificate_file = "b.pem"\nkey_file = "b.key"\n'
    cautions = "\n".join(looked_at(home.settings).cautions)
    assert "whoever takes over its host can be that member towards everybody" in cautions
    assert "`require` in [redirect] is `none`" in cautions
    assert "the certificate of the door for `b.example` ends at" in cautions
