"""The payloads of XEP-0060 that a topic's owner sends, and what it reads in the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import quoteattr

from clearinghouse.errors import MalformedRequest
from clearinghouse.grid.forms import Form, forms_in, read_form, write_form
from clearinghouse.grid.namespaces import COMMANDS, DATA_FORMS, GET_PENDING, NODE_CONFIG, PUBSUB, PUBSUB_OWNER, SUBSCRIBE_AUTHORIZATION
from clearinghouse.grid.stanzas import MESSAGE

MAX_BATCH_BYTES: Final = 131_072
"""Bytes of entries in one change of subscriptions or affiliations: a quarter of what Prosody takes from a component
(512 KiB), half of ejabberd's usual limit for clients; about 1,000 ordinary JIDs."""

_ENTRY_BYTES: Final = len("<subscription jid= subscription='publish-only'/>")


def batches(states: Mapping[str, str], limit: int = MAX_BATCH_BYTES) -> Iterator[dict[str, str]]:
    """Yield *states* (JID -> state) in order, cut so that the entries of one stanza have at most *limit* bytes."""
    batch: dict[str, str] = {}
    size = 0
    for jid, state in states.items():
        needed = len(quoteattr(jid).encode()) + _ENTRY_BYTES
        if batch and size + needed > limit:
            yield batch
            batch, size = {}, 0
        batch[jid] = state
        size += needed
    if batch:
        yield batch


def create_node(node: str, configuration: Mapping[str, str]) -> Element:
    """Create *node* with *configuration* in one step (section 8.1.3)."""
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB}}}create", node=node)
    SubElement(pubsub, f"{{{PUBSUB}}}configure").append(write_form("submit", NODE_CONFIG, configuration))
    return pubsub


def ask_configuration(node: str) -> Element:
    """Ask how *node* is configured (section 8.2.1)."""
    return _owner("configure", node)


def set_configuration(node: str, configuration: Mapping[str, str]) -> Element:
    """Change the named fields of the configuration of *node* (section 8.2.4)."""
    pubsub = _owner("configure", node)
    pubsub[0].append(write_form("submit", NODE_CONFIG, configuration))
    return pubsub


def ask_affiliations(node: str) -> Element:
    """Ask who is affiliated with *node* (section 8.9.1)."""
    return _owner("affiliations", node)


def set_affiliations(node: str, affiliations: Mapping[str, str]) -> Element:
    """Set the affiliation of each named bare JID (section 8.9.2)."""
    pubsub = _owner("affiliations", node)
    for jid, affiliation in affiliations.items():
        SubElement(pubsub[0], f"{{{PUBSUB_OWNER}}}affiliation", jid=jid, affiliation=affiliation)
    return pubsub


def ask_subscriptions(node: str) -> Element:
    """Ask who is subscribed to *node* (section 8.8.1)."""
    return _owner("subscriptions", node)


def set_subscriptions(node: str, subscriptions: Mapping[str, str]) -> Element:
    """Set the state of each named JID's subscription (section 8.8.2)."""
    pubsub = _owner("subscriptions", node)
    for jid, subscription in subscriptions.items():
        SubElement(pubsub[0], f"{{{PUBSUB_OWNER}}}subscription", jid=jid, subscription=subscription)
    return pubsub


def pending_command(node: str = "") -> Element:
    """Ask which nodes have pending requests or, with a *node*, to send its forms again (section 8.7).

    Each step is a new ``execute``: ejabberd answers ``complete``, which it advertises itself, with ``item-not-found``.
    """
    command = Element(f"{{{COMMANDS}}}command", node=GET_PENDING, action="execute")
    if node:
        command.append(write_form("submit", SUBSCRIBE_AUTHORIZATION, {"pubsub#node": node}))
    return command


def authorization(broker: str, node: str, subscriber: str, *, approve: bool, subid: str = "") -> Element:
    """Return the message that answers the request of exactly *subscriber* (section 8.6)."""
    fields = {"pubsub#subid": subid} if subid else {}
    fields |= {"pubsub#node": node, "pubsub#subscriber_jid": subscriber, "pubsub#allow": "1" if approve else "0"}
    message = Element(MESSAGE, to=broker)
    message.append(write_form("submit", SUBSCRIBE_AUTHORIZATION, fields))
    return message


def configuration_in(result: Element) -> Form:
    """Read the answer to `ask_configuration`."""
    configure = result.find(f"{{{PUBSUB_OWNER}}}pubsub/{{{PUBSUB_OWNER}}}configure")
    forms = forms_in(configure) if configure is not None else []
    if len(forms) != 1:
        raise MalformedRequest(f"an answer with {len(forms)} data forms", mend="the broker must answer with exactly one")
    return read_form(forms[0])


def affiliations_in(result: Element) -> dict[str, str]:
    """Read the answer to `ask_affiliations`: bare JID -> affiliation."""
    return _states(result, "affiliation")


def subscriptions_in(result: Element) -> dict[str, str]:
    """Read the answer to `ask_subscriptions`: JID -> state of its subscription."""
    return _states(result, "subscription")


def pending_nodes_in(result: Element) -> frozenset[str]:
    """Read the answer to `pending_command` without a node: the nodes on offer."""
    # ejabberd offers a node once for each of its requests; the set makes one of it.
    field = f"{{{DATA_FORMS}}}field[@var='pubsub#node']"
    path = f"{{{COMMANDS}}}command/{{{DATA_FORMS}}}x/{field}/{{{DATA_FORMS}}}option/{{{DATA_FORMS}}}value"
    return frozenset(value.text or "" for value in result.iterfind(path))


def _owner(name: str, node: str) -> Element:
    pubsub = Element(f"{{{PUBSUB_OWNER}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB_OWNER}}}{name}", node=node)
    return pubsub


def _states(result: Element, name: str) -> dict[str, str]:
    found = result.iterfind(f"{{{PUBSUB_OWNER}}}pubsub/{{{PUBSUB_OWNER}}}{name}s/{{{PUBSUB_OWNER}}}{name}")
    return {entry.get("jid", ""): entry.get(name, "none") for entry in found}
