"""Tables over HTTP, XMPP, a broker's node and files: the same bytes everywhere, and strangers learn nothing anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

import httpx
import pytest

from clearinghouse.agent.sources.files import Files
from clearinghouse.agent.sources.xmpp import Xmpp
from clearinghouse.clearing.senders import RateLimited
from clearinghouse.demo.memory import memory_exchange
from clearinghouse.demo.worlds import BROKER, COMPONENT
from clearinghouse.doors.xmpp.documents import INBOX, OUTBOX
from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.federation.membership.reception import MAX_ASKED_BYTES
from clearinghouse.federation.published.documents import digest
from clearinghouse.grid.namespaces import CLEARINGHOUSE
from clearinghouse.grid.requests import write_envelope
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.runtime.asking.rates import Pace, Rates
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.library import QUESTIONS, QUIET, QUIET_TOGETHER, TOGETHER
from clearinghouse.runtime.federation.relay import Relay, RelayFull
from tests.commons import WITH_BROKER, Commons, commons, op
from tests.presses import who
from tests.runtime.house import until

MANY = 1 << 27


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    made = commons(tmp_path)
    made.text = made.text.replace("[control]", WITH_BROKER + "[control]").replace("views = []", 'views = ["b.example"]')
    made.text += f'broker = "{BROKER}"\nexport_directory = "export"\n'
    return made


@asynccontextmanager
async def members(home: Commons, *names: str) -> AsyncIterator[httpx.AsyncClient]:
    async with home.open():
        await home.enrols(*names, component="")
        await until(lambda: home.rows() is not None and len(home.house.roll.present()) == len(names))
        await home.looked()
        async with home.client() as client:
            yield client


def at(home: Commons, jid: str) -> Exchange:
    """Return an exchange for somebody whom a server has authenticated as *jid*."""
    exchange = memory_exchange(home.world.network, jid, {}, lambda _: None)
    home.world.network.attach(jid, exchange.receive)
    return exchange


# -- documents -----------------------------------------------------------------------------------------


async def test_every_way_gives_the_same_bytes_for_each_audience(home: Commons) -> None:
    async with members(home, "a.example", "b.example") as client:
        await home.settled({"a.example": "level-1", "b.example": "level-2"}, "b.example")
        documents = {name: each.body for name, each in home.house.shelf.documents.items()}
        assert {name.split("/")[0] for name in documents} == {"root", "revocations", "community", "b.example"}
        xmpp, files = Xmpp(COMPONENT, "b.example", at(home, "b.example")), Files(home.directory / "export")
        await until(lambda: (home.directory / "export/b.example/timestamp").exists() and exported(home) == set(documents))
        for name, body in documents.items():
            over_http = await client.get(f"/v1/documents/{name}", headers=home.reads("b.example", "b.example"))
            assert over_http.content == body
            assert await xmpp.fetch(name, limit=MANY) == body
            assert await files.fetch(name, limit=MANY) == body


def exported(home: Commons) -> set[str]:
    root = home.directory / "export"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


async def test_a_large_document_comes_over_xmpp_in_pieces(home: Commons) -> None:
    async with members(home, "a.example"):
        large = bytes(range(256)) * 1_000
        home.house.shelf.put({"community/table/9": large}, (), "")
        assert await Xmpp(COMPONENT, "a.example", at(home, "a.example")).fetch("community/table/9", limit=MANY) == large


async def test_the_brokers_node_has_the_newest_timestamp_and_only_agents_read_it(home: Commons) -> None:
    async with members(home, "a.example", "b.example"):
        nodes = home.world.network.broker.nodes
        await until(lambda: "tables/community" in nodes and "tables/b.example" in nodes and bool(nodes["tables/community"].items))
        newest = base64.b64encode(home.timestamp())
        await until(lambda: any(newest in tostring(each) for each in nodes["tables/community"].items.values()))
        assert {jid for jid, role in nodes["tables/community"].affiliations.items() if role == "member"} == {"a.example", "b.example"}
        assert {jid for jid, role in nodes["tables/b.example"].affiliations.items() if role == "member"} == {"b.example"}
        assert nodes["tables/community"].configuration["pubsub#access_model"] == "whitelist"


async def test_a_reader_that_has_a_document_is_not_sent_it_again(home: Commons) -> None:
    async with members(home, "a.example") as client:
        first = await client.get("/v1/documents/community/timestamp", headers=home.reads("a.example"))
        assert first.headers["etag"] == f'"{digest(first.content)}"'
        again = home.reads("a.example") | {"If-None-Match": first.headers["etag"]}
        assert (await client.get("/v1/documents/community/timestamp", headers=again)).status_code == 304
        home.sleep(minutes=4)
        await until(lambda: home.timestamp() != first.content)
        assert (await client.get("/v1/documents/community/timestamp", headers=again)).status_code == 404  # the proof is as old
        again = home.reads("a.example") | {"If-None-Match": first.headers["etag"]}
        assert (await client.get("/v1/documents/community/timestamp", headers=again)).content == home.timestamp()


async def test_whoever_waits_is_told_at_once(home: Commons) -> None:
    async with members(home, "a.example") as client:
        after = digest(home.timestamp())
        waiting = asyncio.create_task(client.get(f"/v1/wait?audience=community&after={after}", headers=home.reads("a.example")))
        await until(lambda: bool(home.house.library._waiters))
        assert not waiting.done()
        await home.enrols("b.example")
        found = await waiting
        assert found.content == home.timestamp()
        assert (await client.get("/v1/wait?audience=community&after=", headers=home.reads("a.example"))).content == home.timestamp()
        assert (await client.get("/v1/wait?audience=b.example&after=", headers=home.reads("a.example"))).status_code == 404


async def test_whoever_waits_and_goes_away_is_forgotten_and_nobody_waits_too_often(home: Commons) -> None:
    async with members(home, "a.example") as client:
        url = f"/v1/wait?audience=community&after={digest(home.timestamp())}"
        waiting = [asyncio.create_task(client.get(url, headers=home.reads("a.example"))) for _ in range(8)]
        await until(lambda: sum(home.house.library._waiters.values()) == 8)
        assert (await client.get(url, headers=home.reads("a.example"))).status_code == 404
        for each in waiting:
            each.cancel()
        await until(lambda: not home.house.library._waiters)


# -- strangers -----------------------------------------------------------------------------------------


async def test_strangers_all_hear_the_same(home: Commons) -> None:
    async with members(home, "a.example", "b.example") as client:
        stale = home.reads("a.example")
        home.sleep(minutes=6)
        await home.looked()
        fetch = home.asked("fetch", {"audience": "*"}, "a.example", to="other-net")
        strangers: tuple[dict[str, str], ...] = (
            {},
            stale,
            home.reads("nobody"),
            home.reads("a.example", "b.example"),
            {"Authorization": "DSSE " + base64.b64encode(fetch).decode()},
            {"Authorization": "DSSE " + base64.b64encode(home.asked("status", {}, "a.example")).decode()},
            {"Authorization": "DSSE ????"},
            {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()},
        )
        answers = [
            await client.get(f"/v1/documents/{name}", headers=each) for each in strangers for name in ("community/timestamp", "root/7")
        ]
        answers += [await client.get("/v1/inbox"), await client.get("/v1/answers/x"), await client.get("/nothing"), await client.get("/")]
        answers += [await client.get("/v1/documents/b.example/timestamp", headers=home.reads("a.example"))]
        answers += [await client.post("/v1/status", content=home.asked("status", {}, "nobody"))]
        answers += [await client.post("/v1/requests", content=home.asked("join", {"domain": "a.example"}, "nobody"))]
        assert {(each.status_code, each.content) for each in answers} == {(404, answers[0].content)}
        assert (await client.get("/v1/health")).json() == {"status": "ok"}


async def test_over_xmpp_only_the_domain_and_its_agent_read(home: Commons) -> None:
    async with members(home, "b.example"):
        await home.enrols("a.example", component="agent.a.example")
        for jid in ("agent.a.example", "a.example", "b.example"):
            assert await Xmpp(COMPONENT, jid, at(home, jid)).fetch("community/timestamp", limit=MANY) == home.timestamp()
        for jid in ("ann@a.example", "other.a.example", "agent.b.example", "c.example"):
            with pytest.raises(StanzaRefused) as refused:
                await at(home, jid).ask(COMPONENT, "get", asks("community/timestamp"))
            assert (refused.value.condition, refused.value.text) == ("service-unavailable", "")
        with pytest.raises(StanzaRefused) as refused:
            await at(home, "a.example").ask(COMPONENT, "get", asks("b.example/timestamp"))
        assert refused.value.condition == "item-not-found"


def asks(name: str) -> Element:
    return Element(f"{{{CLEARINGHOUSE}}}document", name=name, offset="0")


async def test_too_large_and_too_many_are_refused(home: Commons) -> None:
    async with members(home, "a.example") as client:
        assert (await client.post("/v1/requests", content=bytes(MAX_ASKED_BYTES + 1))).status_code == 413
        assert (await client.post("/v1/requests", content=b"{}")).status_code == 400
        home.house.library.rates = Rates(Pace(0.001, 2.0), Pace(100.0, 100.0), time.monotonic)
        home.house.library.quiet = Rates(Pace(0.001, 1.0), Pace(100.0, 100.0), time.monotonic)
        assert [(await client.get("/v1/health")).status_code for _ in range(4)] == [200, 200, 200, 429]


async def test_r21_a_hundred_addresses_that_ask_all_that_they_may_keep_no_other_out(home: Commons) -> None:
    async with home.open():
        library, now = home.house.library, [0.0]
        library.rates, library.quiet = Rates(QUESTIONS, TOGETHER, lambda: now[0]), Rates(QUIET, QUIET_TOGETHER, lambda: now[0])

        def asks_from(peer: str) -> bool:
            try:
                library.paced(peer)
            except RateLimited:
                return False
            return True

        for number in range(30_000):
            asks_from(f"192.0.2.{number % 100}")
        answered = 0
        for _ in range(20):
            now[0] += 2.0
            for number in range(3_000):
                asks_from(f"192.0.2.{number % 100}")
            answered += asks_from("198.51.100.1")
        assert answered == 20


# -- the fleet -----------------------------------------------------------------------------------------


async def test_agents_report_and_the_fleet_says_who_is_stale(home: Commons) -> None:
    async with members(home, "a.example", "b.example", "c.example") as client:
        told = {"version": "0.1", "view": "community", "table": str(home.version()), "standing": "fresh", "server": "prosody", "age": "3"}
        assert (await client.post("/v1/status", content=home.asked("status", told, "a.example"))).status_code == 200
        late = told | {"standing": "expired", "error": "the disk is full"}
        envelope = write_envelope(home.asked("status", late, "b.example"))
        await at(home, "agent.b.example").ask(COMPONENT, "set", envelope)
        assert (
            await client.post("/v1/status", content=home.asked("status", told | {"domain": "c.example"}, "a.example"))
        ).status_code == 404
        found = {each["domain"]: each for each in home.house.fleet_book.listed(home.now)}
        assert [name for name, each in found.items() if each["stale"]] == ["b.example", "c.example"]
        assert (found["a.example"]["server"], found["b.example"]["error"]) == ("prosody", "the disk is full")
        assert found["c.example"]["why"] == ["has never reported"]
        home.sleep(minutes=11)
        assert "has not reported for 660 seconds" in home.house.fleet_book.listed(home.now)[0]["why"]
    async with home.open():
        assert home.house.fleet_book.agents["a.example"].report["age"] == "3"


async def test_an_older_report_takes_the_place_of_none(home: Commons) -> None:
    async with members(home, "a.example") as client:
        old = home.asked("status", {"table": "1"}, "a.example")
        home.sleep(seconds=1)
        await client.post("/v1/status", content=home.asked("status", {"table": "2"}, "a.example"))
        assert (await client.post("/v1/status", content=old)).status_code == 400
        assert home.house.fleet_book.agents["a.example"].report == {"table": "2"}


# -- the relay -----------------------------------------------------------------------------------------


async def test_a_request_is_passed_on_and_its_answer_comes_back(home: Commons) -> None:
    async with members(home, "a.example", "b.example") as client:
        envelope = home.asked("whitelist", {"domain": "a.example"}, "ann", to="b.example")
        held = await client.post("/v1/requests", content=envelope)
        assert held.status_code == 202
        [waiting] = (await client.get("/v1/inbox?wait=5", headers=home.reads("b.example", "b.example"))).json()["requests"]
        assert base64.b64decode(waiting["envelope"]) == envelope
        url = f"/v1/answers/{held.json()['id']}"
        assert (await client.get(url, headers=home.reads("ann"))).status_code == 204
        for name in ("a.example", "nobody"):
            assert (await client.get(url, headers=home.reads(name))).status_code == 404
        assert (await client.post(f"/v1/outbox?id={waiting['id']}", content=b"{}", headers=home.reads("a.example"))).status_code == 404
        answer = json.dumps({"outcome": "granted"}).encode()
        done = await client.post(f"/v1/outbox?id={waiting['id']}", content=answer, headers=home.reads("b.example"))
        assert done.status_code == 204
        assert (await client.get(url, headers=home.reads("ann"))).content == answer
        assert (await client.get("/v1/inbox", headers=home.reads("b.example"))).json() == {"requests": []}


async def test_a_request_may_be_passed_on_over_xmpp_at_both_ends(home: Commons) -> None:
    async with members(home, "a.example", "b.example"):
        envelope = home.asked("whitelist", {"domain": "a.example"}, "a.example", to="b.example")
        asking = asyncio.create_task(at(home, "a.example").ask(COMPONENT, "set", write_envelope(envelope)))
        target = at(home, "b.example")
        await until(lambda: bool(home.house.relay._held))
        inbox = (await target.ask(COMPONENT, "get", Element(INBOX)))[0]
        assert base64.b64decode(inbox[0].text or "") == envelope
        outbox = Element(OUTBOX, id=inbox[0].get("id", ""))
        outbox.text = base64.b64encode(b"yes").decode()
        await target.ask(COMPONENT, "set", outbox)
        answer = (await asking)[0]
        assert (answer.get("state"), base64.b64decode(answer.text or "")) == ("answered", b"yes")
        with pytest.raises(StanzaRefused):
            await at(home, "c.example").ask(COMPONENT, "get", Element(INBOX))


async def test_the_relay_is_bounded_and_forgets(home: Commons) -> None:
    async with members(home, "a.example", "b.example") as client:
        statuses = [
            (await client.post("/v1/requests", content=home.asked("whitelist", {}, "ann", to="b.example"))).status_code for _ in range(9)
        ]
        assert statuses == [202] * 8 + [503]
        assert (await client.post("/v1/requests", content=home.asked("whitelist", {}, "ann", to="z.example"))).status_code == 202
        assert (await client.post("/v1/requests", content=home.asked("whitelist", {}, "a.example", to="b.example"))).status_code == 202
        assert len((await client.get("/v1/inbox", headers=home.reads("b.example"))).json()["requests"]) == 9
        home.sleep(minutes=5)
        assert (await client.get("/v1/inbox", headers=home.reads("b.example"))).json() == {"requests": []}
        assert not home.house.relay._held


async def test_r21_strangers_leave_room_for_members_at_the_relay(home: Commons) -> None:
    relay, until_then = Relay(Chance(now=lambda: home.now)), home.now + timedelta(minutes=5)

    def held(account: str, target: str, *, stranger: bool) -> bool:
        try:
            return bool(relay.hold(target, account, frozenset(), b"x", until_then, stranger=stranger))
        except RelayFull:
            return False

    assert [held(f"192.0.2.{number}", "b.example", stranger=True) for number in range(20)].count(True) == 16
    for number in range(1000):
        held(f"192.0.2.{number}", f"{number}.example", stranger=True)
    assert not held("198.51.100.1", "c.example", stranger=True)
    assert held("a.example", "b.example", stranger=False)
    assert [held("a.example", f"{number}.example", stranger=False) for number in range(40)].count(True) == 31


async def test_r22_a_stranger_does_not_learn_by_the_relay_who_is_a_member(home: Commons) -> None:
    async with members(home, "a.example") as client:
        heard = []
        for target in ("a.example", "nobody.example", "x" * 1_000):
            held = await client.post("/v1/requests", content=home.asked("whitelist", {}, "ann", to=target))
            answer = await client.get(f"/v1/answers/{held.json()['id']}", headers=home.reads("ann"))
            heard.append((held.status_code, sorted(held.json()), answer.status_code))
        assert heard == [(202, ["id", "state"], 204)] * 3
        assert sum(len(each.target) + len(each.envelope) for each in home.house.relay._held.values()) < 5_000


# -- at a chat client ----------------------------------------------------------------------------------


async def test_a_person_proposes_a_member_with_an_ordinary_client(home: Commons) -> None:
    home.text += '[[person]]\nname = "op"\njids = ["op@hub.example"]\n'
    async with home.open(), home.world.person("op@hub.example") as person:
        page = await person.start("member")
        page = await person.fill_in("member", page, "next", act="add", domain="a.example", keys=who("a.example")[0])
        assert page.text[0] == "a.example in *: deny -> level-1"
        page = await person.fill_in("member", page, "complete")
        assert page.status == "completed"
        [draft] = home.house.drafts(op())
        assert (draft.domain, draft.source.value, draft.accepted, home.house.roll.present()) == ("a.example", "chat", False, {})
