"""A publish-subscribe broker in memory: stanzas in, stanzas out, nothing else (pure).

It behaves as ejabberd 23.01 was seen to behave (XEP-0060, the part that a grid needs), its quirks
included, so that door and enforcer run against it unchanged; the same conversations are tested against
both.  What it leaves out: collections, roster and presence access, subscription options, item retraction,
paging, subids, and nodes that come to be when their creator publishes to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.errors import PeerError
from clearinghouse.grid.broker_node import Node, bare, checked, defaults
from clearinghouse.grid.forms import forms_in, read_form, write_form
from clearinghouse.grid.namespaces import (
    COMMANDS,
    DATA_FORMS,
    GET_PENDING,
    NODE_CONFIG,
    PUBSUB,
    PUBSUB_EVENT,
    PUBSUB_OWNER,
    SUBSCRIBE_AUTHORIZATION,
)
from clearinghouse.grid.stanzas import IQ, MESSAGE, StanzaRefused, error_reply, reply_to

_WRAPPERS: Final = (f"{{{PUBSUB}}}pubsub", f"{{{PUBSUB_OWNER}}}pubsub")
_CREATE: Final = f"{{{PUBSUB}}}create"
_SUBSCRIBE: Final = f"{{{PUBSUB}}}subscribe"
_UNSUBSCRIBE: Final = f"{{{PUBSUB}}}unsubscribe"
_PUBLISH: Final = f"{{{PUBSUB}}}publish"
_ITEMS: Final = f"{{{PUBSUB}}}items"
_CONFIGURE: Final = f"{{{PUBSUB_OWNER}}}configure"
_AFFILIATIONS: Final = f"{{{PUBSUB_OWNER}}}affiliations"
_SUBSCRIPTIONS: Final = f"{{{PUBSUB_OWNER}}}subscriptions"
_COMMAND: Final = f"{{{COMMANDS}}}command"

Answer: TypeAlias = Callable[[str, Element], Element | None]
"""From the sender and the payload of an IQ to the payload of its result; raises `StanzaRefused`."""


@dataclass(slots=True)
class Broker:
    """The broker at the address *jid*; *creators* may create nodes, *new_id* names items that have no name."""

    jid: str
    creators: frozenset[str]
    new_id: Callable[[], str]
    nodes: dict[str, Node] = field(default_factory=dict)
    _outbox: list[Element] = field(default_factory=list)

    def receive(self, stanza: Element) -> list[Element]:
        """Take one stanza and return all that the broker sends because of it, in order."""
        try:
            if stanza.tag == IQ and stanza.get("type") in ("get", "set"):
                self._answer(stanza)
            elif stanza.tag == MESSAGE and stanza.get("type") != "error":
                self._take_decision(stanza)
        except StanzaRefused as refusal:
            self._outbox.append(error_reply(stanza, refusal.condition, detail=refusal.detail, text=refusal.text))
        except PeerError as error:
            self._outbox.append(error_reply(stanza, "bad-request", text=error.message))
        sent, self._outbox = self._outbox, []
        return sent

    def _answer(self, iq: Element) -> None:
        if len(iq) != 1:
            raise StanzaRefused("bad-request")
        request = iq[0]
        inside = request[0].tag if request.tag in _WRAPPERS and len(request) else ""
        wanted = request.tag if request.tag == _COMMAND else inside
        answer = self._answers().get((iq.get("type", ""), wanted))
        if answer is None:
            raise StanzaRefused("service-unavailable", text="No module is handling this query")
        payload = answer(iq.get("from", ""), request)
        self._outbox.append(reply_to(iq, payload=payload))

    def _answers(self) -> Mapping[tuple[str, str], Answer]:
        """What the broker can be asked, by type of IQ and by the element that says what is wanted."""
        return {
            ("set", _CREATE): self._create,
            ("set", _SUBSCRIBE): self._subscribe,
            ("set", _UNSUBSCRIBE): self._unsubscribe,
            ("set", _PUBLISH): self._publish,
            ("get", _ITEMS): self._items,
            ("set", _COMMAND): self._pending,
            ("get", _CONFIGURE): self._show,
            ("get", _AFFILIATIONS): self._show,
            ("get", _SUBSCRIPTIONS): self._show,
            ("set", _CONFIGURE): self._change,
            ("set", _AFFILIATIONS): self._change,
            ("set", _SUBSCRIPTIONS): self._change,
        }

    def _create(self, sender: str, request: Element) -> Element:
        name = request[0].get("node", "")
        if bare(sender) not in self.creators:
            raise StanzaRefused("forbidden")
        if name in self.nodes:
            raise StanzaRefused("conflict", text="Node already exists")
        configuration = defaults() | _configuration(request.find(f"{{{PUBSUB}}}configure"))
        self.nodes[name] = Node(name, configuration, {bare(sender): "owner"})
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(pubsub, _CREATE, node=name)
        return pubsub

    def _subscribe(self, sender: str, request: Element) -> Element:
        node, jid = self._node(request[0]), request[0].get("jid", "")
        if bare(jid) != bare(sender):
            raise StanzaRefused("bad-request", detail="invalid-jid")
        state = node.subscribe(jid)
        if state == "pending":  # the form leaves before the answer does, as from ejabberd
            self._outbox.extend(self._forms(node, jid))
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(pubsub, f"{{{PUBSUB}}}subscription", node=node.name, jid=jid, subscription=state)
        return pubsub

    def _unsubscribe(self, sender: str, request: Element) -> None:
        node, jid = self._node(request[0]), request[0].get("jid", "")
        if bare(jid) != bare(sender):
            raise StanzaRefused("forbidden")
        node.unsubscribe(jid)

    def _publish(self, sender: str, request: Element) -> Element:
        node = self._node(request[0])
        node.demand_publisher(sender)
        item = request[0].find(f"{{{PUBSUB}}}item")
        if item is None or len(item) != 1:
            raise StanzaRefused("bad-request", detail="invalid-payload" if item is not None and len(item) else "item-required")
        item_id = item.get("id") or self.new_id()
        node.add(item_id, item[0])
        for jid in node.subscribed():
            event = self._event(jid, "items", {"node": node.name})
            SubElement(event, f"{{{PUBSUB_EVENT}}}item", id=item_id).append(item[0])
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(SubElement(pubsub, _PUBLISH, node=node.name), f"{{{PUBSUB}}}item", id=item_id)
        return pubsub

    def _items(self, sender: str, request: Element) -> Element:
        node = self._node(request[0])
        node.demand_reader(sender)
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        items = SubElement(pubsub, _ITEMS, node=node.name)
        for item_id, payload in node.items.items():
            SubElement(items, f"{{{PUBSUB}}}item", id=item_id).append(payload)
        return pubsub

    def _pending(self, sender: str, command: Element) -> Element:
        if command.get("node") != GET_PENDING or command.get("action", "execute") != "execute":
            raise StanzaRefused("item-not-found")  # for `complete` too, as ejabberd does although it offers that
        forms = forms_in(command)
        if not forms:
            answer = Element(_COMMAND, node=GET_PENDING, status="executing")
            answer.append(self._pending_nodes(sender))
            return answer
        node = self._named(read_form(forms[0]).one("pubsub#node"))
        node.demand_owner(sender)
        self._outbox.extend(form for jid in node.pending() for form in self._forms(node, jid))
        return Element(_COMMAND, node=GET_PENDING, status="completed")

    def _pending_nodes(self, sender: str) -> Element:
        form = write_form("form", SUBSCRIBE_AUTHORIZATION, {"pubsub#node": ()})
        owned = [node for node in self.nodes.values() if node.affiliation(sender) == "owner"]
        for name in (node.name for node in owned for _ in node.pending()):  # once for each request, as ejabberd does
            option = SubElement(form[-1], f"{{{DATA_FORMS}}}option", label=name)
            SubElement(option, f"{{{DATA_FORMS}}}value").text = name
        return form

    def _show(self, sender: str, request: Element) -> Element:
        node = self._node(request[0])
        node.demand_owner(sender)
        pubsub = Element(f"{{{PUBSUB_OWNER}}}pubsub")
        answer = SubElement(pubsub, request[0].tag, node=node.name)
        match request[0].tag.rpartition("}")[2]:
            case "configure":
                answer.append(write_form("form", NODE_CONFIG, node.configuration))
            case "affiliations":
                _list(answer, "affiliation", node.affiliations)
            case _:  # without the pending ones, as from ejabberd
                _list(answer, "subscription", dict.fromkeys(node.subscribed(), "subscribed"))
        return pubsub

    def _change(self, sender: str, request: Element) -> None:
        node = self._node(request[0])
        node.demand_owner(sender)
        match request[0].tag.rpartition("}")[2]:
            case "configure":
                node.configuration |= _configuration(request[0])
            case "affiliations":
                for entry in request[0]:
                    node.set_affiliation(entry.get("jid", ""), entry.get("affiliation", "none"))
            case _:
                states = {entry.get("jid", ""): entry.get("subscription", "none") for entry in request[0]}
                node.set_subscriptions(states)
                for jid, state in states.items():
                    self._announce(node, jid, state)

    def _take_decision(self, message: Element) -> None:
        for form in map(read_form, forms_in(message)):
            if form.kind == "submit" and form.form_type == SUBSCRIBE_AUTHORIZATION:
                node = self._named(form.one("pubsub#node"))
                node.demand_owner(message.get("from", ""))
                jid = form.one("pubsub#subscriber_jid")
                self._announce(node, jid, node.decide(jid, allow=form.one("pubsub#allow") in ("1", "true")))

    def _forms(self, node: Node, jid: str) -> Iterator[Element]:
        fields = {"pubsub#node": node.name, "pubsub#subscriber_jid": jid, "pubsub#allow": "0"}
        for owner in node.owners():
            message = Element(MESSAGE, {"from": self.jid, "to": owner})
            message.append(write_form("form", SUBSCRIBE_AUTHORIZATION, fields))
            yield message

    def _announce(self, node: Node, jid: str, state: str) -> None:
        self._event(jid, "subscription", {"node": node.name, "jid": jid, "subscription": state})

    def _event(self, jid: str, name: str, attributes: dict[str, str]) -> Element:
        message = Element(MESSAGE, {"from": self.jid, "to": jid})
        self._outbox.append(message)
        return SubElement(SubElement(message, f"{{{PUBSUB_EVENT}}}event"), f"{{{PUBSUB_EVENT}}}{name}", attributes)

    def _node(self, request: Element) -> Node:
        return self._named(request.get("node", ""))

    def _named(self, name: str) -> Node:
        if name not in self.nodes:
            raise StanzaRefused("item-not-found", text="Node not found")
        return self.nodes[name]


def _configuration(configure: Element | None) -> dict[str, str]:
    forms = forms_in(configure) if configure is not None else []
    return checked(read_form(forms[0])) if forms else {}


def _list(parent: Element, name: str, states: dict[str, str]) -> None:
    for jid, state in states.items():
        SubElement(parent, f"{{{PUBSUB_OWNER}}}{name}", {"jid": jid, name: state})
