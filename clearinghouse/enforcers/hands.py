"""What an owner does at a node, one exchange or one batch at a time (XEP-0060, section 8); no more is known here than the stanzas."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from clearinghouse.errors import BrokerUnavailable
from clearinghouse.grid import pubsub
from clearinghouse.grid.stanzas import Question, StanzaRefused, Stanzas

TRANSIENT: Final = frozenset(
    {
        "internal-server-error",
        "recipient-unavailable",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    }
)
"""Conditions that say nothing about the request: the broker is away or starting.  ``resource-constraint`` is
not among them: it is how ejabberd refuses a field of a configuration, today as tomorrow."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Speaks to brokers through *stanzas*; every method raises `BrokerUnavailable` or `StanzaRefused`."""

    stanzas: Stanzas

    async def ask(self, broker: str, kind: Question, payload: Element) -> Element:
        """Ask *broker*; a refusal that says nothing about the request is `BrokerUnavailable`."""
        try:
            return await self.stanzas.ask(broker, kind, payload)
        except StanzaRefused as refusal:
            raise sorted_out(refusal, broker) from refusal

    async def affiliations(self, broker: str, node: str) -> dict[str, str]:
        """Return who is affiliated with *node*: bare JID -> affiliation."""
        return pubsub.affiliations_in(await self.ask(broker, "get", pubsub.ask_affiliations(node)))

    async def subscribed(self, broker: str, node: str) -> frozenset[str]:
        """Return the JIDs that receive what is published; those that wait are not among them, listed by the broker or not."""
        states = pubsub.subscriptions_in(await self.ask(broker, "get", pubsub.ask_subscriptions(node)))
        return frozenset(jid for jid, state in states.items() if state == "subscribed")

    async def configuration(self, broker: str, node: str) -> Mapping[str, tuple[str, ...]]:
        """Return how *node* is configured: field -> values."""
        return pubsub.configuration_in(await self.ask(broker, "get", pubsub.ask_configuration(node))).fields

    async def affiliate(self, broker: str, node: str, wanted: Mapping[str, str]) -> None:
        """Set the affiliation of each named bare JID, in batches."""
        for batch in pubsub.batches(wanted):
            await self.ask(broker, "set", pubsub.set_affiliations(node, batch))

    async def end(self, broker: str, node: str, jids: Sequence[str]) -> None:
        """End the subscriptions, and the requests, of exactly *jids*, in batches; it does not matter who has left already."""
        for batch in pubsub.batches(dict.fromkeys(jids, "none")):
            if not await self._ended(broker, node, batch):
                await self._end_who_is_left(broker, node, batch)

    async def end_all_of(self, broker: str, node: str, bares: Collection[str]) -> None:
        """End the subscriptions of every resource of the bare JIDs *bares*."""
        held = await self.subscribed(broker, node)
        await self.end(broker, node, sorted(jid for jid in held if bare(jid) in bares))

    async def _end_who_is_left(self, broker: str, node: str, batch: Mapping[str, str]) -> None:
        # Who left in between makes ejabberd leave the whole batch undone.  Requests are in no list of ejabberd's,
        # which is why all that is not listed is tried one by one; as a rule these are few.
        held = await self.subscribed(broker, node)
        left = {jid: state for jid, state in batch.items() if jid in held}
        ended = not left or await self._ended(broker, node, left)
        for jid in batch:
            if jid not in left or not ended:
                await self._ended(broker, node, {jid: "none"})

    async def _ended(self, broker: str, node: str, batch: Mapping[str, str]) -> bool:
        try:
            await self.ask(broker, "set", pubsub.set_subscriptions(node, batch))
        except StanzaRefused as refusal:
            if refusal.detail != "not-subscribed":
                raise
            return False
        return True


def bare(jid: str) -> str:
    """Return *jid* without its resource."""
    return jid.partition("/")[0]


def sorted_out(refusal: StanzaRefused, broker: str) -> StanzaRefused | BrokerUnavailable:
    """Return the error that *refusal* is for us: one of `TRANSIENT` says that the broker cannot answer now."""
    if refusal.condition in TRANSIENT:
        return BrokerUnavailable(
            f"`{broker}` cannot answer now: {refusal.message}", mend="it is tried again; see the broker's log if it lasts"
        )
    return refusal
