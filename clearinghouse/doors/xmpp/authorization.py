"""The broker's question whether somebody may subscribe (XEP-0060, section 8.6), read from its form.

Whoever may reach the component can send it such a form.  Only a configured broker is believed, only
about the topics that the settings give to that broker (authority R12).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from clearinghouse.doors.xmpp.addresses import read_subscriber
from clearinghouse.errors import PeerError, TooLarge
from clearinghouse.grid.forms import Form, forms_in, read_form
from clearinghouse.grid.namespaces import SUBSCRIBE_AUTHORIZATION
from clearinghouse.grid.topics import SubscriptionAsked

Brokers: TypeAlias = Mapping[str, AbstractSet[str]]
"""Which brokers are believed, and about which of their nodes."""

MAX_SUBID_CHARACTERS: Final = 256
"""Characters in a broker's name of a request; ejabberd uses 13 to 15."""

_FORM_TYPE_PATH: Final = "{jabber:x:data}field[@var='FORM_TYPE']/{jabber:x:data}value"


class Refusal(StrEnum):
    """Why a form was not taken."""

    UNKNOWN_BROKER = "unknown-broker"
    FOREIGN_TOPIC = "foreign-topic"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class FormRefused:
    """A form that asks for an authorization and is not taken; ``detail`` is for the log."""

    reason: Refusal
    sender: str
    detail: str


def asks_authorization(message: Element) -> bool:
    """Whether *message* carries a form of this kind, well made or not.

    Our own answer may come back as an error with its form inside; that is no question.
    """
    return message.get("type") != "error" and any(_is_authorization(x) for x in forms_in(message))


def read_authorization(message: Element, brokers: Brokers) -> SubscriptionAsked | FormRefused:
    """Read the question in *message*, for which `asks_authorization` holds."""
    sender = message.get("from", "")
    nodes = brokers.get(sender)
    if nodes is None:
        return FormRefused(Refusal.UNKNOWN_BROKER, sender, "not one of the configured brokers")
    try:
        return _read_known(message, sender, nodes)
    except PeerError as error:
        return FormRefused(Refusal.MALFORMED, sender, str(error))


def _read_known(message: Element, broker: str, nodes: AbstractSet[str]) -> SubscriptionAsked | FormRefused:
    forms = forms_in(message)
    if len(forms) != 1:
        return FormRefused(Refusal.MALFORMED, broker, f"{len(forms)} forms in one message")
    form = read_form(forms[0])
    if form.kind != "form":
        return FormRefused(Refusal.MALFORMED, broker, f"a form of type `{form.kind}`")
    node = form.one("pubsub#node")
    if node not in nodes:
        return FormRefused(Refusal.FOREIGN_TOPIC, broker, f"node `{node[:64].encode('unicode_escape').decode()}`")
    return SubscriptionAsked(broker, node, read_subscriber(form.one("pubsub#subscriber_jid")), _subid(form))


def _subid(form: Form) -> str:
    subid = form.optional("pubsub#subid")
    if len(subid) > MAX_SUBID_CHARACTERS:
        raise TooLarge(f"a subid of {len(subid)} characters", mend=f"use at most {MAX_SUBID_CHARACTERS}")
    return subid


def _is_authorization(x: Element) -> bool:
    return any(value.text == SUBSCRIBE_AUTHORIZATION for value in x.iterfind(_FORM_TYPE_PATH))
