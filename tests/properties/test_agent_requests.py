"""Whatever strangers, other agents and modules send: it is refused within our error tree, and opens no more than was asked."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.agent.asking.when import Ask, Asking, Matter, Outcome, Pair, Refuse, Release, matter_in
from clearinghouse.agent.granting.answers import read_answer
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.enforced.image import ANY, Grant, Image
from clearinghouse.federation.enforced.packet_rules import DIRECTIONS, KINDS, rule_of
from tests.world import NOON

NAMES = st.sampled_from(["App_domain", "domain", "Server_IP_Address", "Username", "PacketType", "direction", "role"])
TEXTS = st.one_of(
    st.text(max_size=40), st.sampled_from(["XMPP", "*", "", "b.example", "192.0.2.7", "bob", "bob@b.example", "message", "in", "out", "iq"])
)
USERS = st.sampled_from(["bob@b.example", "eve@b.example", ANY])


@given(st.dictionaries(NAMES, TEXTS))
def test_any_claims_give_a_rule_that_a_server_takes_or_an_error_of_ours(claims: dict[str, str]) -> None:
    try:
        rule = rule_of(claims)
    except ClearinghouseError:
        return
    Grant("g", rule.remote, 1, user=rule.user, mask=rule.mask, address=rule.address)
    assert rule.remote == claims["domain"]
    assert rule.user == ANY or rule.user.endswith(f"@{rule.remote}")


@given(
    USERS,
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(sorted(DIRECTIONS)),
    st.sampled_from(["bob@b.example", "eve@b.example"]),
    st.sampled_from(["b.example", "c.example"]),
    st.sampled_from(["192.0.2.7", "192.0.2.8"]),
)
def test_a_grant_passes_what_it_names_and_nothing_else(
    granted: str, kind: str, direction: str, user: str, remote: str, address: str
) -> None:
    claims = {"App_domain": "XMPP", "domain": "b.example", "Server_IP_Address": "192.0.2.7"}
    rule = rule_of(claims | {"Username": granted, "PacketType": kind, "direction": direction})
    grant = Grant("g", rule.remote, 10, user=rule.user, mask=rule.mask, address=rule.address)
    image = Image("a.example", 1, ("a.example",), {}, {}, (grant,))
    mask = image.mask(remote, now=9, user=user, address=address)
    named = (remote, address) == ("b.example", "192.0.2.7") and granted in {ANY, user}
    assert mask == (KINDS[kind] * DIRECTIONS[direction] if named else 0)
    assert image.mask(remote, now=10, user=user, address=address) == 0


TREES = st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner))


@given(st.binary(max_size=200) | TREES.map(lambda told: json.dumps(told).encode()))
def test_any_answer_is_read_or_refused(raw: bytes) -> None:
    try:
        read_answer(raw)
    except ClearinghouseError:
        return
    raise AssertionError("nothing drawn at random is an answer")


@given(st.dictionaries(st.sampled_from(["held", "local", "remote", "user", "to", "kind", "by"]), st.none() | st.integers() | TEXTS))
def test_any_event_is_understood_or_none(event: dict[str, Any]) -> None:
    found = matter_in(event)
    assert found is None or (found[0].user.endswith(f"@{found[0].pair.local}") and found[0].to.endswith(found[0].pair.remote))


MATTERS = st.builds(
    Matter,
    st.builds(Pair, st.just("a.example"), st.sampled_from(["b.example", "c.example", "x.example"])),
    st.sampled_from(["ann@a.example", "bea@a.example"]),
    st.sampled_from(["bob@b.example", "eve@b.example"]),
    st.sampled_from(["message", "presence"]),
    st.sampled_from(["self", "peer"]),
)
OUTCOMES = st.sampled_from([Outcome(reason="no"), Outcome(reason="later", soon=True), Outcome(granted=NOON.replace(year=2027))])


@given(st.lists(st.one_of(MATTERS, OUTCOMES), max_size=60))
def test_one_question_for_a_pair_whatever_happens_and_nothing_held_is_forgotten(story: list[Matter | Outcome]) -> None:
    """Matters are heard, outcomes answer the question that is longest in hand; in the end all that was held was dealt with."""
    asking = Asking(frozenset(), lambda domain: domain != "x.example")
    in_hand: list[Matter] = []
    held: set[str] = set()

    def follow(steps: tuple[Ask | Release | Refuse, ...]) -> None:
        for step in steps:
            if isinstance(step, Ask):
                assert step.matter.pair not in {each.pair for each in in_hand}
                assert step.matter.pair.remote != "x.example"
                in_hand.append(step.matter)
            else:
                held.remove(step.held)

    for number, each in enumerate(story):
        if isinstance(each, Matter):
            held.add(f"h{number}")
            follow(asking.hear(each, f"h{number}", NOON))
        elif in_hand:
            follow(asking.answered(in_hand.pop(0), each, NOON))
    while in_hand:
        follow(asking.answered(in_hand.pop(0), Outcome(reason="no"), NOON))
    assert (held, asking.in_hand) == (set(), 0)
