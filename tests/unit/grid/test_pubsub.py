"""What an owner sends is cut to what brokers take, and nothing gets lost by it."""

from __future__ import annotations

from xml.etree.ElementTree import tostring

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.grid import pubsub

JIDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=80)
STATES = st.dictionaries(JIDS, st.sampled_from(["none", "outcast", "publish-only"]), max_size=60)


@given(STATES, st.integers(100, 4000))
def test_batches_hold_everybody_once_and_in_order(states: dict[str, str], limit: int) -> None:
    batches = list(pubsub.batches(states, limit))
    assert [entry for batch in batches for entry in batch.items()] == list(states.items())
    assert all(batches)


@given(STATES, st.integers(1000, 4000))
def test_no_stanza_is_larger_than_its_limit(states: dict[str, str], limit: int) -> None:
    for batch in pubsub.batches(states, limit):
        entries = tostring(pubsub.set_affiliations("", batch)[0], encoding="utf-8")
        prefixes = len(batch) * len("ns0:affiliation") + 200  # the serializer here writes prefixes, a link writes none
        assert len(entries) <= limit + prefixes


def test_a_thousand_ordinary_subscribers_are_one_stanza() -> None:
    states = {f"first.last-{number}@members.csirt.example": "none" for number in range(1000)}
    assert len(list(pubsub.batches(states))) == 1
