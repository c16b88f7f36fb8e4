"""Stanza errors and namespaces."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring, tostring

import pytest

from clearinghouse.grid.stanzas import CONDITIONS, MAX_ERROR_TEXT, error_reply, in_namespace, refusal_in, reply_to

CLIENT, COMPONENT = "jabber:client", "jabber:component:accept"
IQ = Element(f"{{{CLIENT}}}iq", {"from": "a@b.example", "to": "c.example", "id": "1", "type": "get"})


def parse(text: str) -> Element:
    return fromstring(text)  # noqa: S314 - written in this file


@pytest.mark.parametrize("condition", CONDITIONS)
def test_error_is_read_as_it_was_written(condition: str) -> None:
    reply = error_reply(IQ, condition, detail="closed-node", text="why")
    assert {name: reply.get(name) for name in ("from", "to", "id", "type")} == {
        "from": "c.example",
        "to": "a@b.example",
        "id": "1",
        "type": "error",
    }
    refusal = refusal_in(reply)
    assert (refusal.condition, refusal.detail, refusal.text) == (condition, "closed-node", "why")
    assert str(refusal) == f"refused with {condition} (closed-node) `why`"


ODD = {
    "no error": "<iq xmlns='jabber:client'/>",
    "empty error": "<iq xmlns='jabber:client'><error/></iq>",
    "unknown condition": "<iq xmlns='jabber:client'><error><boom xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    "foreign condition": "<iq xmlns='jabber:client'><error><conflict xmlns='urn:x'/></error></iq>",
    "no namespace": "<iq xmlns='jabber:client'><error><conflict xmlns=''/></error></iq>",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_error_that_says_nothing_is_undefined(text: str) -> None:
    assert refusal_in(parse(text)).condition == "undefined-condition"


def test_text_of_an_error_is_cut_and_escaped() -> None:
    refusal = refusal_in(error_reply(IQ, "conflict", text="\x1b]0;\u202e" + "x" * 10_000))
    assert refusal.text.isprintable()
    assert len(refusal.text) < MAX_ERROR_TEXT + 20


def test_reply_without_sender_has_no_receiver() -> None:
    assert reply_to(parse("<iq xmlns='jabber:client' id='1'/>")).attrib == {"id": "1", "type": "result"}


def test_stanza_moves_between_namespaces_and_its_payload_stays() -> None:
    text = f"<iq xmlns='{COMPONENT}' type='error'><q xmlns='urn:x'><a xmlns='{COMPONENT}'/></q><error><gone/></error></iq>"
    moved = in_namespace(parse(text), COMPONENT, CLIENT)
    assert [element.tag for element in moved.iter()] == [
        f"{{{CLIENT}}}iq",
        "{urn:x}q",
        f"{{{COMPONENT}}}a",
        f"{{{CLIENT}}}error",
        f"{{{COMPONENT}}}gone",
    ]
    assert tostring(in_namespace(moved, CLIENT, COMPONENT)) == tostring(parse(text))
