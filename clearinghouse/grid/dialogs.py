"""Data forms that people fill in (XEP-0004, section 3.3): labels, choices, and text between the fields (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.grid.forms import FormKind
from clearinghouse.grid.namespaces import DATA_FORMS
from clearinghouse.grid.texts import plain

MAX_CHOICES: Final = 100
"""Options of one field: more is no choice for a person, and a client draws them all."""


class Kind(StrEnum):
    """How a client draws a field."""

    FIXED = "fixed"
    """Text between fields; the only kind without a name."""
    HIDDEN = "hidden"
    BOOLEAN = "boolean"
    LINE = "text-single"
    LINES = "text-multi"
    CHOICE = "list-single"


@dataclass(frozen=True, slots=True)
class Choice:
    """One option; ``value`` is what comes back."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field; ``values`` stand in it at first, ``options`` are for a `Kind.CHOICE`."""

    kind: Kind
    name: str = ""
    label: str = ""
    values: tuple[str, ...] = ()
    options: tuple[Choice, ...] = ()
    required: bool = False


def fixed(lines: Iterable[str]) -> tuple[Field, ...]:
    """Return each line as a field of its own: clients differ in what they make of several lines in one."""
    return tuple(Field(Kind.FIXED, values=(line,)) for line in lines)


def text(name: str, label: str, lines: Sequence[str]) -> Field:
    """Return many lines of text to read."""
    return Field(Kind.LINES, name, label, tuple(lines))


def hidden(name: str, value: str) -> Field:
    """Return a field that nobody sees and every client sends back."""
    return Field(Kind.HIDDEN, name, values=(value,))


def write_dialog(kind: FormKind, form_type: str, title: str, instructions: str, fields: Iterable[Field]) -> Element:
    """Return the ``<x/>`` element; every text in it is made `plain`."""
    x = Element(_tag("x"), type=kind)
    SubElement(x, _tag("title")).text = plain(title)
    if instructions:
        SubElement(x, _tag("instructions")).text = plain(instructions)
    for field in (hidden("FORM_TYPE", form_type), *fields):
        _write(x, field)
    return x


def _write(x: Element, field: Field) -> None:
    attributes = {"type": field.kind.value} | {key: plain(value) for key, value in (("var", field.name), ("label", field.label)) if value}
    written = SubElement(x, _tag("field"), attributes)
    if field.required:
        SubElement(written, _tag("required"))
    for value in field.values:
        SubElement(written, _tag("value")).text = plain(value)
    for option in field.options:
        offered = SubElement(written, _tag("option"), label=plain(option.label))
        SubElement(offered, _tag("value")).text = plain(option.value)


def _tag(name: str) -> str:
    return f"{{{DATA_FORMS}}}{name}"
