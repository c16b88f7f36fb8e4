"""From a broker's form to a request: what is observed, who asks, and on whose word (pure; rules R9 and R10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clearinghouse import __version__
from clearinghouse.clearing.request import Place, Request, user_of_server
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import MalformedRequest
from clearinghouse.grid.topics import Subscriber, SubscriptionAsked, Topic
from clearinghouse.storage.store import Recorded

SUBSCRIBE: Final = "subscribe"


@dataclass(frozen=True, slots=True)
class Asking:
    """A topic, and the server on whose word the names of those rest who ask for it."""

    topic: Topic
    voucher: str


def place_of(asked: SubscriptionAsked) -> Place:
    """Return where the answer goes, in the broker's own words."""
    return Place(asked.broker, asked.node, asked.subscriber.written, asked.subid)


def request_of(asked: SubscriptionAsked, asking: Asking, identity: str) -> Request:
    """Return the request that the broker's form makes; it may still be refused, on the record."""
    subscriber = asked.subscriber
    return Request(
        identity,
        SUBSCRIBE,
        Door.BROKER,
        _requesters(subscriber),
        observed={
            "jid": subscriber.bare,
            "domain": subscriber.domain,
            "broker": asked.broker,
            "vouched_by": asking.voucher,
            "topic": asked.node,
        },
        known=_known(asking.topic),
        place=place_of(asked),
    )


def agrees(recorded: Recorded, asking: Asking, community: str) -> bool:
    """Say whether a decision rests on what would be stated today, and on today's engine, so that the same answer follows.

    Where nothing was asked of the engine, no *community* is on record: the request is refused in any.
    """
    request = recorded.decision.request
    same_topic = request.known == _known(asking.topic) and request.observed.get("vouched_by") == asking.voucher
    return same_topic and recorded.attributes.get("community", community) == community and recorded.engine == __version__


def _known(topic: Topic) -> dict[str, str]:
    configuration = topic.configuration()
    return {"app_domain": "xmpp", "payload_type": topic.payload_type, "access_model": configuration["pubsub#access_model"]}


def _requesters(subscriber: Subscriber) -> tuple[str, ...]:
    try:
        return user_of_server(subscriber.bare, subscriber.domain)
    except MalformedRequest:
        return (f"xmpp:{subscriber.bare}",)  # a name with a comma: `gather` refuses it again, on the record
