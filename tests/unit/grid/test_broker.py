"""The broker in memory: whatever is said to it, nobody reads what no owner has granted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from xml.etree.ElementTree import Element, SubElement, tostring

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.grid import pubsub
from clearinghouse.grid.broker import Broker
from clearinghouse.grid.namespaces import IODEF, PUBSUB, PUBSUB_EVENT
from clearinghouse.grid.topics import Topic

US, BROKER = "ch.example.net", "broker.example.net"
TOPIC = Topic(BROKER, "incidents", IODEF)
PEOPLE = ["a@csirt.example", "b@csirt.example", "a@csirt.example/desk"]


def broker() -> Broker:
    numbers = count(1)
    made = Broker(BROKER, frozenset({US}), lambda: f"item-{next(numbers)}")
    made.receive(iq(US, "set", pubsub.create_node("incidents", TOPIC.configuration())))
    return made


def iq(sender: str, kind: str, payload: Element) -> Element:
    stanza = Element("{jabber:client}iq", {"from": sender, "to": BROKER, "id": "1", "type": kind})
    stanza.append(payload)
    return stanza


def subscribe(jid: str) -> Element:
    payload = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(payload, f"{{{PUBSUB}}}subscribe", node="incidents", jid=jid)
    return iq(jid, "set", payload)


def decide(jid: str, *, approve: bool, sender: str = US) -> Element:
    message = pubsub.authorization(BROKER, "incidents", jid, approve=approve)
    message.set("from", sender)
    return message


def publish() -> Element:
    payload = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(SubElement(SubElement(payload, f"{{{PUBSUB}}}publish", node="incidents"), f"{{{PUBSUB}}}item"), "{urn:x}report")
    return iq(US, "set", payload)


def receivers(sent: Sequence[Element]) -> list[str]:
    return [stanza.get("to", "") for stanza in sent if stanza.find(f"{{{PUBSUB_EVENT}}}event/{{{PUBSUB_EVENT}}}items") is not None]


who = st.sampled_from(PEOPLE)
steps = st.one_of(
    st.tuples(st.just("subscribe"), who),
    st.tuples(st.just("approve"), who),
    st.tuples(st.just("deny"), who),
    st.tuples(st.just("approve oneself"), who),
    st.tuples(st.just("withdraw"), who),
)


@given(st.lists(steps, max_size=12))
def test_only_who_asked_and_was_approved_receives(history: list[tuple[str, str]]) -> None:
    made = broker()
    asked: set[str] = set()
    granted: set[str] = set()
    for what, jid in history:
        match what:
            case "subscribe":
                made.receive(subscribe(jid))
                asked |= {jid} - granted
            case "approve":
                made.receive(decide(jid, approve=True))
                granted |= {jid} & asked
                asked -= {jid}
            case "deny":
                made.receive(decide(jid, approve=False))
                asked -= {jid}
            case "approve oneself":
                made.receive(decide(jid, approve=True, sender=jid))
            case _:
                made.receive(iq(US, "set", pubsub.set_subscriptions("incidents", {jid: "none"})))
                asked -= {jid}
                granted -= {jid}
    assert sorted(receivers(made.receive(publish()))) == sorted(granted)


tags = st.sampled_from(
    [f"{{{PUBSUB}}}{name}" for name in ("pubsub", "create", "subscribe", "publish", "item", "items", "configure", "unsubscribe")]
    + [f"{{{PUBSUB}#owner}}{name}" for name in ("pubsub", "configure", "affiliations", "subscriptions", "subscription")]
    + ["{http://jabber.org/protocol/commands}command", "{jabber:x:data}x", "{jabber:x:data}field", "{jabber:x:data}value", "{urn:x}y"]
)
attributes = st.dictionaries(
    st.sampled_from(["node", "jid", "type", "var", "action", "subscription"]), st.sampled_from(["", "incidents", *PEOPLE])
)


def element(children: st.SearchStrategy[list[Element]]) -> st.SearchStrategy[Element]:
    def build(tag: str, held: dict[str, str], inside: list[Element]) -> Element:
        made = Element(tag, held)
        made.extend(inside)
        return made

    return st.builds(build, tags, attributes, children)


markup = st.recursive(element(st.just([])), lambda inner: element(st.lists(inner, max_size=3)), max_leaves=8)


@given(st.sampled_from(["iq", "message", "presence"]), st.sampled_from(["get", "set", "error", ""]), st.sampled_from([US, *PEOPLE]), markup)
def test_any_markup_gets_at_most_an_error(name: str, kind: str, sender: str, payload: Element) -> None:
    stanza = Element(f"{{jabber:client}}{name}", {"from": sender, "to": BROKER, "id": "1", "type": kind})
    stanza.append(payload)
    sent = broker().receive(stanza)
    assert [tostring(answer) for answer in sent if answer.get("to") is None] == []
    assert receivers(sent) == []


def test_oldest_items_go_when_there_are_more_than_the_node_may_hold() -> None:
    made = broker()
    made.receive(iq(US, "set", pubsub.set_configuration("incidents", {"pubsub#max_items": "2"})))
    for _ in range(3):
        made.receive(publish())
    assert list(made.nodes["incidents"].items) == ["item-2", "item-3"]
