"""The page about XMPP shows stanzas that we read and write, and the limits that we have."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, canonicalize, fromstring, tostring

import pytest

from clearinghouse.doors.xmpp import crowd, depth, documents, session, talks
from clearinghouse.grid import commands, forms, requests
from clearinghouse.grid.commands import Command
from clearinghouse.grid.namespaces import CLEARINGHOUSE, IODEF
from clearinghouse.grid.paging import ITEMS, PageAsked, page_of, read_page, write_topics
from clearinghouse.grid.reception import PlatformAnswered
from clearinghouse.grid.requests import DECISION, ENVELOPE, REQUEST, read_envelope, read_request, write_decision
from clearinghouse.grid.stanzas import error_reply, refusal_in
from clearinghouse.grid.topics import Subscriber, Topic
from tests.unit.doors.paper import NOON

PAGE = (Path(__file__).parents[3] / "docs/reference/xmpp.md").read_text()
FOUND = [fromstring(text) for text in re.findall(r"```xml\n(.*?)```", PAGE, re.DOTALL)]  # noqa: S314 - of our own page
STANZAS = {stanza.attrib["id"] + stanza.attrib["type"]: stanza for stanza in FOUND}
SENSOR = Subscriber("sensor@soc.example/1", "sensor@soc.example", "sensor@soc.example/1", "soc.example")


def same(left: Element, right: Element) -> bool:
    return canonicalize(tostring(left), strip_text=True) == canonicalize(tostring(right), strip_text=True)


def test_request_and_decision() -> None:
    asked = read_request(STANZAS["r1set"][0], SENSOR)
    assert (asked.operation, asked.broker, asked.topic, asked.seconds, asked.receipt) == (
        "publish",
        "pubsub.hub.example",
        "incidents",
        86_400,
        True,
    )
    shown = STANZAS["r1result"].find(DECISION)
    assert shown is not None
    answered = PlatformAnswered(shown.attrib["id"], "granted", "allow", "granted", NOON.replace(day=21), b'{"payload":"')
    assert same(write_decision(answered), shown)


def test_envelope() -> None:
    assert STANZAS["e1set"][0].tag == ENVELOPE
    assert read_envelope(STANZAS["e1set"][0]) == b'{"payload":"'


def test_documents() -> None:
    name, offset = documents.read_document(STANZAS["t1get"][0])
    assert same(documents.write_document(name, b'{"payload":"', offset), STANZAS["t1result"][0])
    assert f"{documents.PIECE_BYTES:,} bytes" in PAGE


def test_page_of_topics() -> None:
    topics = [Topic("pubsub.hub.example", node, IODEF, node.capitalize()) for node in ("incidents", "advisories")]
    asked = read_page(STANZAS["d1get"][0])
    assert asked == PageAsked(after="pubsub.hub.example/advisories", limit=2)
    shown = STANZAS["d1result"].find(ITEMS)
    assert shown is not None
    assert same(write_topics(page_of(topics, asked)), shown)


def test_error() -> None:
    shown = STANZAS["r2error"]
    question = Element("iq", {"from": shown.attrib["to"], "to": shown.attrib["from"], "id": "r2"})
    made = error_reply(question, "resource-constraint", detail=crowd.TooManyQuestions.code, namespace=CLEARINGHOUSE)
    assert [each.tag for each in made[0]] == [each.tag for each in shown[0]]
    assert refusal_in(made).detail == "too-many-questions"


def rows_between(start: str, end: str) -> list[str]:
    """Return the names in the first column of the tables between two texts of the page."""
    return re.findall(r"^\| `([a-z-]+)` \|", PAGE.partition(start)[2].partition(end)[0], re.MULTILINE)


def test_every_attribute_of_a_request_has_its_row() -> None:
    assert set(rows_between("## Requests", "Any other attribute")) == requests._NAMES


def test_every_command_has_its_row() -> None:
    assert rows_between("## Commands", "## Messages") == [each.value for each in Command]


@pytest.mark.parametrize(
    "row",
    [
        f"{crowd.MAX_TOGETHER} each",
        str(crowd.MAX_EACH),
        str(crowd.MAX_DOMAIN),
        f"{talks.MAX_TALKS}, {talks.MAX_TALKS_EACH} of one bare JID",
        f"{talks.TALK_SECONDS / 60:.0f} minutes",
        f"{forms.MAX_FIELDS}, {forms.MAX_VALUES:,}",
        f"{commands.MAX_PASTED_CHARACTERS:,} characters",
        f"{depth.MAX_DEPTH} elements",
        f"{session.MAX_UNFINISHED_BYTES >> 20} MiB",
    ],
)
def test_limits_are_those_of_the_code(row: str) -> None:
    assert f"| {row} |" in PAGE


def test_request_of_the_page_is_a_request() -> None:
    assert STANZAS["r1set"][0].tag == REQUEST
