"""The broker's form: believed from whom and about what, and every way in which it can be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.doors.xmpp.authorization import FormRefused, Refusal, asks_authorization, read_authorization
from clearinghouse.grid.forms import write_form
from clearinghouse.grid.namespaces import SUBSCRIBE_AUTHORIZATION
from clearinghouse.grid.topics import Subscriber, SubscriptionAsked

BROKER = "broker.example.net"
BROKERS = {BROKER: frozenset({"incidents"}), "other.example.net": frozenset({"indicators"})}
WHO = Subscriber("a@csirt.example/x", "a@csirt.example", "a@csirt.example/x", "csirt.example")

# As ejabberd 23.01 sends it.
SEEN = f"""
<message xmlns='jabber:client' to='ch.example.net' from='{BROKER}'><x xmlns='jabber:x:data' type='form'>
<title>PubSub subscriber request</title>
<instructions>Choose whether to approve this entity&apos;s subscription.</instructions>
<field var='FORM_TYPE' type='hidden'><value>{SUBSCRIBE_AUTHORIZATION}</value></field>
<field var='pubsub#node' type='text-single' label='Node ID'><required/><value>incidents</value></field>
<field var='pubsub#subscriber_jid' type='jid-single' label='Subscriber Address'><required/><value>a@csirt.example/x</value></field>
<field var='pubsub#allow' type='boolean' label='Allow?'><required/><value>0</value></field></x></message>"""


def parse(text: str) -> Element:
    return fromstring(text)  # noqa: S314 - written in this file


def message(fields: Mapping[str, str | list[str]] | None = None, *, sender: str = BROKER, kind: str = "") -> Element:
    made = Element("{jabber:client}message", {"from": sender} | ({"type": kind} if kind else {}))
    base: dict[str, str | list[str]] = {"pubsub#node": "incidents", "pubsub#subscriber_jid": "a@csirt.example/x", "pubsub#allow": "0"}
    made.append(write_form("form", SUBSCRIBE_AUTHORIZATION, base | dict(fields or {})))
    return made


def twice() -> Element:
    made = message()
    made.append(made[0])
    return made


def repeated_field() -> Element:
    made = message()
    made[0].append(made[0][1])
    return made


def submitted() -> Element:
    made = message()
    made[0].set("type", "submit")
    return made


def without(name: str) -> Element:
    made = message()
    made[0].remove(next(field for field in made[0] if field.get("var") == name))
    return made


def crowded() -> Element:
    return message({f"pubsub#extra{number}": "x" for number in range(80)})


def marked_up() -> Element:
    made = message()
    SubElement(made[0][1][0], "{urn:x}b")
    return made


REFUSED = {
    "stranger": (message(sender="evil.example"), Refusal.UNKNOWN_BROKER),
    "user at the broker": (message(sender=f"admin@{BROKER}"), Refusal.UNKNOWN_BROKER),
    "resource of the broker": (message(sender=f"{BROKER}/x"), Refusal.UNKNOWN_BROKER),
    "broker in capitals": (message(sender=BROKER.upper()), Refusal.UNKNOWN_BROKER),
    "no sender": (message(sender=""), Refusal.UNKNOWN_BROKER),
    "topic of nobody": (message({"pubsub#node": "unheard"}), Refusal.FOREIGN_TOPIC),
    "topic of another broker": (message({"pubsub#node": "indicators"}), Refusal.FOREIGN_TOPIC),
    "two forms": (twice(), Refusal.MALFORMED),
    "field twice": (repeated_field(), Refusal.MALFORMED),
    "answer instead of question": (submitted(), Refusal.MALFORMED),
    "no node": (without("pubsub#node"), Refusal.MALFORMED),
    "no subscriber": (without("pubsub#subscriber_jid"), Refusal.MALFORMED),
    "two subscribers": (message({"pubsub#subscriber_jid": ["a@b.example", "c@d.example"]}), Refusal.MALFORMED),
    "address without normal form": (message({"pubsub#subscriber_jid": "straße@b.example"}), Refusal.MALFORMED),
    "long address": (message({"pubsub#subscriber_jid": f"a@{'b.' * 3000}example"}), Refusal.MALFORMED),
    "long node": (message({"pubsub#node": "n" * 5000}), Refusal.MALFORMED),
    "long subid": (message({"pubsub#subid": "s" * 257}), Refusal.MALFORMED),
    "two subids": (message({"pubsub#subid": ["1", "2"]}), Refusal.MALFORMED),
    "eighty fields": (crowded(), Refusal.MALFORMED),
    "markup as value": (marked_up(), Refusal.MALFORMED),
}


def test_form_as_ejabberd_sends_it() -> None:
    assert read_authorization(parse(SEEN), BROKERS) == SubscriptionAsked(BROKER, "incidents", WHO)


def test_subid_is_kept_for_the_answer() -> None:
    assert read_authorization(message({"pubsub#subid": "5C2"}), BROKERS) == SubscriptionAsked(BROKER, "incidents", WHO, "5C2")


@pytest.mark.parametrize("form, reason", REFUSED.values(), ids=REFUSED.keys())
def test_form_that_is_not_taken(form: Element, reason: Refusal) -> None:
    assert asks_authorization(form)
    refused = read_authorization(form, BROKERS)
    assert isinstance(refused, FormRefused)
    assert (refused.reason, refused.sender) == (reason, form.get("from"))
    assert refused.detail.isprintable()


def test_our_answer_that_came_back_is_no_question() -> None:
    assert not asks_authorization(message(kind="error"))


@pytest.mark.parametrize("text", ["<message xmlns='jabber:client'/>", "<message xmlns='jabber:client'><body>x</body></message>"])
def test_other_messages_are_no_question(text: str) -> None:
    assert not asks_authorization(parse(text))


NAMES = ["FORM_TYPE", SUBSCRIBE_AUTHORIZATION, "pubsub#node", "pubsub#subscriber_jid"]
words = st.sampled_from([*NAMES, "", "incidents", "a@b.example", "form"])
tags = st.sampled_from(["{jabber:x:data}x", "{jabber:x:data}field", "{jabber:x:data}value", "{urn:x}y"])


def element(children: st.SearchStrategy[list[Element]]) -> st.SearchStrategy[Element]:
    def build(tag: str, attributes: dict[str, str], text: str, inside: list[Element]) -> Element:
        made = Element(tag, attributes)
        made.text = text
        made.extend(inside)
        return made

    return st.builds(build, tags, st.dictionaries(st.sampled_from(["type", "var"]), words), words, children)


@given(st.lists(st.recursive(element(st.just([])), lambda inner: element(st.lists(inner, max_size=4)), max_leaves=12), max_size=3))
def test_any_markup_from_the_broker_is_read_or_refused(payloads: list[Element]) -> None:
    stanza = Element("{jabber:client}message", {"from": BROKER})
    stanza.extend(payloads)
    if asks_authorization(stanza):
        assert isinstance(read_authorization(stanza, BROKERS), SubscriptionAsked | FormRefused)
