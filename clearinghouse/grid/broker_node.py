"""One node of the in-memory broker: its configuration, people and items (pure; see `broker`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element

from clearinghouse.grid.forms import Form
from clearinghouse.grid.namespaces import NODE_CONFIG
from clearinghouse.grid.stanzas import StanzaRefused

_YES_NO: Final = "0|1|false|true"

FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "pubsub#title": ("", ".*"),
    "pubsub#type": ("", ".*"),
    "pubsub#access_model": ("open", "open|authorize|whitelist"),
    "pubsub#publish_model": ("publishers", "open|publishers"),
    "pubsub#persist_items": ("1", _YES_NO),
    "pubsub#max_items": ("1000", "[0-9]{1,3}|1000"),
    "pubsub#max_payload_size": ("250000", "[0-9]{1,9}"),
    "pubsub#send_last_published_item": ("on_sub_and_presence", "never|on_sub|on_sub_and_presence"),
    "pubsub#deliver_notifications": ("1", _YES_NO),
    "pubsub#deliver_payloads": ("1", _YES_NO),
    "pubsub#notify_config": ("0", _YES_NO),
    "pubsub#notify_delete": ("0", _YES_NO),
    "pubsub#notify_retract": ("1", _YES_NO),
    "pubsub#presence_based_delivery": ("0", _YES_NO),
    "pubsub#purge_offline": ("0", _YES_NO),
    "pubsub#subscribe": ("1", _YES_NO),
}
"""The fields of a node's configuration: what ejabberd 23.01 gives to a new node, and the pattern of what it takes.
Only the models and ``max_items`` are acted on; the rest is kept and shown."""

READERS: Final = frozenset({"owner", "publisher", "member"})


def defaults() -> dict[str, str]:
    """Return the configuration of a node that was created without one."""
    return {name: default for name, (default, _) in FIELDS.items()}


def checked(changes: Form) -> dict[str, str]:
    """Return the fields of a form that changes a configuration; refuse unknown ones as ejabberd does, oddly."""
    for name in changes.fields:
        if name not in FIELDS or not re.fullmatch(FIELDS[name][1], changes.one(name)):
            problem = "Bad value of" if name in FIELDS else "Unknown"
            raise StanzaRefused("resource-constraint", text=f"{problem} field '{name}' of type '{NODE_CONFIG}'")
    return {name: changes.one(name) for name in changes.fields}


def bare(jid: str) -> str:
    """Return *jid* without its resource."""
    return jid.partition("/")[0]


@dataclass(slots=True)
class Node:
    """A leaf node.  ``subscriptions`` maps a JID, bare or full, to ``subscribed`` or ``pending``."""

    name: str
    configuration: dict[str, str]
    affiliations: dict[str, str]
    subscriptions: dict[str, str] = field(default_factory=dict)
    items: dict[str, Element] = field(default_factory=dict)

    def affiliation(self, jid: str) -> str:
        """Return what *jid* is to this node; ``none`` when it was never named."""
        return self.affiliations.get(bare(jid), "none")

    def owners(self) -> Iterator[str]:
        """Return the bare JIDs that rule over this node."""
        return (jid for jid, held in self.affiliations.items() if held == "owner")

    def subscribed(self) -> list[str]:
        """Return the JIDs that receive what is published."""
        return [jid for jid, state in self.subscriptions.items() if state == "subscribed"]

    def pending(self) -> list[str]:
        """Return the JIDs that an owner has yet to rule on."""
        return [jid for jid, state in self.subscriptions.items() if state == "pending"]

    def demand_owner(self, jid: str) -> None:
        """Raise ``forbidden`` unless *jid* is an owner."""
        if self.affiliation(jid) != "owner":
            raise StanzaRefused("forbidden", text="Owner privileges required")

    def demand_publisher(self, jid: str) -> None:
        """Raise ``forbidden`` unless *jid* may publish."""
        if self.configuration["pubsub#publish_model"] != "open" and self.affiliation(jid) not in {"owner", "publisher", "publish-only"}:
            raise StanzaRefused("forbidden")

    def demand_reader(self, jid: str) -> None:
        """Raise unless *jid* may fetch items."""
        if self.affiliation(jid) == "outcast":
            raise StanzaRefused("forbidden")
        if self.affiliation(jid) in READERS or any(bare(subscribed) == bare(jid) for subscribed in self.subscribed()):
            return
        match self.configuration["pubsub#access_model"]:
            case "authorize":
                raise StanzaRefused("forbidden")
            case "whitelist":
                raise StanzaRefused("not-allowed", detail="closed-node")
            case _:
                return

    def subscribe(self, jid: str) -> str:
        """Enter the request of *jid* to subscribe and return the state that it now has (sections 6.1.3 and 6.1.4)."""
        if self.affiliation(jid) == "outcast":
            raise StanzaRefused("forbidden")
        held = self.subscriptions.get(jid)
        if held == "pending":
            raise StanzaRefused("not-authorized", detail="pending-subscription")
        if held is None:
            self.subscriptions[jid] = self._admission(jid)
        return self.subscriptions[jid]

    def decide(self, jid: str, *, allow: bool) -> str:
        """Rule on the pending request of *jid* and return the state that it now has (section 8.6)."""
        if self.subscriptions.get(jid) != "pending":
            raise StanzaRefused("unexpected-request", text="No pending subscriptions found")
        return self._set_subscription(jid, "subscribed" if allow else "none")

    def unsubscribe(self, jid: str) -> None:
        """End the subscription of *jid*, or its request for one, at its own wish."""
        if jid not in self.subscriptions:
            raise StanzaRefused("unexpected-request", detail="not-subscribed")
        del self.subscriptions[jid]

    def set_subscriptions(self, states: Mapping[str, str]) -> None:
        """Give each named JID's subscription a state; one that cannot be ended keeps all others from changing."""
        if any(state == "none" and jid not in self.subscriptions for jid, state in states.items()):
            raise StanzaRefused("bad-request", detail="not-subscribed")
        for jid, state in states.items():
            self._set_subscription(jid, state)

    def set_affiliation(self, jid: str, affiliation: str) -> None:
        """Make *jid* something to this node, unless it is the last owner.

        Its subscriptions stay, as with every broker that was measured.
        """
        if list(self.owners()) == [bare(jid)]:
            return
        if affiliation == "none":
            self.affiliations.pop(bare(jid), None)
        else:
            self.affiliations[bare(jid)] = affiliation

    def add(self, item_id: str, item: Element) -> None:
        """Keep *item*; the oldest go when there are more than the node may hold."""
        self.items.pop(item_id, None)
        self.items[item_id] = item
        while len(self.items) > int(self.configuration["pubsub#max_items"]):
            del self.items[next(iter(self.items))]

    def _set_subscription(self, jid: str, state: str) -> str:
        if state == "none":
            self.subscriptions.pop(jid, None)
        else:
            self.subscriptions[jid] = state
        return state

    def _admission(self, jid: str) -> str:
        match self.configuration["pubsub#access_model"]:
            case "open":
                return "subscribed"
            case "authorize":
                return "pending"
            case _ if self.affiliation(jid) in READERS:
                return "subscribed"
            case _:
                raise StanzaRefused("not-allowed", detail="closed-node")
