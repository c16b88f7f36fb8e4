"""Properties of every ruling, over communities and requests that the machine makes up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.clear import rule
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.enforcement import ApproveSubscription, enforcement_of
from clearinghouse.clearing.request import Place, Request
from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from clearinghouse.errors import ClearinghouseError
from tests.world import AUDIT, BROKER, NOON, Community, request, signed, who

NAMES = sorted({name for operation in OPERATIONS.values() for name in operation.attributes})
TEXTS = st.one_of(
    st.sampled_from(["*", "", "incidents", "ann@a.example", "a.example", BROKER, "allow", "1", "0", "-1", "xmpp", "yes"]),
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "Cc", "Cf"]), max_size=3),
)
TABLES = st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), TEXTS, max_size=6)
PRINCIPALS = st.one_of(st.sampled_from([who("ann"), who("hub"), "xmpp:ann@a.example", "xmpp-member:a.example", "POLICY", ""]), TEXTS)
GOOD = signed("hub", "ann", 'App_domain == "XMPP"')
CREDENTIALS = st.lists(st.one_of(st.just(GOOD), st.binary(max_size=40), st.integers(0, len(GOOD)).map(lambda at: GOOD[:at])), max_size=3)


def community() -> Community:
    sim = Community()
    sim.policy("{hub} || {xmpp:ann@a.example}", 'topic == "incidents"')
    sim.policy("hub", operation="whitelist")
    sim.policy("a.example", operation="federate")
    sim.policy("ann", 'jid == "a" || platform_group != "x"', operation="register")
    sim.delegate("hub", "ann@a.example")
    return sim


COMMUNITY = community()


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Return anything, or a good request with a few things changed."""
    operation = draw(st.one_of(st.sampled_from([*OPERATIONS]), TEXTS))
    group = OPERATIONS[operation].group if operation in OPERATIONS else "topics"
    good = request({"topics": "ann@a.example", "federate": "a.example", "admit": "a.example"}.get(group, "ann"), operation)
    loose: Mapping[str, st.SearchStrategy[object]] = {
        "door": st.sampled_from(Door),
        "requesters": st.lists(PRINCIPALS, max_size=3).map(tuple),
        "observed": TABLES,
        "claims": st.one_of(TABLES, st.just(AUDIT)),
        "known": TABLES,
        "credentials": CREDENTIALS.map(tuple),
        "validity": st.one_of(st.none(), st.integers()),
        "place": st.one_of(st.none(), st.builds(Place, TEXTS, TEXTS, TEXTS)),
        "sender": TEXTS,
    }
    for name in draw(st.sets(st.sampled_from(sorted(loose)), max_size=4)):
        value = draw(loose[name])
        merged = {**getattr(good, name), **value} if isinstance(value, Mapping) and draw(st.booleans()) else value
        good = replace(good, **{name: merged})  # type: ignore[arg-type]  # each by its own strategy
    return good


@settings(max_examples=300)
@given(requests())
def test_ruling_never_raises_and_always_says_why(asked: Request) -> None:
    decision = rule(asked, COMMUNITY.ready(), now=NOON)
    assert decision.reason.code
    assert decision.reason.text
    assert (decision.ends is not None) == (decision.outcome is Outcome.GRANTED)
    assert decision.reason.text.isprintable()


@settings(max_examples=200)
@given(requests())
def test_only_a_grant_opens_anything(asked: Request) -> None:
    decision = rule(asked, COMMUNITY.ready(), now=NOON)
    assert (decision.value == "deny") == (decision.outcome in {Outcome.REFUSED, Outcome.UNANSWERED})
    if isinstance(enforcement_of(decision), ApproveSubscription):
        assert decision.outcome is Outcome.GRANTED
        assert asked.operation == "subscribe"
        assert asked.place is not None
        assert (asked.place.node, asked.place.broker) == (asked.observed["topic"], asked.observed["broker"])


# -- adding never takes away --------------------------------------------------------------------------------

KEYS = ("hub", "sector", "office")
ASKER = "ann@a.example"
TESTS = (
    "",
    'topic == "incidents"',
    "topic == topic",
    'topic != "secrets"',
    'topic ~= "^inc"',
    'access_model == "authorize"',
    "@blocklist_count == 0",
    'domain == "b.example"',
    'date < "20270101"',
)
LICENSEES = st.sampled_from(
    [*KEYS, ASKER, "xmpp-member:a.example", "{hub} && {sector}", "{sector} || {office}", "2-of({hub}, {sector}, {office})"]
)
PIECES = st.tuples(st.sampled_from(("POLICY", *KEYS)), LICENSEES, st.sampled_from(TESTS), st.sampled_from(["", "ask", "allow"]))
ORDER = {"deny": 0, "ask": 1, "allow": 2}


def believing(pieces: list[tuple[str, str, str, str]]) -> Community:
    sim = Community()
    for by, to, where, value in pieces:
        if by == "POLICY":
            try:
                sim.policy(to, where, value)
            except ClearinghouseError:
                continue
        else:
            sim.delegate(by, to, where, value)
    return sim


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=5), PIECES)
def test_another_assertion_never_takes_a_grant_away(pieces: list[tuple[str, str, str, str]], more: tuple[str, str, str, str]) -> None:
    before, after = believing(pieces).asks(ASKER), believing([*pieces, more]).asks(ASKER)
    assert ORDER[after.value] >= ORDER[before.value]


@settings(max_examples=100)
@given(st.lists(PIECES, max_size=5), st.sampled_from(KEYS))
def test_a_revocation_never_gives_anything(pieces: list[tuple[str, str, str, str]], name: str) -> None:
    sim = believing(pieces)
    before = sim.asks(ASKER)
    sim.revoke(name)
    assert ORDER[sim.asks(ASKER).value] <= ORDER[before.value]


@settings(max_examples=100)
@given(st.lists(PIECES, min_size=1, max_size=5))
def test_what_is_granted_has_its_topic_bound(pieces: list[tuple[str, str, str, str]]) -> None:
    """Whatever the policies, a grant for `incidents` is none for a topic of which nobody has heard, unless its kind is named."""
    sim = believing(pieces)
    if sim.asks(ASKER).outcome is not Outcome.REFUSED:
        assert sim.asks(ASKER, to="\x01unheard of").outcome is Outcome.REFUSED


@settings(max_examples=60)
@given(st.lists(PIECES, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_assertions_never_matters(pieces: list[tuple[str, str, str, str]], random: Random) -> None:
    shuffled = [*pieces]
    random.shuffle(shuffled)
    assert believing(pieces).asks(ASKER).value == believing(shuffled).asks(ASKER).value


def test_plain_keynote_would_grant_what_is_never_bound() -> None:
    """The property above says something: without the rules it fails."""
    sim = Community()
    sim.policy(ASKER, 'topic != "secrets"')
    held = sim.ready().snapshot.assertions("topics")
    action = {**request(ASKER).observed, "operation": "subscribe", "topic": "unheard of"}
    assert held.query(authorizers=request(ASKER).requesters, action=action, values=["deny", "allow"]).value == "allow"


# -- with a desk -------------------------------------------------------------------------------------------

DESK_PIECES = st.tuples(
    st.sampled_from(("POLICY", *KEYS, "desk")),
    st.sampled_from([*KEYS, ASKER, "desk", "{hub} && {desk}", "{hub} || {desk}", "2-of({hub}, {sector}, {desk})"]),
    st.sampled_from(TESTS),
    st.sampled_from(["", "ask", "allow"]),
)


def approving(pieces: list[tuple[str, str, str, str]]) -> Community:
    sim = believing(pieces)
    sim.appoint("desk")
    return sim


@settings(max_examples=200)
@given(st.lists(DESK_PIECES, max_size=6))
def test_without_the_desk_nobody_has_less_than_it_takes_to_be_asked_about(pieces: list[tuple[str, str, str, str]]) -> None:
    """Rule R2: whatever the desk has signed, it lifts only who has `ask` without it."""
    without = believing([piece for piece in pieces if piece[0] != "desk"])
    without.revoke("desk")
    alone, value = without.asks(ASKER).value, approving(pieces).asks(ASKER).value
    assert value == alone or (alone, value) == ("ask", "allow")


@settings(max_examples=150)
@given(st.lists(DESK_PIECES, max_size=6), DESK_PIECES)
def test_with_a_desk_as_well_another_assertion_never_takes_a_grant_away(
    pieces: list[tuple[str, str, str, str]], more: tuple[str, str, str, str]
) -> None:
    before, after = approving(pieces).asks(ASKER), approving([*pieces, more]).asks(ASKER)
    assert ORDER[after.value] >= ORDER[before.value]


@settings(max_examples=150)
@given(st.lists(DESK_PIECES, max_size=6), st.sampled_from((*KEYS, "desk")), st.booleans())
def test_with_a_desk_as_well_a_revocation_never_gives_anything(pieces: list[tuple[str, str, str, str]], name: str, below: bool) -> None:  # noqa: FBT001
    sim = approving(pieces)
    before = sim.asks(ASKER)
    (sim.revoke_below if below else sim.revoke)(name)
    assert ORDER[sim.asks(ASKER).value] <= ORDER[before.value]


@settings(max_examples=100)
@given(st.lists(DESK_PIECES, max_size=6))
def test_a_grant_never_outlasts_either_of_its_proofs(pieces: list[tuple[str, str, str, str]]) -> None:
    decision = approving(pieces).asks(ASKER)
    if decision.outcome is Outcome.GRANTED:
        assert decision.ends is not None
        assert decision.until is not None
        assert NOON < decision.ends <= decision.until
