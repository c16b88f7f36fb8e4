"""Talks of real kinds of servers with the stream machine, from their first byte to the answer."""

from __future__ import annotations

import pytest

from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, Opened, StartTls
from clearinghouse.doors.s2s.sasl import ATTEMPTS
from clearinghouse.doors.s2s.stream import Starttls
from clearinghouse.doors.s2s.table import State
from clearinghouse.errors import InternalError
from clearinghouse.federation.redirection.answers import Redirect, Refused
from tests.unit.doors.s2s.peers import (
    ABORT,
    HEADER,
    NAMES,
    PLACE,
    RESULT,
    STARTTLS,
    VERIFY,
    auth,
    choosing,
    encoded,
    header,
    response,
    stream,
)

GREETED = Opened("a.example", "b.example", modern=True, dialback=True)
OURS = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'"
    " xmlns:db='jabber:server:dialback' id='id-%d' from='b.example' to='a.example' version='1.0' xml:lang='en'>"
)
PROCEED = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SUCCESS = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
SEE_OTHER = (
    "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>b.example:5270</see-other-host>"
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>the server of b.example (decision 0123456789ab)</text>"
    "</stream:error></stream:stream>"
)
BARE = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"


def failure(condition: str) -> bytes:
    return f"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>".encode()


def test_answered_at_the_header_in_one_piece() -> None:
    made = stream()
    assert made.receive(HEADER) == GREETED
    assert made.take() == b""
    made.answer(PLACE)
    assert made.take().decode() == OURS % 1 + SEE_OTHER
    assert (made.state, made.take()) == (State.ENDED, b"")


def test_prosody_and_ejabberd_with_a_certificate() -> None:
    """STARTTLS, then EXTERNAL, then the answer before the features of the authenticated stream."""
    made = stream()
    assert made.receive(HEADER) == GREETED
    made.offer(starttls=Starttls.REQUIRED, external=False, dialback=False)
    features = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
    assert made.take().decode() == OURS % 1 + features
    assert made.receive(STARTTLS) == StartTls()
    made.proceed()
    assert made.take().decode() == PROCEED
    made.secured()
    assert (made.secure, made.receive(b""), made.take()) == (True, None, b"")
    assert made.receive(HEADER) == GREETED
    made.offer(starttls=Starttls.NO, external=True, dialback=False)
    assert made.take().decode().endswith("<mechanism>EXTERNAL</mechanism></mechanisms></stream:features>")
    assert made.receive(auth(encoded("a.example"))) == Authenticating("a.example")
    made.proven("a.example")
    assert made.take().decode() == SUCCESS
    assert made.receive(header(" to='b.example' version='1.0'")) == GREETED
    made.answer(PLACE)
    assert made.take().decode() == (OURS % 3).replace(" to='a.example'", "") + SEE_OTHER


def test_direct_tls_begins_secure() -> None:
    made = stream(secure=True)
    assert made.receive(HEADER) == GREETED
    made.answer(Refused())
    assert made.take().decode() == OURS % 1 + BARE


def test_jabberd2_names_the_pair_with_its_key_only() -> None:
    made = stream()
    assert made.receive(header(" version='1.0'")) == Opened("", "", modern=True, dialback=True)
    made.offer(starttls=Starttls.OPTIONAL, external=False, dialback=True)
    out = made.take().decode()
    assert " from=" not in out
    assert out.endswith("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>")
    assert made.receive(RESULT) == DialbackAsked("a.example", "b.example", "0123abcd", "id-1")
    made.answer(Refused("not permitted: not-granted (decision 0123456789ab)"))
    told = "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>not permitted: not-granted (decision 0123456789ab)</text>"
    assert made.take().decode() == BARE.replace("</stream:error>", told + "</stream:error>")


@pytest.mark.parametrize(
    "more, answered, modern",
    [
        ("", "", False),
        (" version='0.9'", " version='0.9'", False),
        (" version='1.0'", " version='1.0'", True),
        (" version='1.1'", " version='1.0'", True),
        (" version='2.0'", " version='1.0'", True),
        (" version='0010.0'", " version='1.0'", True),
    ],
    ids=["none", "0.9", "1.0", "1.1", "2.0", "10.0 with zeros"],
)
def test_versions(more: str, answered: str, modern: bool) -> None:  # noqa: FBT001 - a column of the table
    made = stream()
    assert made.receive(header(NAMES + more)) == GREETED._replace(modern=modern)
    made.offer(starttls=Starttls.NO, external=False, dialback=True)
    out = made.take().decode()
    assert f" to='a.example'{answered} xml:lang='en'>" in out
    assert ("<stream:features>" in out) == modern
    assert made.receive(RESULT) == DialbackAsked("a.example", "b.example", "0123abcd", "id-1")


def test_names_are_told_in_normal_form_and_answered_as_they_were_written() -> None:
    made = stream()
    event = made.receive(header(" from='Bücher.Example.' to='B.EXAMPLE' version='1.0' xml:lang='de'"))
    assert event == Opened("xn--bcher-kva.example", "b.example", modern=True, dialback=True)
    made.timeout()
    assert " from='B.EXAMPLE' to='Bücher.Example.' " in made.take().decode()


def test_what_we_write_is_escaped() -> None:
    made = stream()
    made.receive(HEADER)
    made.answer(Redirect("<&'\">", "a\0b\ud800]]>"))
    out = made.take().decode()
    assert ">&lt;&amp;&apos;&quot;&gt;</see-other-host>" in out
    assert ">a\N{REPLACEMENT CHARACTER}b?]]&gt;</text>" in out


def test_a_peer_without_the_namespace_of_dialback() -> None:
    namespaces = "xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'"
    assert stream().receive(header(namespaces=namespaces)) == GREETED._replace(dialback=False)


# -- SASL --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, told",
    [
        (HEADER, "a.example"),
        (header(" to='b.example' version='1.0'"), ""),
    ],
    ids=["from", "no from"],
)
@pytest.mark.parametrize("asked", [False, True], ids=["at once", "when asked"])
def test_external_without_a_name_is_about_the_header(first: bytes, told: str, asked: bool) -> None:  # noqa: FBT001 - a column
    made = choosing(secure=True, first=first)
    if asked:
        assert made.receive(auth("")) is None
        assert made.take() == b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    assert made.receive(response() if asked else auth()) == Authenticating(told)


def test_external_with_a_name_where_the_header_has_none() -> None:
    made = choosing(secure=True, first=header(" to='b.example' version='1.0'"))
    assert made.receive(auth(encoded("Other.Example"))) == Authenticating("other.example")


@pytest.mark.parametrize(
    "sent, condition",
    [
        (auth(mechanism="PLAIN"), "invalid-mechanism"),
        (auth(mechanism="external"), "invalid-mechanism"),
        (auth().replace(b" mechanism='EXTERNAL'", b""), "invalid-mechanism"),
        (auth("%%%"), "incorrect-encoding"),
        (auth("YQ"), "incorrect-encoding"),
        (auth("YQ==="), "incorrect-encoding"),
        (auth(" " + encoded("a.example")), "incorrect-encoding"),
        (auth("höher"), "incorrect-encoding"),
        (auth("/w=="), "invalid-authzid"),
        (auth(encoded("c.example")), "invalid-authzid"),
        (auth(encoded("user@a.example")), "invalid-authzid"),
        (auth(encoded("192.0.2.7")), "invalid-authzid"),
        (response(), "malformed-request"),
        (ABORT, "aborted"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.decode()[-60:],
)
def test_an_attempt_that_fails_leaves_two_more(sent: bytes, condition: str) -> None:
    made = choosing(secure=True)
    for _ in range(ATTEMPTS):
        assert made.receive(sent) is None
        assert made.take() == failure(condition)
    assert made.receive(auth()) == Ended("policy-violation")


def test_aborted_when_asked() -> None:
    made = choosing(secure=True)
    made.receive(auth(""))
    made.take()
    assert made.receive(ABORT) is None
    assert made.take() == failure("aborted")
    assert made.receive(auth()) == Authenticating("a.example")


def test_a_certificate_that_is_not_enough() -> None:
    made = choosing(secure=True)
    made.receive(auth())
    made.refuse_sasl()
    assert made.take() == failure("not-authorized")
    assert isinstance(made.receive(RESULT), DialbackAsked)


def test_external_before_tls() -> None:
    made = choosing(secure=False)
    assert made.receive(auth()) is None
    assert made.take() == failure("encryption-required")


def test_external_where_only_dialback_is_offered() -> None:
    made = stream(secure=True)
    made.receive(HEADER)
    made.offer(starttls=Starttls.NO, external=False, dialback=True)
    made.take()
    assert made.receive(auth()) is None
    assert made.take() == failure("invalid-mechanism")


# -- dialback ----------------------------------------------------------------------------------------------


def test_we_are_never_the_authority_for_a_key() -> None:
    made = choosing(secure=False)
    assert made.receive(VERIFY) is None
    told = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>"
    assert made.take().decode() == "<db:verify from='b.example' to='a.example' id='of-another' type='error'>" + told


def test_an_old_server_reads_no_errors_of_dialback() -> None:
    made = choosing(secure=False, first=header(NAMES))
    assert made.receive(VERIFY) is None
    assert made.take() == b"<db:verify from='b.example' to='a.example' id='of-another' type='invalid'/>"
    made.receive(RESULT)
    made.refuse_dialback()
    assert made.take() == b"<db:result from='b.example' to='a.example' type='invalid'/>"


def test_a_key_that_could_not_be_verified() -> None:
    made = choosing(secure=False)
    made.receive(RESULT)
    made.refuse_dialback("remote-server-timeout")
    assert b" type='error'><error type='cancel'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" in made.take()
    assert isinstance(made.receive(RESULT), DialbackAsked)


# -- the end -----------------------------------------------------------------------------------------------


def test_a_peer_that_gives_up_says_why() -> None:
    made = choosing(secure=False)
    data = b"<stream:error><host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text/></stream:error></stream:stream>"
    assert made.receive(data) == Ended("host-gone", by_peer=True)
    assert made.take() == b"</stream:stream>"


@pytest.mark.parametrize(
    "inside",
    ["", "<reset/>", "<reset xmlns='urn:example:other'/>", "<Reset%s/>", "<r%s/>", f"<{'reset' * 10}%s/>"],
    ids=["nothing", "not of the namespace", "of another", "a capital", "short", "long"],
)
def test_what_is_no_condition_is_not_told(inside: str) -> None:
    made = choosing(secure=False)
    data = f"<stream:error>{inside}</stream:error>".replace("%s", " xmlns='urn:ietf:params:xml:ns:xmpp-streams'")
    assert made.receive(data.encode()) == Ended("undefined-condition", by_peer=True)


def test_a_word_that_comes_too_late_says_nothing() -> None:
    made = stream()
    made.receive(HEADER)
    made.end()
    made.answer(PLACE)
    assert made.take() == b""


@pytest.mark.parametrize(
    "secure, starttls, external, dialback",
    [(False, Starttls.NO, True, True), (True, Starttls.OPTIONAL, False, True), (False, Starttls.NO, False, False)],
    ids=["EXTERNAL in clear", "TLS on TLS", "nothing"],
)
def test_what_may_not_be_offered(secure: bool, starttls: Starttls, external: bool, dialback: bool) -> None:  # noqa: FBT001 - columns
    made = stream(secure=secure)
    made.receive(HEADER)
    with pytest.raises(InternalError):
        made.offer(starttls=starttls, external=external, dialback=dialback)


def test_an_authenticated_stream_is_offered_nothing() -> None:
    """Features after SASL would let the peer send stanzas, which would be lost."""
    made = choosing(secure=True)
    made.receive(auth())
    made.proven("a.example")
    made.receive(HEADER)
    with pytest.raises(InternalError):
        made.offer(starttls=Starttls.NO, external=False, dialback=True)
