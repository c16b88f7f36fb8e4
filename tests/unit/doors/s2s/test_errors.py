"""What may not be said on a stream, and the stream error that answers it (RFC 6120, section 4.9.3)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from clearinghouse.doors.s2s.events import Ended, Opened
from clearinghouse.doors.s2s.sasl import ATTEMPTS
from clearinghouse.doors.s2s.stream import VERIFICATIONS
from clearinghouse.doors.s2s.tokens import MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENT_BYTES, MAX_PIECES
from tests.docs.pages import ROOT, table_rows
from tests.unit.doors.s2s.peers import (
    ABORT,
    HEADER,
    NAMES,
    NAMESPACES,
    RESULT,
    STARTTLS,
    TOO_MUCH,
    VERIFY,
    auth,
    choosing,
    conditions,
    header,
    response,
    stream,
)

MEGABYTE = b"x" * 1_000_000
LAUGHS = b"<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]>"
OLD = "<?xml version='1.0' encoding='%s'?>"
SERVER, STREAMS = "jabber:server", "http://etherx.jabber.org/streams"


def padded(size: int) -> bytes:
    """A header of *size* bytes."""
    more = f"{NAMES} version='1.0' x=''"
    return header(more.replace("''", f"'{'x' * (size - len(header(more)))}'"))


FIRST: Mapping[str, tuple[bytes, str]] = {
    "no XML": (b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", "not-well-formed"),
    "TLS where there is none": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not-well-formed"),
    "a NUL": (b"\0x", "not-well-formed"),
    "a NUL in a name": (b"<stream\0:stream>", "not-well-formed"),
    "a NUL in a value": (header(" to='b\0.example'"), "not-well-formed"),
    "a control character": (header(" to='b\x01.example'"), "not-well-formed"),
    "a byte order mark": (b"\xef\xbb\xbf" + HEADER, "not-well-formed"),
    "text before the header": (b"hello" + HEADER, "not-well-formed"),
    "invalid UTF-8": (header(" to='b.example'").replace(b"b.ex", b"b\xff.ex"), "not-well-formed"),
    "overlong UTF-8": (header().replace(b"b.ex", b"b\xc0\xae.ex"), "not-well-formed"),
    "a surrogate in UTF-8": (header().replace(b"b.ex", b"b\xed\xa0\x80.ex"), "not-well-formed"),
    "a surrogate by number": (header(" to='b&#xD800;.example'"), "not-well-formed"),
    "a NUL by number": (header(" to='b&#0;.example'"), "not-well-formed"),
    "beyond Unicode": (header(" to='&#x110000;'"), "not-well-formed"),
    "an attribute twice": (header(" to='b.example' to='b.example'"), "not-well-formed"),
    "a value without quotes": (header(" to=b.example"), "not-well-formed"),
    "two XML declarations": (b"<?xml version='1.0'?>" + HEADER, "not-well-formed"),
    "two strange XML declarations": (b"<?xml version='1.0'  ?>" * 2 + header(declaration=""), "not-well-formed"),
    "a prefix that is not declared": (header(" x:to='b.example'"), "not-well-formed"),
    "the prefix of the header not declared": (header(namespaces="xmlns='jabber:server'"), "not-well-formed"),
    "a reserved prefix taken": (header(" xmlns:xml='urn:example:other'"), "not-well-formed"),
    "a namespace with our separator in it": (header(namespaces=NAMESPACES.replace("/streams", "&#10;streams")), "not-well-formed"),
    "a stylesheet": (b"<?xml version='1.0'?><?xml-stylesheet href='a'?>" + header(declaration=""), "restricted-xml"),
    "a comment": (b"<!-- --><stream:stream>", "restricted-xml"),
    "a document type": (b"<!DOCTYPE stream>" + HEADER, "restricted-xml"),
    "a document type from elsewhere": (b"<!DOCTYPE s SYSTEM 'file:///etc/passwd'>", "restricted-xml"),
    "entities in a document type": (LAUGHS + header(declaration=""), "restricted-xml"),
    "an entity": (header(" to='&b;'"), "restricted-xml"),
    "UTF-16 with its mark": (HEADER.decode().encode("utf-16"), "unsupported-encoding"),
    "UTF-16, little end first": (HEADER.decode().encode("utf-16-le"), "unsupported-encoding"),
    "UTF-16, big end first": (HEADER.decode().encode("utf-16-be"), "unsupported-encoding"),
    "UTF-32": (HEADER.decode().encode("utf-32"), "unsupported-encoding"),
    "UTF-32, big end first": (HEADER.decode().encode("utf-32-be"), "unsupported-encoding"),
    "Latin-1 by its declaration": (header(declaration=OLD % "ISO-8859-1"), "unsupported-encoding"),
    "UTF-16 by its declaration": (header(declaration=OLD % "UTF-16"), "unsupported-encoding"),
    "ASCII by its declaration": (header(declaration=OLD % "US-ASCII"), "unsupported-encoding"),
    "an encoding that nobody knows": (header(declaration=OLD % "x-own"), "unsupported-encoding"),
    "a header of a megabyte": (header(f" to='{MEGABYTE.decode()}'"), "policy-violation"),
    "a header without an end": (b"<stream:stream to='" + MEGABYTE, "policy-violation"),
    "a name of a megabyte": (b"<" + MEGABYTE, "policy-violation"),
    "a header one byte too long": (padded(MAX_ELEMENT_BYTES + 1), "policy-violation"),
    "attributes too many": (header("".join(f" a{number}=''" for number in range(MAX_ATTRIBUTES + 1))), "policy-violation"),
    "signs that end a tag, and do not": (header(f" x='{'>' * MAX_PIECES}'"), "policy-violation"),
    "another root": (header().replace(b"stream:stream", b"stream:flow"), "bad-format"),
    "a root without a namespace": (b"<html>", "invalid-namespace"),
    "the stream in another namespace": (header(namespaces=NAMESPACES.replace(STREAMS, "urn:example:other")), "invalid-namespace"),
    "content of clients": (header(namespaces=NAMESPACES.replace(f"'{SERVER}'", "'jabber:client'")), "invalid-namespace"),
    "content without a namespace": (header(namespaces=f"xmlns='' xmlns:stream='{STREAMS}'"), "invalid-namespace"),
    "a stream without a prefix": (f"<stream xmlns='{STREAMS}'>".encode(), "bad-namespace-prefix"),
    "a stream with another prefix": (f"<s:stream xmlns='{SERVER}' xmlns:s='{STREAMS}'>".encode(), "bad-namespace-prefix"),
    "no version at all": (header(f"{NAMES} version='one'"), "unsupported-version"),
    "a version without its second half": (header(f"{NAMES} version='1'"), "unsupported-version"),
    "a negative version": (header(f"{NAMES} version='-1.0'"), "unsupported-version"),
    "an empty `to`": (header(" to='' version='1.0'"), "improper-addressing"),
    "a user as `to`": (header(" to='user@b.example' version='1.0'"), "improper-addressing"),
    "a `to` with a space": (header(" to='b example' version='1.0'"), "improper-addressing"),
    "a `to` too long for DNS": (header(f" to='{'b.' * 200}example' version='1.0'"), "improper-addressing"),
    "an empty `from`": (header(" from='' to='b.example' version='1.0'"), "improper-addressing"),
    "a `from` that is no name": (header(" from='-a.example' to='b.example' version='1.0'"), "improper-addressing"),
    "a `from` that is no A-label": (header(" from='xn--a.example' to='b.example' version='1.0'"), "improper-addressing"),
    "an IPv4 address as `to`": (header(" to='192.0.2.7' version='1.0'"), "host-unknown"),
    "an IPv6 address as `to`": (header(" to='[2001:db8::7]' version='1.0'"), "host-unknown"),
}
"""At the header."""

DEEP = b"<a>" * MAX_DEPTH
BELOW: Mapping[str, tuple[bytes, str]] = {
    "a message": (b"<message from='u@a.example' to='u@b.example'><body>hello</body></message>", "not-authorized"),
    "presence": (b"<presence/>", "not-authorized"),
    "an IQ": (b"<iq type='get' id='1'/>", "not-authorized"),
    "a message of clients": (b"<message xmlns='jabber:client'/>", "invalid-namespace"),
    "a message without a namespace": (b"<message xmlns=''/>", "invalid-namespace"),
    "an element that nobody knows": (b"<x xmlns='urn:example:other'/>", "unsupported-stanza-type"),
    "an element of servers that nobody knows": (b"<x/>", "unsupported-stanza-type"),
    "features, which are ours to send": (b"<stream:features/>", "unsupported-stanza-type"),
    "an answer to what was never asked": (b"<db:result from='a.example' to='b.example' type='valid'/>", "unsupported-stanza-type"),
    "another answer to what was never asked": (VERIFY.replace(b" id", b" type='valid' id"), "unsupported-stanza-type"),
    "a second header": (header(declaration=""), "unsupported-stanza-type"),
    "a second header, declared": (HEADER, "not-well-formed"),
    "a second header of another kind": (b"<stream:flow>", "unsupported-stanza-type"),
    "the end of something else": (b"</message>", "not-well-formed"),
    "tags that cross": (b"<db:result from='a.example' to='b.example'><b></db:result></b>", "not-well-formed"),
    "a prefix that is not declared": (b"<x:message/>", "not-well-formed"),
    "a prefix that is not declared, at an attribute": (b"<message x:to='b.example'/>", "not-well-formed"),
    "a prefix without a namespace": (b"<message xmlns:x=''/>", "not-well-formed"),
    "text": (b"hello", "invalid-xml"),
    "text by number": (b"&#65;<message/>", "invalid-xml"),
    "text that is no ASCII": ("höher".encode(), "invalid-xml"),
    "text in a CDATA section": (b"<![CDATA[hello]]>", "invalid-xml"),
    "a NUL": (b"\0", "not-well-formed"),
    "a byte that is no UTF-8": (b"\xff", "not-well-formed"),
    "a comment": (b"<!-- hello -->", "restricted-xml"),
    "a comment in an element": (b"<db:result from='a.example' to='b.example'><!-- --></db:result>", "restricted-xml"),
    "a processing instruction": (b"<?php ?>", "restricted-xml"),
    "an entity in an element": (b"<db:result from='a.example' to='b.example'>&key;</db:result>", "restricted-xml"),
    "a document type": (b"<!DOCTYPE x>", "not-well-formed"),
    "an element of a megabyte": (b"<db:result from='a.example' to='b.example'>" + MEGABYTE, "policy-violation"),
    "an element without an end": (b"<message " + MEGABYTE, "policy-violation"),
    "an element of many small ones": (b"<stream:error>" + b"<a></a>" * MAX_PIECES, "policy-violation"),
    "attributes too many": (
        b"<db:verify" + b"".join(b" a%d=''" % number for number in range(MAX_ATTRIBUTES + 1)) + b"/>",
        "policy-violation",
    ),
    "elements in elements in elements": (b"<stream:error>" + DEEP, "policy-violation"),
    "a key of nobody": (b"<db:result to='b.example'>0123</db:result>", "improper-addressing"),
    "a key for nobody": (b"<db:result from='a.example'>0123</db:result>", "improper-addressing"),
    "a key for an address": (b"<db:result from='a.example' to='192.0.2.7'>0123</db:result>", "improper-addressing"),
    "no key": (b"<db:result from='a.example' to='b.example'> </db:result>", "invalid-xml"),
    "a question about a key of nobody": (b"<db:verify to='b.example' id='1'>0123</db:verify>", "improper-addressing"),
    "keys without an end": (VERIFY * (VERIFICATIONS + 1), "policy-violation"),
    "attempts without an end": (auth(mechanism="PLAIN") * (ATTEMPTS + 1), "policy-violation"),
    "aborts without an end": (ABORT * (ATTEMPTS + 1), "policy-violation"),
    "responses without an end": (response() * (ATTEMPTS + 1), "policy-violation"),
    "TLS with something behind it": (STARTTLS + b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "policy-violation"),
    "TLS with white space behind it": (STARTTLS + b" ", "policy-violation"),
    "TLS with half a tag behind it": (STARTTLS + b"<", "policy-violation"),
}
"""Where the peer chooses, on a stream without TLS."""


@pytest.mark.parametrize("name", FIRST)
def test_a_header_that_cannot_be_answered(name: str) -> None:
    data, condition = FIRST[name]
    made = stream()
    assert made.receive(data) == Ended(condition)
    out = made.take()
    assert out.startswith(b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' ")
    assert (conditions(out), out.count(b"<stream:error>"), out.endswith(b"</stream:error></stream:stream>")) == ([condition], 1, True)
    assert made.receive(HEADER) is None
    assert made.take() == b""


@pytest.mark.parametrize("name", BELOW)
def test_what_may_not_stand_on_a_stream(name: str) -> None:
    data, condition = BELOW[name]
    made = choosing(secure=False)
    assert made.receive(data) == Ended(condition)
    out = made.take()
    assert out.endswith(f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>".encode())
    assert b"<?xml" not in out
    assert made.receive(data) is None


def test_a_header_may_be_as_long_as_the_limit() -> None:
    assert isinstance(stream().receive(padded(MAX_ELEMENT_BYTES)), Opened)


@pytest.mark.parametrize("data", [b"", b" ", b"\n", b"\t \r\n" * 100_000], ids=["nothing", "a space", "a line feed", "very much"])
def test_white_space_keeps_a_stream_alive(data: bytes) -> None:
    made = choosing(secure=False)
    assert made.receive(data) is None
    assert made.receive(RESULT) is not None


def test_the_authenticated_stream_is_of_whom_was_authenticated() -> None:
    made = choosing(secure=True)
    made.receive(auth())
    made.proven("a.example")
    made.take()
    assert made.receive(header(" from='c.example' to='b.example' version='1.0'")) == Ended("invalid-from")
    assert conditions(made.take()) == ["invalid-from"]


def test_a_peer_that_does_not_wait_is_told_to() -> None:
    made = stream()
    assert isinstance(made.receive(HEADER), Opened)
    assert made.receive(TOO_MUCH) == Ended("policy-violation")
    assert conditions(made.take()) == ["policy-violation"]


def test_a_peer_that_takes_too_long_is_told_so() -> None:
    made = stream()
    made.receive(b"<?xml version='1.0'?><stre")
    made.timeout()
    assert conditions(made.take()) == ["connection-timeout"]


@pytest.mark.parametrize("data", [HEADER, FIRST["a comment"][0]], ids=["a header", "a fault"])
def test_our_header_names_us_only_where_the_peer_did(data: bytes) -> None:
    made = stream()
    if isinstance(made.receive(data), Opened):
        made.timeout()
    assert (b" from='b.example' to='a.example' " in made.take()) == (data == HEADER)


def test_the_page_names_each_stream_error_once() -> None:
    page = [row[0].strip("`") for row in table_rows(ROOT / "docs/reference/s2s.md", "stream error", "what brings it", "RFC 6120")]
    tested = {condition for cases in (FIRST, BELOW) for _, condition in cases.values()}
    assert set(page) == tested | {"invalid-from", "connection-timeout", "see-other-host", "system-shutdown"}
    assert len(page) == len(set(page))
