"""Data forms: what is written is read back, and nothing but a plain form is read."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.errors import MalformedRequest, TooLarge
from clearinghouse.grid.forms import MAX_FIELDS, MAX_VALUE_CHARACTERS, FormKind, forms_in, read_form, write_form

X, FIELD, VALUE = "{jabber:x:data}x", "{jabber:x:data}field", "{jabber:x:data}value"

# XML 1.0 has no other control characters, and turns a carriage return into a line feed.
text = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=20)
names = text.filter(lambda name: name not in ("", "FORM_TYPE"))
kinds: st.SearchStrategy[FormKind] = st.sampled_from(["form", "submit", "result", "cancel"])


@given(kinds, text, st.dictionaries(names, st.lists(text, max_size=3), max_size=5))
def test_reading_undoes_writing(kind: FormKind, form_type: str, fields: dict[str, list[str]]) -> None:
    sent = tostring(write_form(kind, form_type, fields))
    read = read_form(fromstring(sent))  # noqa: S314 - written above
    assert (read.kind, read.form_type) == (kind, form_type)
    assert read.fields == {name: tuple(values) for name, values in fields.items()}


def form(*fields: tuple[str | None, int], kind: str = "form", tag: str = X) -> Element:
    """A form whose fields have so many values each."""
    made = Element(tag, type=kind)
    for name, values in fields:
        field = SubElement(made, FIELD, {} if name is None else {"var": name})
        for _ in range(values):
            SubElement(field, VALUE).text = "v"
    return made


def long_value() -> Element:
    made = form(("a", 1))
    made[0][0].text = "x" * (MAX_VALUE_CHARACTERS + 1)
    return made


def nested_value() -> Element:
    made = form(("a", 1))
    SubElement(made[0][0], "b")
    return made


REFUSED = {
    "other element": form(tag="{urn:x}x"),
    "no kind": form(kind=""),
    "unknown kind": form(kind="question"),
    "field twice": form(("a", 1), ("a", 1)),
    "field without name": form((None, 1)),
    "field with empty name": form(("", 1)),
    "two types": form(("FORM_TYPE", 2)),
    "too many fields": form(*((f"f{number}", 1) for number in range(MAX_FIELDS + 1))),
    "long value": long_value(),
    "markup as value": nested_value(),
}


@pytest.mark.parametrize("element", REFUSED.values(), ids=REFUSED.keys())
def test_anything_but_a_plain_form_is_refused(element: Element) -> None:
    with pytest.raises((MalformedRequest, TooLarge)) as refused:
        read_form(element)
    assert refused.value.mend


def test_text_between_fields_is_skipped() -> None:
    made = form((None, 1), ("a", 1))
    made[0].set("type", "fixed")
    assert read_form(made).fields == {"a": ("v",)}


def test_one_value_and_no_other_number() -> None:
    read = read_form(form(("none", 0), ("one", 1), ("two", 2)))
    assert (read.one("one"), read.optional("one"), read.optional("none", "d"), read.optional("absent", "d")) == ("v", "v", "d", "d")
    for name in ("none", "two", "absent"):
        with pytest.raises(MalformedRequest):
            read.one(name)


def test_forms_are_found_only_directly_inside() -> None:
    parent = Element("p")
    parent.append(form())
    SubElement(parent, "q").append(form())
    assert len(forms_in(parent)) == 1
