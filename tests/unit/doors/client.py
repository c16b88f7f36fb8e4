"""A person's client without a network: what it sends goes straight to an exchange, and forms are read as people see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from clearinghouse.doors.xmpp.exchange import Exchange
from clearinghouse.grid.forms import write_form
from clearinghouse.grid.namespaces import CLIENT, COMMANDS, DATA_FORMS
from clearinghouse.grid.stanzas import StanzaRefused, refusal_in
from tests.unit.doors.paper import BROKER, PaperReception

US = "ch.example.net"
ANN = "ann@example.net"

_numbers = count(1)


class Counter:
    """The exchange with a reception behind it, and what it wrote."""

    def __init__(self, reception: PaperReception) -> None:
        self.written: list[Element] = []
        self._replies: dict[str, asyncio.Future[Element]] = {}
        self.exchange = Exchange(US, {BROKER: frozenset({"incidents"})}, self._write, lambda _: None, reception=reception)

    def _write(self, stanza: Element) -> None:
        self.written.append(fromstring(tostring(stanza)))  # noqa: S314 - ours; it must be XML
        if (waiting := self._replies.get(stanza.get("id", ""))) is not None:
            waiting.set_result(self.written[-1])

    def send(self, sender: str, kind: str, payload: Element, to: str = US) -> str:
        """Let *sender* send an IQ, and return its id."""
        number = str(next(_numbers))
        iq = Element(f"{{{CLIENT}}}iq", {"from": sender, "to": to, "id": number, "type": kind})
        iq.append(payload)
        self._replies[number] = asyncio.get_running_loop().create_future()
        self.exchange.receive(iq)
        return number

    async def reply(self, number: str) -> Element:
        """Return the answer to an IQ: its result, or the error raised."""
        async with asyncio.timeout(5):
            found = await self._replies[number]
        if found.get("type") == "error":
            raise refusal_in(found)
        return found

    async def ask(self, sender: str, kind: str, payload: Element, to: str = US) -> Element:
        """Ask, and return what is in the result."""
        return (await self.reply(self.send(sender, kind, payload, to)))[0]

    async def refused(self, sender: str, kind: str, payload: Element, to: str = US) -> tuple[str, str, str]:
        """Ask, and return condition, detail and text of the refusal."""
        try:
            found = await self.ask(sender, kind, payload, to)
        except StanzaRefused as error:
            return error.condition, error.detail, error.text
        raise AssertionError(tostring(found))


@dataclass(slots=True)
class Page:
    """One answer to a command, as a person reads it."""

    command: Element
    session: str = field(init=False)
    status: str = field(init=False)

    def __post_init__(self) -> None:
        self.session = self.command.get("sessionid", "")
        self.status = self.command.get("status", "")

    @property
    def actions(self) -> list[str]:
        return [each.tag.rpartition("}")[2] for each in self.command.iterfind(f"{{{COMMANDS}}}actions/*")]

    @property
    def default(self) -> str:
        found = self.command.find(f"{{{COMMANDS}}}actions")
        return "" if found is None else found.get("execute", "")

    @property
    def notes(self) -> list[tuple[str, str]]:
        return [(each.get("type", ""), each.text or "") for each in self.command.iterfind(f"{{{COMMANDS}}}note")]

    @property
    def text(self) -> list[str]:
        """The lines between the fields, and those of longer texts."""
        kinds = {"fixed", "text-multi"}
        return [value.text or "" for each in self._fields() if each.get("type") in kinds for value in each.iterfind(_tag("value"))]

    @property
    def labels(self) -> dict[str, str]:
        return {each.get("var", ""): each.get("label", "") for each in self._fields() if each.get("type") not in {"fixed", "hidden"}}

    @property
    def hidden(self) -> dict[str, str]:
        return {each.get("var", ""): each.findtext(_tag("value"), "") for each in self._fields() if each.get("type") == "hidden"}

    def options(self, name: str) -> dict[str, str]:
        """The choices of a field: label -> value."""
        found = self.command.iterfind(f"{_tag('x')}/{_tag('field')}[@var='{name}']/{_tag('option')}")
        return {each.get("label", ""): each.findtext(_tag("value"), "") for each in found}

    def _fields(self) -> list[Element]:
        return self.command.findall(f"{_tag('x')}/{_tag('field')}")


def _tag(name: str) -> str:
    return f"{{{DATA_FORMS}}}{name}"


def command(node: str, action: str = "", session: str = "", filled: Mapping[str, str | list[str]] | None = None) -> Element:
    """Return the ``<command/>`` of a client."""
    element = Element(f"{{{COMMANDS}}}command", node=node)
    element.attrib |= {name: value for name, value in (("action", action), ("sessionid", session)) if value}
    if filled is not None:
        element.append(write_form("submit", "urn:x-clearinghouse:1#any", filled))
    return element


@dataclass(slots=True)
class Client:
    """A person's client at a full JID."""

    counter: Counter
    jid: str = f"{ANN}/phone"

    async def start(self, node: str) -> Page:
        return await self.send(command(node, "execute"))

    async def go(self, page: Page, action: str, filled: Mapping[str, str | list[str]] | None = None) -> Page:
        """Do *action* on a page; hidden fields go back as they came."""
        with_hidden = None if filled is None else {**{k: v for k, v in page.hidden.items() if k != "FORM_TYPE"}, **filled}
        return await self.send(command(page.command.get("node", ""), action, page.session, with_hidden))

    async def send(self, element: Element) -> Page:
        return Page(await self.counter.ask(self.jid, "set", element))

    async def refused(self, element: Element) -> tuple[str, str]:
        return (await self.counter.refused(self.jid, "set", element))[:2]


def disco(namespace: str, node: str = "", paging: str | None = None) -> Element:
    """Return a disco query; *paging* are the elements in its ``<set/>``."""
    query = Element(f"{{{namespace}}}query", {"node": node} if node else {})
    if paging is not None:
        query.append(fromstring(f"<set xmlns='http://jabber.org/protocol/rsm'>{paging}</set>"))  # noqa: S314
    return query


def wrapped(tag: str, text: str) -> Element:
    """Return an element with *text* in it."""
    holder = Element("holder")
    SubElement(holder, tag).text = text
    return holder[0]
