"""Whether a node of the broker is the topic that the settings describe (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from clearinghouse.errors import OperatorError
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Topic

TRUTH: Final = {"true": "1", "false": "0"}
"""XEP-0004 writes booleans in two ways."""

ESSENTIAL: Final = frozenset({"pubsub#access_model", "pubsub#publish_model"})
"""Without these nobody can say who reads and who writes; any other field may be unknown to a broker."""


class ForeignTopic(OperatorError):
    """A topic of the settings belongs to somebody else at the broker, wholly or in part."""

    code: ClassVar[str] = "foreign-topic"

    def __init__(self, broker: str, node: str, why: str) -> None:
        """Name the topic and what was found there."""
        mend = "delete the node, or make the clearinghouse its only owner; others may publish, not own"
        super().__init__(f"`{node}` at `{broker}` {why}", mend=mend)


def check_owner(topic: Topic, us: str, affiliations: Mapping[str, str]) -> None:
    """Raise `ForeignTopic` unless *us* is the one and only owner."""
    others = sorted(jid for jid, held in affiliations.items() if held == "owner" and jid != us)
    if affiliations.get(us) != "owner":
        raise ForeignTopic(topic.broker, topic.node, f"is not owned by `{us}`")
    if others:
        raise ForeignTopic(topic.broker, topic.node, f"has other owners: {', '.join(f'`{jid}`' for jid in others)}")


def differences(topic: Topic, found: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Return the fields of the node's configuration that differ from the topic's, or lack although they are essential."""
    wanted = topic.configuration()
    known = {name for name in wanted if name in found or name in ESSENTIAL}
    return frozenset(name for name in known if [TRUTH.get(value, value) for value in found.get(name, ())] != [wanted[name]])


def check_configuration(topic: Topic, found: Mapping[str, tuple[str, ...]]) -> None:
    """Raise `OperatorError` unless the node is configured as the topic wants, after we have told it so."""
    left = differences(topic, found)
    if left:
        mend = f"set these fields by hand, or use a broker that knows them: {', '.join(sorted(left))}"
        raise OperatorError(f"`{topic.broker}` did not take the configuration of `{topic.node}`", mend=mend)


def refused_setup(topic: Topic, us: str, refusal: StanzaRefused) -> OperatorError:
    """Return what the operator must know when the broker refuses to create or configure the topic."""
    if refusal.condition == "forbidden":
        mend = f"allow `{us}` to create nodes there (ejabberd: access_createnode of mod_pubsub; Prosody: admins of the component)"
    else:
        mend = (
            "compare the topic's settings with the broker's limits (ejabberd: max_items_node of mod_pubsub; Prosody: "
            "pubsub_max_items, and for `authorize` our module, see `clearinghouse server-module prosody`)"
        )
    return OperatorError(f"`{topic.broker}` does not set up `{topic.node}`: {refusal.message}", mend=mend)
