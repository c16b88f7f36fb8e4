"""What servers on loopback find each other by, checked with a resolver and a TLS library that we did not write."""

from __future__ import annotations

import ssl
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from clearinghouse.demo.certificates import Authority
from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, Neighbours

SRV = "_xmpp-server._tcp.a.fed"


def answer(neighbours: Neighbours, name: str, kind: str) -> dns.message.Message:
    asked = dns.message.make_query(name, kind)
    return dns.query.udp(asked, neighbours.names.address, timeout=10, port=neighbours.names.port)


def test_a_domain_is_found_where_it_is_and_no_more_when_it_has_gone() -> None:
    with Neighbours() as neighbours:
        neighbours.names.put("a.fed", "127.1.2.3", 5269)
        (found,) = answer(neighbours, SRV.upper(), "SRV").answer
        assert [record.to_text() for record in found] == ["0 0 5269 127.1.2.3."]
        neighbours.names.put("a.fed", "127.1.2.4", 5270)
        (found,) = answer(neighbours, SRV, "SRV").answer
        assert [record.to_text() for record in found] == ["0 0 5270 127.1.2.4."]
        neighbours.names.remove("a.fed")
        assert answer(neighbours, SRV, "SRV").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("name, kind", [("a.fed", "A"), ("a.fed", "SRV"), (SRV, "TXT"), ("_xmpps-server._tcp.a.fed", "SRV"), (".", "NS")])
def test_nothing_else_exists(name: str, kind: str) -> None:
    with Neighbours() as neighbours:
        neighbours.names.put("a.fed", "127.1.2.3", 5269)
        found = answer(neighbours, name, kind)
        assert (found.rcode(), found.answer) == (dns.rcode.NXDOMAIN, [])


@pytest.mark.parametrize(
    "question", [b"x", b"\0" * 12, b"\xff" * 40, b"\0\1\1\0\0\1\0\0\0\0\0\0\5a", b"\0\1\1\0\0\1\0\0\0\0\0\0\1\xff\0\0\1\0\1"]
)
def test_what_is_no_question_is_not_answered(question: bytes) -> None:
    with Neighbours() as neighbours:
        assert neighbours.names.answer(question) == b""


def test_two_have_names_of_their_own() -> None:
    with Neighbours() as one, Neighbours() as other:
        assert one.names.address != other.names.address


def test_a_certificate_is_for_all_its_names_and_for_who_trusts_its_authority(tmp_path: Path) -> None:
    with Neighbours() as neighbours:
        neighbours.settle(("a.fed", "muc.a.fed"), "127.1.2.3", tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    ours, theirs = ssl.create_default_context(cafile=tmp_path / AUTHORITY_FILE), ssl.create_default_context()
    theirs.load_verify_locations(cadata=Authority().certificate.decode())
    for name in ("a.fed", "muc.a.fed"):
        shake_hands(tmp_path, ours, name)
    for context, name in ((ours, "b.fed"), (theirs, "a.fed")):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(tmp_path, context, name)


def shake_hands(place: Path, context: ssl.SSLContext, name: str) -> None:
    """Let both sides of TLS speak in memory until the client has seen the certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(place / CERTIFICATE_FILE, place / KEY_FILE)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (context.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True))
    for _ in range(3):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
