"""A topic of the grid (RFC 8600): a node of the broker, how it must be set up, and who asks to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

MAX_PAYLOAD_BYTES: Final = 65_536
"""Bytes in one item, as configured at the node: a long IODEF document, and a quarter of ejabberd's usual stanza limit."""

AccessModel: TypeAlias = Literal["authorize", "whitelist"]
"""Whether the owner rules on each subscription, or keeps a list of those who may subscribe (XEP-0060, section 4.5)."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the settings describe it; ``payload_type`` is the XML namespace of its items.

    ``access_model`` is ``authorize`` or ``whitelist`` (XEP-0060, section 4.5).
    """

    broker: str
    node: str
    payload_type: str
    title: str = ""
    max_items: int = 100
    access_model: AccessModel = "authorize"

    def configuration(self) -> dict[str, str]:
        """Return the node configuration (XEP-0060, section 16.4.4) that makes the node this topic.

        RFC 8600, section 8.3.3, wants the owner to rule on each subscription (``authorize``) or to keep a list
        (``whitelist``), items to be kept, and nothing to be pushed at the moment of subscribing.  Whatever would deliver items
        to somebody who was not approved (presence, roster groups) or hide them (no payload) is pinned.
        """
        return {
            "pubsub#title": self.title or self.node,
            "pubsub#type": self.payload_type,
            "pubsub#access_model": self.access_model,
            "pubsub#publish_model": "publishers",
            "pubsub#persist_items": "1",
            "pubsub#max_items": str(self.max_items),
            "pubsub#max_payload_size": str(MAX_PAYLOAD_BYTES),
            "pubsub#send_last_published_item": "never",
            "pubsub#deliver_notifications": "1",
            "pubsub#deliver_payloads": "1",
            "pubsub#presence_based_delivery": "0",
            "pubsub#purge_offline": "0",
            "pubsub#subscribe": "1",
        }


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An XMPP address in normal form, and the form in which the broker wrote it.

    ``bare`` is ``localpart@domain`` (or the domain alone), ``full`` has the resource if there is one,
    ``domain`` is in lower case with A-labels.  ``written`` is what an answer must repeat exactly:
    the broker finds the request by it (XEP-0060, section 8.6).
    """

    written: str
    bare: str
    full: str
    domain: str


@dataclass(frozen=True, slots=True)
class SubscriptionAsked:
    """A broker's question whether *subscriber* may read the topic *node* (XEP-0060, section 8.6).

    ``subid`` is the broker's own name of the request; an answer repeats it.
    """

    broker: str
    node: str
    subscriber: Subscriber
    subid: str = ""
