"""One node of the in-memory broker: its configuration, people and items (pure; see `broker`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element

from clearinghouse.grid.stanzas import StanzaRefused

DEFAULTS: Final = {
    "pubsub#title": "",
    "pubsub#type": "",
    "pubsub#access_model": "open",
    "pubsub#publish_model": "publishers",
    "pubsub#persist_items": "1",
    "pubsub#max_items": "10",
    "pubsub#max_payload_size": "250000",
    "pubsub#send_last_published_item": "on_sub_and_presence",
    "pubsub#deliver_notifications": "1",
    "pubsub#deliver_payloads": "1",
    "pubsub#presence_based_delivery": "0",
    "pubsub#purge_offline": "0",
    "pubsub#subscribe": "1",
}
"""What a node is that was created without configuration, as ejabberd 23.01 has it; also: which fields exist."""

READERS: Final = frozenset({"owner", "publisher", "member"})


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
        if self.configuration["pubsub#publish_model"] != "open" and self.affiliation(jid) not in {"owner", "publisher"}:
            raise StanzaRefused("forbidden")

    def demand_reader(self, jid: str) -> None:
        """Raise unless *jid* may fetch items."""
        if self.affiliation(jid) == "outcast":
            raise StanzaRefused("forbidden")
        reads = self.configuration["pubsub#access_model"] == "open" or self.affiliation(jid) in READERS
        if not reads and not any(bare(subscribed) == bare(jid) for subscribed in self.subscribed()):
            raise StanzaRefused("forbidden")

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
        return self.set_subscription(jid, "subscribed" if allow else "none")

    def set_subscription(self, jid: str, state: str) -> str:
        """Give the subscription of *jid* a state, and return it."""
        if state == "none":
            self.subscriptions.pop(jid, None)
        else:
            self.subscriptions[jid] = state
        return state

    def set_affiliation(self, jid: str, affiliation: str) -> None:
        """Make *jid* something to this node.  Its subscriptions stay, as with every broker that was measured."""
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
