"""Service discovery (XEP-0030) and result set management (XEP-0059) of the clearinghouse's own address (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.errors import MalformedRequest
from clearinghouse.grid.commands import TITLES, Command
from clearinghouse.grid.namespaces import CLEARINGHOUSE, COMMANDS, DATA_FORMS, DISCO_INFO, DISCO_ITEMS, RSM
from clearinghouse.grid.reception import MAX_PAGE, TopicPage, place_of
from clearinghouse.grid.texts import plain
from clearinghouse.grid.topics import Topic

MAX_PLACE_CHARACTERS: Final = 2_048
"""Characters of a place between topics: a broker's JID has at most 1,023, a node of ours 256."""

INFO: Final = f"{{{DISCO_INFO}}}query"
ITEMS: Final = f"{{{DISCO_ITEMS}}}query"

_FOR_ALL: Final = (DISCO_INFO, DISCO_ITEMS, RSM, CLEARINGHOUSE)
_SET: Final = f"{{{RSM}}}set"

_is_count = re.compile(r"[0-9]{1,9}").fullmatch


@dataclass(frozen=True, slots=True)
class PageAsked:
    """Which page is wanted; see `Reception.topics_for`.  A ``limit`` of 0 asks how many there are (XEP-0059, section 2.6)."""

    after: str = ""
    before: str | None = None
    limit: int = MAX_PAGE


def read_page(query: Element) -> PageAsked:
    """Read what a disco query says about paging, nothing at all being the first page; raises `MalformedRequest`."""
    asked = query.find(_SET)
    if asked is None:
        return PageAsked()
    most, place, before = (asked.find(f"{{{RSM}}}{name}") for name in ("max", "after", "before"))
    if asked.find(f"{{{RSM}}}index") is not None or (place is not None and before is not None):
        raise MalformedRequest("a page by its index, or in two directions", mend="use either `after` or `before` (XEP-0059)")
    limit = MAX_PAGE if most is None else _count(most.text or "")
    return PageAsked(_place(place) or "", _place(before), limit)


def _count(written: str) -> int:
    if not _is_count(written.strip()):
        raise MalformedRequest("a page size that is no number", mend=f"use 0 to {MAX_PAGE}")
    return min(int(written), MAX_PAGE)


def _place(element: Element | None) -> str | None:
    if element is None:
        return None
    if len(element) or len(element.text or "") > MAX_PLACE_CHARACTERS:
        raise MalformedRequest("a place that is markup or too long", mend=f"use at most {MAX_PLACE_CHARACTERS} characters")
    return element.text or ""


def page_of(topics: Iterable[Topic], asked: PageAsked) -> TopicPage:
    """Return the page that is *asked* for out of all *topics* that somebody may discover, in any order."""
    ordered = sorted(topics, key=place_of)
    if asked.before is None:
        rest = [topic for topic in ordered if place_of(topic) > asked.after]
        return TopicPage(tuple(rest[: asked.limit]), len(rest) <= asked.limit)
    rest = [topic for topic in ordered if not asked.before or place_of(topic) < asked.before]
    return TopicPage(tuple(rest[max(0, len(rest) - asked.limit) :]), len(rest) <= asked.limit)


def write_topics(page: TopicPage) -> Element:
    """Return the answer to a disco query for topics: broker, node and title of each, and where the page begins and ends.

    It is paged whether that was asked for or not, so that a client sees when there is more; how many there are in
    all is not known, and not said.
    """
    query = Element(ITEMS)
    for topic in page.topics:
        SubElement(query, f"{{{DISCO_ITEMS}}}item", jid=topic.broker, node=topic.node, name=plain(topic.title or topic.node))
    _write_set(query, page.topics)
    return query


def _write_set(query: Element, topics: Sequence[Topic]) -> None:
    written = SubElement(query, _SET)
    if topics:
        SubElement(written, f"{{{RSM}}}first").text = place_of(topics[0])
        SubElement(written, f"{{{RSM}}}last").text = place_of(topics[-1])


def write_commands(us: str) -> Element:
    """Return the answer to a disco query for our commands (XEP-0050, section 3.1)."""
    query = Element(ITEMS, node=COMMANDS)
    for command, title in TITLES.items():
        SubElement(query, f"{{{DISCO_ITEMS}}}item", jid=us, node=command.value, name=title)
    return query


def about_us(*, person: bool) -> Element:
    """Return what we are and can; only people of ours hear that there are commands (rule R22)."""
    features = (*_FOR_ALL, COMMANDS) if person else _FOR_ALL
    return _info("", "component", "generic", "", features)


def about_commands(node: str) -> Element | None:
    """Return the answer about the list of commands or one of them (XEP-0050, section 3.2); ``None`` for any other node."""
    if node == COMMANDS:
        return _info(node, "automation", "command-list", "", (DISCO_INFO, DISCO_ITEMS))
    if node in set(Command):
        return _info(node, "automation", "command-node", TITLES[Command(node)], (COMMANDS, DATA_FORMS))
    return None


def _info(node: str, category: str, kind: str, name: str, features: Iterable[str]) -> Element:
    query = Element(INFO, {"node": node} if node else {})
    SubElement(query, f"{{{DISCO_INFO}}}identity", {"category": category, "type": kind} | ({"name": name} if name else {}))
    for feature in features:
        SubElement(query, f"{{{DISCO_INFO}}}feature", var=feature)
    return query
