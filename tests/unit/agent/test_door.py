"""Signed requests over HTTPS, on a real socket: what is answered, what is not, and that a relay or a second way is tried."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clearinghouse.agent.asking.post import AgentUnreachable, ByHttps, ByRelay, Way, Wires, asked
from clearinghouse.agent.granting.answers import Answer
from clearinghouse.agent.granting.door import MAX_HEAD_BYTES, PATH, TOGETHER, Door, serving
from clearinghouse.clearing.dsse import MAX_ENVELOPE_BYTES
from clearinghouse.errors import BadSettings
from tests.certificates import certify
from tests.targets import HOST, Target, paper
from tests.world import NOON

ADMIN = "TargetAdmin"


@dataclass
class Tls:
    """A certificate for 127.0.0.1 in files."""

    certificate: Path
    key: Path
    ca: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    place = tmp_path_factory.mktemp("tls")
    found = Tls(place / "cert.pem", place / "key.pem", place / "ca.pem")
    certify("127.0.0.1", found.certificate, found.key, trusted=found.ca)
    return found


@asynccontextmanager
async def door(target: Target, tls: Tls) -> AsyncIterator[tuple[str, Wires]]:
    """Serve *target* and give its URL, and somebody who can reach it."""
    wires = Wires(tls.ca)
    app = Door(target.requests, asyncio.Semaphore(TOGETHER)).app()
    async with serving(app, "127.0.0.1", 0, certificate=tls.certificate, key=tls.key) as port:
        try:
            yield f"https://127.0.0.1:{port}", wires
        finally:
            await wires.close()


async def test_a_request_is_granted_over_https(tmp_path: Path, tls: Tls) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    async with door(target, tls) as (url, wires):
        answer = await ByHttps(url, wires).ask(target.sealed(HOST, ADMIN, seconds=60))
    assert (answer.outcome, answer.value) == ("granted", "allow")
    assert [each.id for each in target.live()] == [answer.id]


async def test_what_is_wrong_with_an_envelope_is_told_by_its_code(tmp_path: Path, tls: Tls) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    once = target.sealed(HOST, ADMIN)
    wrong = {
        "malformed-envelope": b"{}",
        "too-large": b"x" * (MAX_ENVELOPE_BYTES + 1),
        "wrong-audience": target.sealed(HOST, ADMIN, audience="other.example"),
        "cannot-enforce": target.sealed({**HOST, "App_domain": "ERP"}, ADMIN),
    }
    async with door(target, tls) as (url, wires):
        way = ByHttps(url, wires)
        assert {code: (await way.ask(raw)).code for code, raw in wrong.items()} == {code: code for code in wrong}
        assert (await way.ask(once)).granted
        assert (await way.ask(once)).code == "replayed"


async def test_nothing_else_is_served(tmp_path: Path, tls: Tls) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    async with door(target, tls) as (url, wires):
        statuses = [(await wires.sent(method, f"{url}{path}"))[0] for method, path in (("GET", PATH), ("POST", "/"), ("GET", "/v1/health"))]
        assert statuses == [405, 404, 404]
        with pytest.raises(AgentUnreachable):
            await ByHttps(f"{url}/elsewhere", wires).ask(b"{}")


async def test_a_silent_or_endless_connection_keeps_nobody_out(tmp_path: Path, tls: Tls) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    context = ssl.create_default_context(cafile=tls.ca)
    async with door(target, tls) as (url, wires):
        port = int(url.rpartition(":")[2])
        silent = [await asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(TOGETHER)]
        for _, writer in silent[:2]:
            writer.write(b"GET /" + b"x" * (2 * MAX_HEAD_BYTES))
        assert (await ByHttps(url, wires).ask(target.sealed(HOST, ADMIN, seconds=60))).granted
        for _, writer in silent:
            writer.close()


async def test_who_is_not_vouched_for_is_not_asked(tmp_path: Path, tls: Tls) -> None:
    target = await paper(tmp_path, 3, NOON).open()
    stranger = Wires(None)
    async with door(target, tls) as (url, _):
        with pytest.raises(AgentUnreachable):
            await ByHttps(url, stranger).ask(target.sealed(HOST, ADMIN))
    await stranger.close()


async def test_a_certificate_that_is_none_is_an_operators_mistake(tls: Tls) -> None:
    with pytest.raises(BadSettings):
        async with serving(Starlette(), "127.0.0.1", 0, certificate=tls.ca, key=tls.ca):
            pass


async def test_a_port_that_is_taken_is_an_operators_mistake_and_ends_no_process(tls: Tls) -> None:
    async with serving(Starlette(), "127.0.0.1", 0, certificate=tls.certificate, key=tls.key) as port:
        with pytest.raises(BadSettings, match="cannot be listened on"):
            async with serving(Starlette(), "127.0.0.1", port, certificate=tls.certificate, key=tls.key):
                pass


# -- the ways -------------------------------------------------------------------------------------------------


@dataclass
class Away:
    """A way that nobody is at the end of."""

    tried: list[bytes] = field(default_factory=list)

    async def ask(self, envelope: bytes) -> Answer:
        """Do not answer."""
        self.tried.append(envelope)
        raise AgentUnreachable("nobody answers", mend="ask again later")


async def test_the_next_way_is_tried_with_a_request_of_its_own(tmp_path: Path, tls: Tls) -> None:
    target, away = await paper(tmp_path, 3, NOON).open(), Away()
    async with door(target, tls) as (url, wires):
        ways: list[Way] = [away, ByHttps(url, wires)]
        answer = await asked(ways, lambda: target.sealed(HOST, ADMIN, seconds=60))
    assert answer.granted
    assert len(away.tried) == 1
    with pytest.raises(AgentUnreachable):
        await asked([away], lambda: target.sealed(HOST, ADMIN))
    assert len(set(away.tried)) == 2


def relay(signed: list[str], replies: list[Response]) -> Starlette:
    """Return a clearinghouse that passes on what it is given, and knows the answer a little later."""

    async def take(request: Request) -> Response:
        await request.body()
        return JSONResponse({"id": "t1"}, status_code=202)

    async def give(request: Request) -> Response:
        signed.append(request.headers["Authorization"])
        return replies.pop(0)

    return Starlette(routes=[Route(PATH, take, methods=["POST"]), Route("/v1/answers/t1", give)])


async def test_an_answer_comes_through_the_clearinghouse(tls: Tls) -> None:
    granted = {"id": "d1", "outcome": "granted", "value": "allow", "code": "granted", "until": "", "reason": ""}
    replies: list[Response] = [Response(status_code=202), JSONResponse(granted)]
    signed: list[str] = []
    wires = Wires(tls.ca)
    async with serving(relay(signed, replies), "127.0.0.1", 0, certificate=tls.certificate, key=tls.key) as port:
        way = ByRelay(f"https://127.0.0.1:{port}", wires, lambda: "DSSE of ours")
        assert (await way.ask(b"{}")).id == "d1"
        await wires.close()
    assert signed == ["DSSE of ours"] * 2


@pytest.mark.parametrize("answer", [{}, {"id": 1}, {"outcome": "maybe"}, {"until": "soon"}], ids=json.dumps)
async def test_an_answer_that_is_none_grants_nothing(tls: Tls, answer: dict[str, object]) -> None:
    whole = {"id": "d1", "outcome": "granted", "value": "allow", "code": "granted", "until": "", "reason": ""}

    async def give(_: Request) -> Response:
        return JSONResponse(whole | answer if answer else answer)

    app, wires = Starlette(routes=[Route(PATH, give, methods=["POST"])]), Wires(tls.ca)
    async with serving(app, "127.0.0.1", 0, certificate=tls.certificate, key=tls.key) as port:
        with pytest.raises(Exception, match="the answer has"):
            await ByHttps(f"https://127.0.0.1:{port}", wires).ask(b"{}")
        await wires.close()
