"""A case as the broker's door opens one."""

from __future__ import annotations

from datetime import datetime, timedelta

from clearinghouse.clearing.cases import Case
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.vocabulary import Door


def case(now: datetime, *, identity: str = "3f2a91c4aabbccdd", jid: str = "ann@members.example", topic: str = "incidents") -> Case:
    """Return an open case in which *jid* asks to subscribe to *topic*."""
    observed = {
        "jid": jid,
        "domain": jid.rpartition("@")[2],
        "broker": "pubsub.hub.example",
        "vouched_by": "hub.example",
        "topic": topic,
    }
    known = {"app_domain": "xmpp", "payload_type": "urn:ietf:params:xml:ns:iodef-2.0", "access_model": "authorize"}
    asking = (f"xmpp:{jid}", f"xmpp-member:{observed['domain']}")
    request = Request(identity, "subscribe", Door.BROKER, asking, observed=observed, known=known)
    return Case(identity, request, now, now + timedelta(days=30))
