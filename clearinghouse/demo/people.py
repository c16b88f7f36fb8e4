"""A person with an ordinary XMPP client: reads messages, fills in the forms of ad-hoc commands (XEP-0050)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from clearinghouse.demo.platforms import PATIENCE_SECONDS, Link
from clearinghouse.grid.forms import forms_in, read_form, write_form
from clearinghouse.grid.namespaces import CLIENT, COMMANDS, DATA_FORMS

_COMMAND: Final = f"{{{COMMANDS}}}command"
_BODY: Final = f"{{{CLIENT}}}body"


@dataclass(frozen=True, slots=True)
class Page:
    """What a client draws at one stage of a command.

    ``text`` is what stands there to be read, ``choices`` the options of each field with some, by their labels,
    ``notes`` the lines beside the form.
    """

    session: str
    status: str
    form_type: str
    text: tuple[str, ...]
    choices: Mapping[str, Mapping[str, str]]
    hidden: Mapping[str, str]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, command: Element) -> Page:
        """Read the answer of the other side."""
        forms = forms_in(command)
        fields = forms[0].findall(f"{{{DATA_FORMS}}}field") if forms else []
        notes = tuple(each.text or "" for each in command.findall(f"{{{COMMANDS}}}note"))
        return cls(
            command.get("sessionid", ""),
            command.get("status", ""),
            read_form(forms[0]).form_type if forms else "",
            tuple(line for field in fields if field.get("type") in {"fixed", "text-multi"} for line in _values(field)),
            {field.get("var", ""): _options(field) for field in fields if field.get("type") == "list-single"},
            {field.get("var", ""): _values(field)[0] for field in fields if field.get("type") == "hidden" and _values(field)},
            notes,
        )


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a client that is logged in; *office* is the address whose commands they use."""

    jid: str
    link: Link
    office: str

    async def message(self) -> str:
        """Wait for the next chat message of the office."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self.link.inbox.get()
                body = message.findtext(_BODY)
                if message.get("from", "").partition("/")[0] == self.office and body:
                    return body

    async def start(self, command: str) -> Page:
        """Start the command with this node."""
        return await self._asked(Element(_COMMAND, node=command, action="execute"))

    async def fill_in(self, command: str, page: Page, action: str, **answers: str) -> Page:
        """Send a page back with *answers* in its fields, and what is hidden in it as it came."""
        hidden = {name: value for name, value in page.hidden.items() if name != "FORM_TYPE"}
        element = Element(_COMMAND, node=command, sessionid=page.session, action=action)
        element.append(write_form("submit", page.form_type, hidden | answers))
        return await self._asked(element)

    async def _asked(self, command: Element) -> Page:
        result = await self.link.ask(self.office, "set", command)
        answer = result.find(_COMMAND)
        return Page.of(answer if answer is not None else Element(_COMMAND))


def _values(field: Element) -> list[str]:
    return [value.text or "" for value in field.findall(f"{{{DATA_FORMS}}}value")]


def _options(field: Element) -> dict[str, str]:
    found = field.findall(f"{{{DATA_FORMS}}}option")
    return {option.get("label", ""): _values(option)[0] for option in found if _values(option)}
