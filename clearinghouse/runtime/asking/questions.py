"""From a broker's form to a request: what is observed, who asks, and on whose word (pure; rules R9 and R10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from clearinghouse import __version__
from clearinghouse.clearing.request import Place, Request, user_of_server
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import MalformedRequest
from clearinghouse.grid.reception import PlatformAsked
from clearinghouse.grid.topics import AccessModel, Subscriber, SubscriptionAsked, Topic
from clearinghouse.runtime.asking.ruled import Ruled

SUBSCRIBE: Final = "subscribe"


@dataclass(frozen=True, slots=True)
class Asking:
    """A topic, and the server on whose word the names of those rest who ask for it.

    ``publishers`` are the bare JIDs that the settings let write; a topic that a platform had us make has none.
    """

    topic: Topic
    voucher: str
    publishers: tuple[str, ...] = ()


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


def platform_request(asked: PlatformAsked, asking: Asking, identity: str) -> Request:
    """Return the request that a platform makes of us itself, about a topic that is or will be as *asking* says."""
    form = SubscriptionAsked(asked.broker, asked.topic, asked.asker)
    made = {"title": asked.title} if asked.operation == "create" and asked.title else {}
    request = request_of(form, asking, identity)
    place = Place(asked.broker, asked.topic, asked.asker.bare)
    return replace(request, operation=asked.operation, claims=made, validity=asked.seconds, place=place)


def asking_in(request: Request) -> Asking:
    """Return the topic that *request* was about, as it was stated then."""
    known, observed = request.known, request.observed
    model: AccessModel = "whitelist" if known.get("access_model") == "whitelist" else "authorize"
    title = request.claims.get("title", "")
    topic = Topic(observed["broker"], observed["topic"], known.get("payload_type", ""), title, access_model=model)
    return Asking(topic, observed.get("vouched_by", ""))


def agrees(ruled: Ruled, asking: Asking, community: str) -> bool:
    """Say whether a decision rests on what would be stated today, and on today's engine, so that the same answer follows.

    Where nothing was asked of the engine, no *community* is on record: the request is refused in any.
    """
    return same_facts(ruled.decision.request, asking) and ruled.community in {"", community} and ruled.engine == __version__


def same_facts(request: Request, asking: Asking) -> bool:
    """Say whether *request* states about its topic what would be stated today."""
    return request.known == _known(asking.topic) and request.observed.get("vouched_by") == asking.voucher


def _known(topic: Topic) -> dict[str, str]:
    configuration = topic.configuration()
    return {"app_domain": "xmpp", "payload_type": topic.payload_type, "access_model": configuration["pubsub#access_model"]}


def _requesters(subscriber: Subscriber) -> tuple[str, ...]:
    try:
        return user_of_server(subscriber.bare, subscriber.domain)
    except MalformedRequest:
        return (f"xmpp:{subscriber.bare}",)  # a name with a comma: `gather` refuses it again, on the record
