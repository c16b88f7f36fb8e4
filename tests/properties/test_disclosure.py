"""What is disclosed suffices, and nothing of it is spare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.federation.disclosure import needed_chain
from clearinghouse.keynote import Admitted, Assertions, admit, syntax
from clearinghouse.keynote.clock import clock_attributes
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.signing import sign
from tests.properties import strategies as kn
from tests.world import assertion, key, signed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = tuple(each.principal for each in kn.KEYS.values())
SINGLES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.sampled_from(("ask", "allow"))), max_size=10)


def credentials(trees: Iterable[syntax.Assertion]) -> list[Admitted]:
    known = [kn.with_keys(tree) for tree in trees if tree.authorizer != syntax.Literal("POLICY")]
    return [admit(kn.signed_by_its_authorizer(tree)) for tree in known]


def level(held: Sequence[Admitted], requester: str, targets: Iterable[str], action: dict[str, str], values: Sequence[str]) -> int:
    """Return what the target would say whose policy trusts each of its keys."""
    policies = [admit(assertion("POLICY", target), policy=True) for target in targets]
    known = Assertions(policies=policies, credentials=held, limits=Limits.local())
    return known.query(authorizers=(requester,), action=action | clock_attributes(NOW), values=values).level


@given(kn.delegations(), st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), min_size=1, max_size=2), kn.actions, kn.value_sets)
def test_the_chosen_ones_suffice_and_none_can_be_left_out(
    trees: list[syntax.Assertion], requester: str, targets: list[str], action: dict[str, str], values: list[str]
) -> None:
    held = credentials(trees)
    action.pop("date", None)
    best = level(held, requester, targets, action, values)
    found = needed_chain(held, requester=requester, targets=targets, action=action, values=values, now=NOW)
    assert (found is None) == (best == 0)
    if found is not None:
        assert set(found) <= set(held)
        assert level(found, requester, targets, action, values) == best
        for spare in found:
            assert level([each for each in found if each is not spare], requester, targets, action, values) < best


@given(SINGLES)
def test_of_chains_the_shortest_is_chosen(links: list[tuple[str, str, str]]) -> None:
    held = [admit(signed(by, to, value=value)) for by, to, value in dict.fromkeys(links)]
    values, target, requester = ("deny", "ask", "allow"), key("a").principal, key("f").principal
    found = needed_chain(held, requester=requester, targets=[target], action={}, values=values, now=NOW)
    best = level(held, requester, [target], {}, values)
    if found:
        fewer = (each for count in range(len(found)) for each in combinations(held, count))
        assert all(level(each, requester, [target], {}, values) < best for each in fewer)


def chosen(held: Iterable[bytes], requester: str = "ann", *targets: str, **action: str) -> list[bytes] | None:
    found = needed_chain(
        map(admit, held),
        requester=key(requester).principal,
        targets=[key(each).principal for each in targets or ("hub",)],
        action=action,
        values=("deny", "ask", "allow"),
        now=NOW,
    )
    return found if found is None else [each.raw for each in found]


def test_the_chain_goes_from_the_target_down() -> None:
    held = [signed("bob", "ann"), signed("carol", "ann"), signed("hub", "bob"), signed("dan", "carol")]
    assert chosen(held) == [held[2], held[0]]


def test_nothing_leads_there() -> None:
    assert chosen([signed("bob", "ann"), signed("hub", "carol")]) is None
    assert chosen([]) is None


def test_whoever_asks_itself_shows_nothing() -> None:
    assert chosen([signed("hub", "ann")], "hub") == []


def test_what_has_ended_or_is_for_another_effect_is_not_shown() -> None:
    ended, other = signed("hub", "ann", until="20261101"), signed("hub", "ann", 'domain == "b.example"')
    right = signed("hub", "ann", 'domain == "a.example"', until="20270101")
    assert chosen([ended, other, right], domain="a.example") == [right]
    assert chosen([ended, other], domain="a.example") is None


def test_a_weaker_chain_is_shown_where_there_is_no_stronger_one() -> None:
    asked, allowed = signed("hub", "ann", value="ask"), signed("hub", "ann", value="allow")
    assert chosen([asked]) == [asked]
    assert chosen([asked, allowed]) == [allowed]


def test_of_two_keys_of_the_target_the_nearer_one_counts() -> None:
    held = [signed("one", "bob"), signed("bob", "ann"), signed("two", "ann")]
    assert chosen(held, "ann", "one", "two") == [held[2]]


def test_a_threshold_shows_as_many_as_it_takes() -> None:
    held = [signed("hub", "2-of({bob}, {carol}, {dan})"), *(signed(each, "ann") for each in ("bob", "carol", "dan"))]
    found = chosen(held)
    assert found is not None
    assert len(found) == 3


def test_a_licensee_that_the_request_names_is_found() -> None:
    text = f'Authorizer: "{key("hub").principal}"\nLicensees: role\n'.encode()
    held = [sign(text, key("hub"))]
    assert chosen(held, role=key("ann").principal) == held
    assert chosen(held, role=key("bob").principal) is None


def test_more_than_a_receiver_reads_is_not_sent() -> None:
    names = ["hub", *(f"k{number}" for number in range(40)), "ann"]
    assert chosen([signed(by, to) for by, to in pairwise(names)]) is None
