"""The question about a dialback key, as the server of the member hears and answers it."""

from __future__ import annotations

import pytest

from clearinghouse.doors.s2s.events import StartTls
from clearinghouse.doors.s2s.verifying import Phase, Question, Verified, Verifying
from tests.unit.doors.s2s.peers import PEER_ERROR, TLS, VERIFY, header

QUESTION = Question("a.example", "b.example", "id-1", "0123<abcd")
THEIRS = header(" from='a.example' to='door.hub.example' id='theirs' version='1.0'")
ASKED = b"<db:verify from='b.example' to='a.example' id='id-1'>0123&lt;abcd</db:verify>"
FEATURES = f"<stream:features><starttls xmlns='{TLS}'><required/></starttls></stream:features>".encode()
PLAIN = b"<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>"
PROCEED = f"<proceed xmlns='{TLS}'/>".encode()


def answer(kind: str, claimed: str = "a.example", wanted: str = "b.example", identifier: str = "id-1") -> bytes:
    return f"<db:verify from='{claimed}' to='{wanted}' id='{identifier}' type='{kind}'/>".encode()


def verifying(*, must_tls: bool = False, secure: bool = False) -> Verifying:
    made = Verifying(QUESTION, sender="door.hub.example", must_tls=must_tls, secure=secure)
    assert made.take().endswith(b" from='door.hub.example' to='a.example' version='1.0' xml:lang='en'>")
    return made


def asked(*, secure: bool = False) -> Verifying:
    made = verifying(secure=secure)
    assert made.receive(THEIRS + PLAIN) is None
    assert made.take() == ASKED
    return made


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_over_tls(kind: str) -> None:
    made = verifying(must_tls=True)
    assert made.receive(THEIRS) is None
    assert made.receive(FEATURES) is None
    assert made.take() == f"<starttls xmlns='{TLS}'/>".encode()
    assert made.receive(PROCEED) == StartTls()
    made.secured()
    assert made.take().startswith(b"<?xml version='1.0'?><stream:stream ")
    assert made.receive(THEIRS + PLAIN) is None
    assert made.take() == ASKED
    assert made.receive(answer(kind)) == Verified(kind == "valid")
    assert (made.take(), made.receive(answer("valid")), made.ended()) == (b"</stream:stream>", None, None)


def test_an_old_server_is_asked_without_features() -> None:
    made = verifying()
    assert made.receive(header(" id='theirs'")) is None
    assert made.take() == ASKED


def test_byte_by_byte() -> None:
    made = verifying()
    data = THEIRS + PLAIN + answer("valid")
    found = [event for octet in data if (event := made.receive(bytes([octet]))) is not None]
    assert found == [Verified(valid=True)]


@pytest.mark.parametrize("first", [THEIRS + PLAIN, header(" id='theirs'")], ids=["features without TLS", "an old server"])
def test_a_key_is_not_shown_in_clear_where_it_may_not_be(first: bytes) -> None:
    made = verifying(must_tls=True)
    assert made.receive(first) == Verified(valid=False, reason="no-tls")
    assert b"0123" not in made.take()


@pytest.mark.parametrize(
    "data, reason",
    [
        (answer("error"), "dialback-error"),
        (answer("valid", claimed="c.example"), "invalid-id"),
        (answer("valid", wanted="c.example"), "invalid-id"),
        (answer("valid", identifier="id-2"), "invalid-id"),
        (VERIFY, "invalid-id"),
        (PEER_ERROR, "reset"),
        (b"</stream:stream>", "remote-connection-failed"),
        (b"<message/>", "unsupported-stanza-type"),
        (PROCEED, "unsupported-stanza-type"),
        (b"<!-- -->", "restricted-xml"),
        (b"hello", "invalid-xml"),
        (b"<a" + b" " * 20_000, "policy-violation"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.decode()[:60],
)
def test_no_answer(data: bytes, reason: str) -> None:
    made = asked(secure=True)
    assert made.receive(data) == Verified(valid=False, reason=reason)
    assert made.phase is Phase.DONE
    assert made.receive(answer("valid")) is None


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "not-well-formed"),
        (header(" from='c.example' id='theirs' version='1.0'"), "invalid-from"),
        (header(" from='a b' id='theirs' version='1.0'"), "improper-addressing"),
        (THEIRS.replace(b"jabber:server'", b"jabber:client'"), "invalid-namespace"),
        (THEIRS + PEER_ERROR, "reset"),
        (THEIRS + answer("valid"), "unsupported-stanza-type"),
        (THEIRS + FEATURES + f"<failure xmlns='{TLS}'/>".encode(), "unsupported-stanza-type"),
        (THEIRS + FEATURES + PROCEED + b"\n", "policy-violation"),
        (THEIRS + FEATURES + PROCEED + THEIRS + PLAIN + answer("valid"), "policy-violation"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.decode()[-60:],
)
def test_no_question(data: bytes, reason: str) -> None:
    assert verifying().receive(data) == Verified(valid=False, reason=reason)


def test_nothing_is_read_between_proceed_and_tls() -> None:
    made = verifying()
    made.receive(THEIRS + FEATURES + PROCEED)
    made.take()
    assert made.receive(THEIRS) == Verified(valid=False, reason="policy-violation")
    assert made.take() == b""


def test_a_connection_that_ends_is_no_answer() -> None:
    assert asked().ended() == Verified(valid=False, reason="remote-connection-failed")
