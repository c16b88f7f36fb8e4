"""The listener itself: TLS, settings that cannot be, connections that say nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from clearinghouse.doors.http.listener import Listener, listening
from clearinghouse.errors import BadSettings
from tests.certificates import certify
from tests.commons import Commons, commons


@pytest.fixture
def home(tmp_path: Path) -> Commons:
    made = commons(tmp_path)
    certify("127.0.0.1", tmp_path / "http.pem", tmp_path / "http.key")
    made.text = made.text.replace("port = 0", 'port = 0\ncertificate_file = "http.pem"\nkey_file = "http.key"')
    return made


def port(home: Commons) -> int:
    assert home.service.http is not None
    return home.service.http.port


async def test_it_speaks_tls_and_nothing_else_where_it_has_a_certificate(home: Commons) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with home.open(), httpx.AsyncClient(verify=context, trust_env=False) as client:
        answer = await client.get(f"https://127.0.0.1:{port(home)}/v1/health")
        assert (answer.json(), "server" in answer.headers) == ({"status": "ok"}, False)
        assert "date" in answer.headers  # by which agents know how far their clocks are off
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://127.0.0.1:{port(home)}/v1/health")


async def test_a_connection_that_asks_nothing_is_ended() -> None:
    async with listening(Listener("127.0.0.1", 0, "http", 8, 1_024, silence=0.1), Starlette()) as given:
        reader, writer = await asyncio.open_connection("127.0.0.1", given)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_a_port_that_is_taken_or_a_certificate_that_is_none_keeps_the_service_from_starting(home: Commons) -> None:
    async with home.open():
        taken = home.text.replace("port = 0", f"port = {port(home)}")
        (home.directory / "other").mkdir()
        home.text = taken.replace("[federation]", '[store]\npath = "other/clearinghouse.db"\n[federation]')
        with pytest.raises(BadSettings, match="cannot be listened on"):
            async with home.open():
                pass
    home.write("http.pem", b"none")
    with pytest.raises(BadSettings, match="no certificate"):
        async with home.open():
            pass


@pytest.mark.parametrize(
    "text, fact",
    [
        ('host = "0.0.0.0"', "without TLS"),
        ('certificate_file = "http.pem"', "a certificate or a key"),
        ("port = 70000", "port"),
    ],
)
async def test_unsafe_settings_are_refused(home: Commons, text: str, fact: str) -> None:
    home.text = home.text.partition("[http]")[0] + f"[http]\n{text}\n[federation]\n"
    with pytest.raises(BadSettings, match=fact):
        home.settings.model_dump()
