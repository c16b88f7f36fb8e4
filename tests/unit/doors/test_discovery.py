"""What the clearinghouse says about itself, its commands and its topics, and to whom."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from clearinghouse.grid.commands import TITLES
from clearinghouse.grid.namespaces import CLEARINGHOUSE, COMMANDS, DISCO_INFO, DISCO_ITEMS, IODEF, RSM
from clearinghouse.grid.topics import Topic
from tests.unit.doors.client import ANN, US, Counter, disco
from tests.unit.doors.paper import BROKER, PaperOffice, PaperReception

SENSOR = "sensor@soc.example/1"
STRANGER = "x@evil.example/1"


def house(*topics: Topic) -> Counter:
    found = topics or (Topic(BROKER, "incidents", IODEF, "Incidents"),)
    return Counter(PaperReception(PaperOffice(), {ANN: "ann"}, found))


async def test_everybody_hears_the_same_about_us_but_people_hear_of_commands() -> None:
    counter = house()
    said = {who: features(await counter.ask(who, "get", disco(DISCO_INFO))) for who in (STRANGER, SENSOR, f"{ANN}/x")}
    assert said[STRANGER] == said[SENSOR] == [DISCO_INFO, DISCO_ITEMS, RSM, CLEARINGHOUSE]
    assert said[f"{ANN}/x"] == [*said[SENSOR], COMMANDS]


def features(query: Element) -> list[str]:
    assert dict(query[0].attrib) == {"category": "component", "type": "generic"}
    return [each.get("var", "") for each in query[1:]]


async def test_people_find_the_commands() -> None:
    counter = house()
    found = await counter.ask(f"{ANN}/x", "get", disco(DISCO_ITEMS, COMMANDS))
    assert [(each.get("jid"), each.get("node"), each.get("name")) for each in found] == [(US, name.value, TITLES[name]) for name in TITLES]
    info = await counter.ask(f"{ANN}/x", "get", disco(DISCO_INFO, "pending"))
    assert dict(info[0].attrib) == {"category": "automation", "type": "command-node", "name": "Requests that wait"}
    assert [each.get("var") for each in info[1:]] == [COMMANDS, "jabber:x:data"]
    assert (await counter.ask(f"{ANN}/x", "get", disco(DISCO_INFO, COMMANDS)))[0].get("type") == "command-list"


@pytest.mark.parametrize("node", [COMMANDS, "pending", "incidents", "nothing"])
@pytest.mark.parametrize("kind", [DISCO_INFO, DISCO_ITEMS])
async def test_strangers_find_no_nodes(kind: str, node: str) -> None:
    assert await house().refused(STRANGER, "get", disco(kind, node)) == ("service-unavailable", "", "")


async def test_unknown_nodes_are_unknown_to_people_too() -> None:
    for kind in (DISCO_INFO, DISCO_ITEMS):
        assert await house().refused(f"{ANN}/x", "get", disco(kind, "nothing")) == ("service-unavailable", "", "")


TOPICS = tuple(Topic(BROKER, f"topic-{number:03}", IODEF, f"Topic {number}") for number in range(250))


async def listed(counter: Counter, paging: str | None = None, who: str = SENSOR) -> tuple[list[str], list[str]]:
    query = await counter.ask(who, "get", disco(DISCO_ITEMS, paging=paging))
    names = [each.get("node", "") for each in query.iterfind(f"{{{DISCO_ITEMS}}}item")]
    return names, [each.text or "" for each in query.iterfind(f"{{{RSM}}}set/*")]


async def test_topics_that_may_be_discovered_are_listed_in_pages() -> None:
    counter = house(*reversed(TOPICS))
    pages, place = [], ""
    while True:
        names, ends = await listed(counter, f"<max>100</max><after>{place}</after>" if place else None)
        if not names:
            break
        assert ends == [f"{BROKER}/{names[0]}", f"{BROKER}/{names[-1]}"]
        pages.append(names)
        place = ends[1]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert [name for page in pages for name in page] == [topic.node for topic in TOPICS]


async def test_pages_can_be_read_backwards() -> None:
    counter = house(*TOPICS)
    last, ends = await listed(counter, "<max>2</max><before/>")
    assert last == ["topic-248", "topic-249"]
    before, _ = await listed(counter, f"<max>2</max><before>{ends[0]}</before>")
    assert before == ["topic-246", "topic-247"]
    assert await listed(counter, f"<before>{BROKER}/topic-000</before>") == ([], [])


async def test_topic_has_its_broker_node_and_title() -> None:
    query = await house().ask(SENSOR, "get", disco(DISCO_ITEMS))
    assert dict(query[0].attrib) == {"jid": BROKER, "node": "incidents", "name": "Incidents"}


async def test_place_that_is_no_topic_says_nothing_about_topics() -> None:
    names, _ = await listed(house(*TOPICS), f"<max>1</max><after>{BROKER}/topic-100x</after>")
    assert names == ["topic-101"]


async def test_stranger_finds_no_topics() -> None:
    assert await listed(house(*TOPICS), who=STRANGER) == ([], [])


async def test_number_of_topics_is_not_said() -> None:
    assert await listed(house(*TOPICS), "<max>0</max>") == ([], [])


@pytest.mark.parametrize("limit, found", [("1", 1), ("100", 100), ("101", 100), ("999999999", 100)])
async def test_page_has_at_most_a_hundred_topics(limit: str, found: int) -> None:
    assert len((await listed(house(*TOPICS), f"<max>{limit}</max>"))[0]) == found


BAD_PAGES = ["<max>-1</max>", "<max>x</max>", "<max/>", "<index>3</index>", "<after>a</after><before/>", f"<after>{'x' * 3000}</after>"]


@pytest.mark.parametrize("paging", BAD_PAGES)
async def test_page_that_cannot_be_had(paging: str) -> None:
    assert await house().refused(SENSOR, "get", disco(DISCO_ITEMS, paging=paging)) == ("bad-request", "malformed-request", "")
