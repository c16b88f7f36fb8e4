"""R4: what the desk signs is one request, pinned in full, whatever a stranger has written into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.approvals import NoDeskText, check_desk_text, desk_text
from clearinghouse.clearing.cases import Case
from clearinghouse.clearing.desk_texts import MAX_BYTES, read
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.senders import SenderBudgets
from clearinghouse.clearing.vocabulary import COMMON, OPERATIONS, Door
from clearinghouse.keynote import Limits
from clearinghouse.keynote.signing import sign
from tests.world import BROKER, NOON, Community, key, request, signed, who

DESK = who("desk")
LONGEST = timedelta(days=90)
HOSTILE = {
    "a quotation mark": 'incidents" || true',
    "a clause": 'x" -> "allow"; true -> "allow',
    "a whole field": 'x"\nAuthorizer: "POLICY"\nLicensees: "xmpp:eve@c.example"\nConditions: true',
    "a signature": 'x"\nSignature: "sig-ed25519-hex:00',
    "a backslash at the end": "incidents\\",
    "an octal escape": "\\042 || true",
    "a line that goes on": "incidents\\\n  || true",
    "a comment": 'x" # the rest is no part of it',
    "a terminal's commands": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "control characters": "\x01\x08\r\n\t\x7f\x85",
    "text that runs backwards": "\u202eypocexe\u2066.kn",
    "nothing to see": "\u200b\u2060\ufeff",
    "other letters": "ınсidents",  # noqa: RUF001 - that is what it is about
    "beyond the first plane": "\U0001f4a9\U0010ffff",
    "an attribute": "$jid",
    "a pattern": "^(.*)$",
    "everything": "*",
    "a number that follows an escape": "\u00e91\x017",
    "a long name": "n" * 1_023,
    "a long name of wide letters": "\u20ac" * 1_023,
}
ANN = "ann@a.example"


def case_of(asked: Request) -> Case:
    return Case("case-1", asked, NOON, NOON + timedelta(days=30))


def text_for(asked: Request, *, until: datetime = NOON + LONGEST, community: str = "") -> bytes:
    return desk_text(case_of(asked), desk=DESK, until=until, serial="serial-1", community=community)


def approved(asked: Request) -> bytes:
    return sign(text_for(asked), key("desk"), limits=Limits.local())


def asking(topic: str) -> Request:
    asked = request(ANN, to=topic)
    return replace(asked, place=Place(BROKER, topic, ANN))


def world() -> Community:
    """Anybody may ask for anything, and the desk approves."""
    sim = Community()
    sim.appoint("desk")
    for operation in ("create", "publish", "subscribe", "retrieve"):
        anything = f'operation == "{operation}" && (topic ~= "^.*$" || !(topic ~= "^.*$"))'
        bound = 'topic > "" && (topic != "\\001\\002\\001\\002" && topic != "\\376\\377\\376\\377")'
        for to, value in (("{hub}", "ask"), ("{hub} && {desk}", "allow")):
            sim.policy(to, f"{anything} && {bound}", value, operation=operation)
    sim.store(signed("hub", None))
    return sim


WORLD = world()


def ruled(asked: Request) -> str:
    """Return the value for a sender who has asked for nothing before."""
    WORLD.desk.senders = SenderBudgets()
    return WORLD.ask(asked).value


@pytest.mark.parametrize("topic", HOSTILE.values(), ids=HOSTILE.keys())
def test_r04_hostile_text_is_a_value_and_nothing_else(topic: str) -> None:
    text = text_for(asking(topic))
    assert dict(read(text).pins)["topic"] == topic
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in text), "plain ASCII: nothing for a terminal to obey"
    assert [line.partition(b":")[0] for line in text.splitlines() if re.match(rb"[A-Z]", line)] == [
        b"Comment",
        b"Authorizer",
        b"Licensees",
        b"Conditions",
    ]
    check_desk_text(text, DESK, now=NOON, longest=LONGEST)


@pytest.mark.parametrize("topic", HOSTILE.values(), ids=HOSTILE.keys())
def test_r04_what_was_approved_under_a_hostile_name_is_approved_and_nothing_beside_it(topic: str) -> None:
    asked = asking(topic)
    approval = approved(asked)
    assert ruled(asked) == "ask"
    assert ruled(replace(asked, approvals=(approval,))) == "allow"
    for other in {"incidents", *HOSTILE.values()} - {topic}:
        assert ruled(replace(asking(other), approvals=(approval,))) == "ask"


def test_r04_everything_about_the_request_is_pinned() -> None:
    asked = replace(asking("incidents"), validity=3_600)
    pins = dict(read(text_for(asked, community="csirt-net")).pins)
    WORLD.desk.senders = SenderBudgets()
    decision = WORLD.ask(asked)
    assert decision.proof is not None
    action = dict(decision.proof.context.action)
    assert action.keys() - pins.keys() == {"date", "time"}, "the clock is bound by until when it holds"
    assert pins == {name: value for name, value in action.items() if name not in {"date", "time"}}


def test_r04_it_names_its_case_what_was_shown_and_a_serial() -> None:
    asked = asking("incidents")
    found = read(text_for(asked))
    assert (found.case, found.serial) == ("case-1", "serial-1")
    assert found.shown == case_of(asked).digest()
    assert found.until == NOON + LONGEST
    assert found.requesters == ("xmpp-member:a.example", f"xmpp:{ANN}")


def test_r04_what_is_shown_is_escaped_and_its_digest_is_of_all_of_it() -> None:
    seen = {case_of(asking(topic)).digest() for topic in HOSTILE.values()}
    assert len(seen) == len(HOSTILE)
    for topic in HOSTILE.values():
        assert all(line.isprintable() for line in case_of(asking(topic)).summary().split("\n"))


def test_r04_what_is_shown_does_not_stop_before_the_end() -> None:
    """The hole: a name that begins as a member's, and ends elsewhere."""
    long = f"ann@members.example.{'a' * 50}.evil.example"
    asked = request(ANN)
    seen = case_of(replace(asked, observed={**asked.observed, "jid": long})).summary()
    assert f"jid: {long}" in seen.splitlines()
    ends = {case_of(asking("n" * 2_000 + end)).digest() for end in ("a", "b")}
    assert len(ends) == 2


def test_r04_letters_that_look_like_others_are_spelled_out() -> None:
    assert "topic: ınсidents (spelled \\u0131n\\u0441idents)" in case_of(asking("ınсidents")).summary()  # noqa: RUF001 - the point
    assert "topic: incidents" in case_of(asking("incidents")).summary().splitlines()


@pytest.mark.parametrize("operation", [name for name, each in OPERATIONS.items() if "ask" in (each.values or ())])
def test_r04_every_operation_that_people_decide_can_be_approved(operation: str) -> None:
    asked = request(ANN if Door.BROKER in OPERATIONS[operation].doors() else "ann", operation)
    found = read(text_for(asked))
    assert {name for name, _ in found.pins} == (OPERATIONS[operation].attributes.keys() - COMMON) | {"operation", "ValidityPeriod"}


# -- what the desk's own process refuses ----------------------------------------------------------------------

GOOD = text_for(asking("incidents")).decode()
SPOILT: Mapping[str, tuple[str, str]] = {
    "another authorizer": (DESK, who("hub")),
    "policy's own word": (f'Authorizer: "{DESK}"', 'Authorizer: "POLICY"'),
    "one requester less": ('Licensees: "xmpp-member:a.example" && ', "Licensees: "),
    "somebody else licensed": ('Licensees: "xmpp-member:a.example"', 'Licensees: "xmpp-member:c.example"'),
    "either requester": (f'"xmpp-member:a.example" && "xmpp:{ANN}"\nC', f'"xmpp-member:a.example" || "xmpp:{ANN}"\nC'),
    "requesters that are not pinned": ('_ACTION_AUTHORIZERS == "xmpp-member:a.example,', '_ACTION_AUTHORIZERS == "xmpp-member:c.example,'),
    "one attribute less": ('    && topic == "incidents"\n', ""),
    "an attribute twice": ('    && topic == "incidents"\n', '    && topic == "incidents"\n    && topic == "incidents"\n'),
    "attributes in another order": ('    && app_domain == "xmpp"\n    && jid', "    && jid"),
    "not that topic": ('topic == "incidents"', 'topic != "incidents"'),
    "any topic": ('topic == "incidents"', 'topic ~= ".*"'),
    "a topic of the request's choice": ('topic == "incidents"', "topic == topic"),
    "another topic as well": ('topic == "incidents"', '(topic == "incidents" || topic == "secrets")'),
    "an operation over people": ('operation == "subscribe"', 'operation == "approve"'),
    "no operation": ('operation == "subscribe"', 'operation == "conquer"'),
    "a second clause": ('-> "allow";', '-> "allow";\n  true;'),
    "no value": (' -> "allow"', ""),
    "another value": ('-> "allow"', '-> "level-3"'),
    "no end": ('    && time < "20270218120000"', ""),
    "a beginning": ('time < "', 'time > "'),
    "an end that is none": ("20270218120000", "20279918120000"),
    "an end by the day": ('time < "20270218120000"', 'date < "20270218"'),
    "no case": ("case: case-1\n  ", ""),
    "no digest": ("shown: ", "seen: "),
    "constants": ("Authorizer: ", 'Local-Constants: topic = "incidents"\nAuthorizer: '),
    "a version": ("Comment: ", "KeyNote-Version: 2\nComment: "),
    "a signature already": ('"allow";\n', '"allow";\nSignature: "sig-ed25519-hex:00"\n'),
    "other blanks": (" && topic", "  && topic"),
    "other brackets": ('topic == "incidents"', '(topic == "incidents")'),
    "an octal digit where none is needed": ('"incidents"', '"\\151ncidents"'),
    "a malformed domain": ('domain == "a.example"', 'domain == "A.example"'),
    "an empty fact": ('payload_type == "urn:ietf:params:xml:ns:iodef-2.0"', 'payload_type == ""'),
    "a comment of the shell": ("Authorizer", "# nothing\nAuthorizer"),
    "no text at all": (GOOD, ""),
    "two assertions": (GOOD, f"{GOOD}\n{GOOD}"),
    "more than is ever needed": (GOOD, GOOD + "#" * MAX_BYTES),
}


def test_r04_the_good_one_is_signed() -> None:
    check_desk_text(GOOD.encode(), DESK, now=NOON, longest=LONGEST)


@pytest.mark.parametrize("old, new", SPOILT.values(), ids=SPOILT.keys())
def test_r04_the_desk_signs_nothing_else(old: str, new: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(NoDeskText):
        check_desk_text(GOOD.replace(old, new, 1).encode(), DESK, now=NOON, longest=LONGEST)


@pytest.mark.parametrize(
    "until, good",
    [
        (NOON, False),
        (NOON - timedelta(seconds=1), False),
        (NOON + timedelta(seconds=1), True),
        (NOON + LONGEST, True),
        (NOON + LONGEST + timedelta(seconds=1), False),
    ],
)
def test_r04_an_approval_holds_now_and_not_for_too_long(until: datetime, good: bool) -> None:  # noqa: FBT001 - a row of the table
    text = text_for(asking("incidents"), until=until)
    if good:
        check_desk_text(text, DESK, now=NOON, longest=LONGEST)
    else:
        with pytest.raises(NoDeskText, match="which is over, or later than 90 days from now"):
            check_desk_text(text, DESK, now=NOON, longest=LONGEST)


def test_r04_an_end_within_a_second_is_the_second_before() -> None:
    until = NOON + timedelta(days=1, microseconds=999_999)
    assert read(text_for(asking("incidents"), until=until)).until == NOON + timedelta(days=1)
    assert read(text_for(asking("incidents"), until=until.astimezone(UTC))).until == NOON + timedelta(days=1)


@pytest.mark.parametrize("name", ["case", "serial"])
@pytest.mark.parametrize("value", ["", "a b", "x\n  serial: y", "x" * 65, "ä"])
def test_r04_ids_are_plain(name: str, value: str) -> None:
    case = case_of(asking("incidents"))
    case, serial = (replace(case, id=value), "1") if name == "case" else (case, value)
    with pytest.raises(NoDeskText):
        desk_text(case, desk=DESK, until=NOON + LONGEST, serial=serial)


# -- whatever the request says --------------------------------------------------------------------------------

texts = st.one_of(
    st.sampled_from([*HOSTILE.values(), "incidents", "xmpp"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    topic, title = draw(texts), draw(texts)
    operation = draw(st.sampled_from(["create", "publish", "subscribe", "retrieve"]))
    name = draw(st.sampled_from([ANN, "bob@a.example", "ann@b.example"]))
    asked = replace(request(name, operation, to=topic), place=Place(BROKER, topic, name))
    known = {**asked.known, "payload_type": draw(texts), "access_model": draw(st.sampled_from(["authorize", "whitelist"]))}
    claims = {"title": title} if operation == "create" and draw(st.booleans()) else {}
    return replace(asked, known=known, claims=claims, validity=draw(st.one_of(st.none(), st.integers(1, 10_000))))


def essence(asked: Request) -> tuple[object, ...]:
    """Return what makes a request this one: a title that is left out is one that says `*`."""
    period = asked.validity or 366 * 24 * 3600
    title = asked.claims.get("title", "*") if asked.operation == "create" else ""
    return asked.operation, sorted(asked.requesters), dict(asked.observed), dict(asked.known), title, period


@settings(max_examples=150, deadline=None)
@given(requests(), requests())
def test_r04_the_text_reads_back_as_what_was_pinned_and_grants_no_other_request(asked: Request, other: Request) -> None:
    text = text_for(asked)
    pins = dict(read(text).pins)
    assert {**asked.observed, **asked.known, **asked.claims}.items() <= pins.items()
    assert read(text).written() == text
    approval = approved(asked)
    before, after = ruled(other), ruled(replace(other, approvals=(approval,)))
    assert after == ("allow" if before == "ask" and essence(asked) == essence(other) else before)


@settings(max_examples=150, deadline=None)
@given(requests())
def test_r04_whatever_was_asked_can_be_approved(asked: Request) -> None:
    if ruled(asked) == "ask":
        assert ruled(replace(asked, approvals=(approved(asked),))) == "allow"


@settings(max_examples=300)
@given(st.integers(0, len(GOOD) - 1), st.text(st.characters(codec="ascii"), max_size=3), st.integers(0, 3))
def test_r04_no_other_spelling_is_signed(at: int, inserted: str, gone: int) -> None:
    """A text that passes says plainly what it pins: it is what the desk itself would write of that."""
    spoilt = (GOOD[:at] + inserted + GOOD[at + gone :]).encode()
    try:
        check_desk_text(spoilt, DESK, now=NOON, longest=LONGEST)
    except NoDeskText:
        return
    assert read(spoilt).written() == spoilt
    assert read(spoilt).desk == DESK
