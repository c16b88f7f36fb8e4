"""Real handshakes: what the door shows, what it takes, and that its files can be changed while it is open."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from OpenSSL import SSL

from clearinghouse.doors.s2s.door import Door
from clearinghouse.doors.s2s.tls import WARNING, Certificates, Pair
from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.federation.redirection.seen import Proof
from tests.unit.doors.s2s.opening import COMMUNITY, OWN, STRANGER, Host, calling, certificates, door, redirected, refused, trusting
from tests.unit.doors.s2s.papers import DAY, NOW, Wish, curve_key
from tests.unit.doors.s2s.peers import HEADER, header

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
FRONTED = COMMUNITY.paper("b.example")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_member_is_sent_on_by_each_version(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with door(tmp_path, host := Host()) as opened, calling(opened.listen_tls[0], trusting(tmp_path, only=version)) as peer:
        assert redirected(await peer.says(HEADER))
    (seen,) = host.seen
    assert (seen.claimed, seen.wanted, seen.proof) == ("a.example", "b.example", Proof.CERTIFICATE)
    assert seen.tls_version == {ssl.TLSVersion.TLSv1_2: "1.2", ssl.TLSVersion.TLSv1_3: "1.3"}[version]
    assert "GCM" in seen.cipher
    assert seen.key.startswith("ecdsa-hex:")
    assert seen.issuer == "CN=community"
    assert seen.address == "127.0.0.1"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_strangers_certificate_ends_no_handshake(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with door(tmp_path, host := Host()) as opened, calling(opened.listen_tls[0], trusting(tmp_path, STRANGER, only=version)) as peer:
        assert refused(await peer.says(HEADER))
    assert [(each.proof, each.key, each.issuer) for each in host.seen] == [(Proof.NOTHING, "", "none")]


async def test_old_versions_are_not_spoken(tmp_path: Path) -> None:
    context = trusting(tmp_path)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with door(tmp_path, Host()) as opened:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            async with calling(opened.listen_tls[0], context):
                pass


async def test_no_session_is_ever_resumed(tmp_path: Path) -> None:
    """Whoever comes again proves again who it is."""

    def twice(place: tuple[str, int]) -> list[bool]:

        context, session, reused = trusting(tmp_path), None, []
        for _ in range(2):
            with socket.create_connection(place) as plain, context.wrap_socket(plain, server_hostname=OWN, session=session) as wrapped:
                wrapped.sendall(HEADER)
                while b"</stream:stream>" not in wrapped.recv(4_096):
                    pass
                session = wrapped.session
                reused.append(bool(wrapped.session_reused))
        return reused

    async with door(tmp_path, host := Host()) as opened:
        assert await asyncio.to_thread(twice, opened.listen_tls[0]) == [False, False]
    assert [each.proof for each in host.seen] == [Proof.CERTIFICATE] * 2


async def test_alpn_is_for_servers_only(tmp_path: Path) -> None:
    right, wrong = trusting(tmp_path), trusting(tmp_path)
    right.set_alpn_protocols(["xmpp-server"])
    wrong.set_alpn_protocols(["h2", "http/1.1"])
    async with door(tmp_path, Host()) as opened:
        async with calling(opened.listen_tls[0], right) as peer:
            assert peer.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "xmpp-server"
            assert redirected(await peer.says(HEADER))
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            async with calling(opened.listen_tls[0], wrong):
                pass


# -- which certificate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name,shown", [(OWN, OWN), ("b.example", "b.example"), ("B.Example", "b.example"), ("c.example", OWN)])
async def test_the_door_shows_a_member_only_where_it_was_given_one(tmp_path: Path, name: str, shown: str) -> None:
    async with door(tmp_path, Host(), {"b.example": FRONTED}) as opened, calling(opened.listen_tls[0], trusting(tmp_path), name) as peer:
        assert peer.shown() == shown
        assert redirected(await peer.says(HEADER))


@pytest.mark.parametrize("name,shown", [(None, "b.example"), (OWN, OWN), ("c.example", OWN)])
async def test_after_starttls_the_name_in_the_handshake_counts_more(tmp_path: Path, name: str | None, shown: str) -> None:
    async with door(tmp_path, Host(), {"b.example": FRONTED}) as opened, calling(opened.listen[0]) as peer:
        await peer.begins_tls(trusting(tmp_path), name)
        assert peer.shown() == shown
        assert redirected(await peer.says(HEADER))


async def test_without_fronted_domains_the_door_proves_its_own_name_alone(tmp_path: Path) -> None:
    async with door(tmp_path, Host()) as opened, calling(opened.listen[0]) as peer:
        await peer.begins_tls(trusting(tmp_path), "b.example", header())
        assert peer.shown() == OWN


# -- reload ----------------------------------------------------------------------------------------------


async def shown_at(opened: Door, directory: Path) -> int:
    async with calling(opened.listen_tls[0], trusting(directory)) as peer:
        found = peer.writer.get_extra_info("ssl_object").getpeercert()
        assert redirected(await peer.says(HEADER))
        return int(found["serialNumber"], 16)


async def test_a_new_certificate_is_shown_after_a_reload_and_no_connection_breaks(tmp_path: Path) -> None:
    async with door(tmp_path, Host()) as opened, calling(opened.listen_tls[0], trusting(tmp_path)) as early:
        first = await shown_at(opened, tmp_path)
        COMMUNITY.paper(OWN).save(tmp_path, "door")
        assert await shown_at(opened, tmp_path) == first, "nothing was read yet"
        assert opened.reload() == []
        assert await shown_at(opened, tmp_path) != first
        assert redirected(await early.says(HEADER))


async def test_files_change_under_load(tmp_path: Path) -> None:
    async def calls(opened: Door) -> list[bool]:
        context, answers = trusting(tmp_path), []
        for _ in range(8):
            async with calling(opened.listen_tls[0], context) as peer:
                answers.append(redirected(await peer.says(HEADER)))
        return answers

    async with door(tmp_path, Host()) as opened:
        callers = [asyncio.create_task(calls(opened)) for _ in range(4)]
        while not all(each.done() for each in callers):
            COMMUNITY.paper(OWN).save(tmp_path, "door")
            assert opened.reload() == []
            await asyncio.sleep(0)
        assert await asyncio.gather(*callers) == [[True] * 8] * 4


async def test_a_broken_file_keeps_the_old_certificate_and_says_so(tmp_path: Path) -> None:
    async with door(tmp_path, Host()) as opened:
        first = await shown_at(opened, tmp_path)
        (tmp_path / "door.pem").write_text("no certificate")
        (error,) = opened.reload()
        assert isinstance(error, BadSettings)
        assert await shown_at(opened, tmp_path) == first


# -- files -----------------------------------------------------------------------------------------------


def test_a_certificate_and_another_key_are_refused(tmp_path: Path) -> None:
    pair = Pair(*COMMUNITY.paper(OWN).save(tmp_path, "door"))
    pair.key.write_bytes(COMMUNITY.paper(OWN, key=curve_key()).key_pem)
    with pytest.raises(BadSettings, match="no certificate with its key"):
        Certificates(pair)


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    pair = Pair(*COMMUNITY.paper(OWN).save(tmp_path, "door"))
    getattr(pair, missing).unlink()
    with pytest.raises(BadSettings, match=str(getattr(pair, missing))):
        Certificates(pair)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    pair = Pair(*COMMUNITY.paper(OWN).save(tmp_path, "door"))
    pair.key.chmod(0o640)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        Certificates(pair)


def test_a_certificate_that_ends_soon_is_warned_of(tmp_path: Path) -> None:
    soon = COMMUNITY.paper("b.example", wish=Wish(ends=NOW + DAY))
    made = certificates(tmp_path, {"b.example": soon, "c.example": COMMUNITY.paper("c.example")})
    assert made.warn(NOW) == ["b.example"]
    assert set(made.warn(NOW + 30 * DAY - WARNING + timedelta(seconds=1))) == {"", "b.example", "c.example"}


def test_what_openssl_cannot_do_here_is_switched_off(tmp_path: Path) -> None:
    options = certificates(tmp_path).choose("").set_options(0)
    for each in (SSL.OP_NO_RENEGOTIATION, SSL.OP_NO_COMPRESSION, SSL.OP_NO_TICKET, SSL.OP_CIPHER_SERVER_PREFERENCE):
        assert options & each
