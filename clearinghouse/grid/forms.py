"""Data forms (XEP-0004): the strict reader and the writer that every form of the grid goes through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast, get_args
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.errors import MalformedRequest, TooLarge
from clearinghouse.grid.namespaces import DATA_FORMS

FormKind: TypeAlias = Literal["form", "submit", "result", "cancel"]

MAX_FIELDS: Final = 64
"""Fields in one form.  ejabberd's node configuration, the largest form that we read, has 24."""

MAX_VALUE_CHARACTERS: Final = 4096
"""Characters in one value.  A full JID, the longest value that we need, has at most 3071 (RFC 7622, section 3.1)."""

MAX_VALUES: Final = 1_024
"""Values in one form.  The longest that we need is a pasted credential, a line each; the longest example has 60."""

_X: Final = f"{{{DATA_FORMS}}}x"
_FIELD: Final = f"{{{DATA_FORMS}}}field"
_VALUE: Final = f"{{{DATA_FORMS}}}value"


@dataclass(frozen=True, slots=True)
class Form:
    """One data form: what it is for, its ``FORM_TYPE`` (empty when it has none), and its other fields.

    ``fields`` maps a field's ``var`` to its values in order; a field without value has an empty tuple.
    """

    kind: FormKind
    form_type: str
    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """Return the only value of the field *name*; raise `MalformedRequest` when it has none or several."""
        values = self.fields.get(name, ())
        if len(values) != 1:
            raise MalformedRequest(f"field `{name}` has {len(values)} values", mend="give it exactly one")
        return values[0]

    def optional(self, name: str, default: str = "") -> str:
        """Return the only value of the field *name*, or *default* when the field is absent or empty."""
        return self.one(name) if self.fields.get(name) else default


def write_form(kind: FormKind, form_type: str, fields: Mapping[str, str | Iterable[str]]) -> Element:
    """Return the ``<x/>`` element; ``FORM_TYPE`` comes first and hidden, as XEP-0068 wants it."""
    x = Element(_X, type=kind)
    _write_field(x, "FORM_TYPE", [form_type], hidden=True)
    for name, value in fields.items():
        _write_field(x, name, [value] if isinstance(value, str) else value)
    return x


def read_form(x: Element, *, longest: int = MAX_VALUE_CHARACTERS) -> Form:
    """Read an ``<x/>`` element whose values have at most *longest* characters each.

    Raises `MalformedRequest` or `TooLarge` for anything but one plain form.
    """
    kind = x.get("type", "")
    if x.tag != _X or kind not in get_args(FormKind):
        raise MalformedRequest(f"a data form of type `{kind[:32]}`", mend="use form, submit, result or cancel")
    fields = _read_fields(x, longest)
    form_type = fields.pop("FORM_TYPE", ())
    if len(form_type) > 1:
        raise MalformedRequest(f"FORM_TYPE has {len(form_type)} values", mend="give it exactly one")
    return Form(cast("FormKind", kind), "".join(form_type), MappingProxyType(fields))


def forms_in(parent: Element) -> list[Element]:
    """Return the ``<x/>`` elements directly inside *parent*, unread."""
    return parent.findall(_X)


def _write_field(x: Element, name: str, values: Iterable[str], *, hidden: bool = False) -> None:
    field = SubElement(x, _FIELD, {"var": name} | ({"type": "hidden"} if hidden else {}))
    for value in values:
        SubElement(field, _VALUE).text = value


def _read_fields(x: Element, longest: int) -> dict[str, tuple[str, ...]]:
    found = x.findall(_FIELD)
    if len(found) > MAX_FIELDS:
        raise TooLarge(f"a form of {len(found)} fields", mend=f"use at most {MAX_FIELDS}")
    if (values := sum(len(field) for field in found)) > MAX_VALUES:
        raise TooLarge(f"a form of {values} values", mend=f"use at most {MAX_VALUES}")
    fields: dict[str, tuple[str, ...]] = {}
    for field in found:
        name = field.get("var")
        if name is None and field.get("type") == "fixed":
            continue  # text between fields, for people (XEP-0004, section 3.3)
        if not name or name in fields:
            raise MalformedRequest(f"field `{(name or '')[:64]}` is unnamed or occurs twice", mend="name every field once")
        fields[name] = tuple(_read_value(value, longest) for value in field.findall(_VALUE))
    return fields


def _read_value(value: Element, longest: int) -> str:
    text = value.text or ""
    if len(value) or len(text) > longest:
        raise TooLarge("a form value that is markup or too long", mend=f"use plain text of at most {longest} characters")
    return text
