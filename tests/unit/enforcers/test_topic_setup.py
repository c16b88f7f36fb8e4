"""When a node is the topic of the settings, and what is said when it is not."""

from __future__ import annotations

import pytest

from clearinghouse.enforcers.topic_setup import ForeignTopic, check_configuration, check_owner, differences, refused_setup
from clearinghouse.errors import OperatorError
from clearinghouse.grid.stanzas import StanzaRefused
from clearinghouse.grid.topics import Topic

TOPIC = Topic("broker.example.net", "incidents", "urn:ietf:params:xml:ns:iodef-2.0", title="Incidents")
AS_WANTED = {name: (value,) for name, value in TOPIC.configuration().items()}
US = "ch.example.net"


def test_wanted_configuration_approves_each_subscriber_and_pushes_nothing() -> None:
    wanted = TOPIC.configuration()
    assert (wanted["pubsub#access_model"], wanted["pubsub#publish_model"], wanted["pubsub#send_last_published_item"]) == (
        "authorize",
        "publishers",
        "never",
    )


@pytest.mark.parametrize("spelling", ["1", "true"])
def test_both_spellings_of_truth_are_the_same(spelling: str) -> None:
    assert differences(TOPIC, AS_WANTED | {"pubsub#persist_items": (spelling,)}) == frozenset()


def test_fields_that_nobody_asked_about_do_not_matter() -> None:
    assert differences(TOPIC, AS_WANTED | {"pubsub#itemreply": ("owner",)}) == frozenset()


@pytest.mark.parametrize("name", sorted(AS_WANTED))
@pytest.mark.parametrize("found", [(), ("something else",), ("1", "1")], ids=["empty", "other", "two"])
def test_every_field_counts(name: str, found: tuple[str, ...]) -> None:
    assert differences(TOPIC, AS_WANTED | {name: found}) == {name}


def test_field_that_the_broker_lacks_is_let_go_unless_it_is_essential() -> None:
    assert differences(TOPIC, {}) == {"pubsub#access_model", "pubsub#publish_model"}


def test_configuration_that_is_not_taken_names_the_fields() -> None:
    with pytest.raises(OperatorError, match="did not take"):
        check_configuration(TOPIC, AS_WANTED | {"pubsub#access_model": ("open",)})


def test_sole_owner() -> None:
    check_owner(TOPIC, US, {US: "owner", "provider@soc.example": "publisher", "x@evil.example": "outcast"})


@pytest.mark.parametrize(
    "affiliations, said",
    [
        ({}, "not owned by"),
        ({US: "publisher"}, "not owned by"),
        ({US: "owner", "b@x.example": "owner", "a@x.example": "owner"}, "`a@x.example`, `b@"),
    ],
    ids=["nobody", "publisher only", "others too"],
)
def test_not_sole_owner(affiliations: dict[str, str], said: str) -> None:
    with pytest.raises(ForeignTopic, match=said) as refused:
        check_owner(TOPIC, US, affiliations)
    assert "only owner" in refused.value.mend


@pytest.mark.parametrize("condition, said", [("forbidden", "access_createnode"), ("resource-constraint", "max_items_node")])
def test_refused_setup_names_the_brokers_option(condition: str, said: str) -> None:
    assert said in refused_setup(TOPIC, US, StanzaRefused(condition)).mend
