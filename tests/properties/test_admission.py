"""What a change costs is what it changes, and comes to the same as if everything had been looked at."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.agent.applying.admission import Admission, Admitter
from clearinghouse.agent.applying.picture import change_among
from clearinghouse.clearing.policies import check_policy
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.federation.enforced.image import Image, change_between
from clearinghouse.federation.published.rows import Rows
from clearinghouse.keynote import admit
from tests.world import NOON, key

DOMAINS = tuple(f"{letter}.example" for letter in "bcdefg")
LEVELS = ("level-1", "level-2", "level-3")
KEYS = {"b.example": (key("bob").principal,)}
TEXTS = (
    'Conditions: level == "level-3" -> "allow";',
    'Conditions: level == "level-2" && from_domain != "c.example" -> "allow";',
    f'Licensees: "{key("bob").principal}"\nConditions: direction == "in" -> "allow";',
    'Licensees: "xmpp:d.example"\nConditions: kind ~= "^(message|iq)$" -> "allow";',
    'Conditions: level == "level-1" && time < "20261120130000" && kind == "presence" -> "allow";',
)

tables = st.dictionaries(st.sampled_from(DOMAINS), st.sampled_from(LEVELS))
deltas = st.tuples(tables, st.lists(st.sampled_from(DOMAINS), unique=True))


def admitter(texts: list[str]) -> Admitter:
    policies = [admit(f'Authorizer: "POLICY"\n{text}\n'.encode(), policy=True) for text in texts]
    for each in policies:
        check_policy(each, "admit")
    return Admitter(Snapshot.of({"admit": policies}, ()), "csirt-net", "a.example", lambda domain: KEYS.get(domain, ()))


def masks(found: Admission) -> dict[str, int]:
    return {domain: found.classes[name].mask for domain, name in found.rows.items()}


def image(found: Admission, serial: int) -> Image:
    return Image("a.example", serial, ("a.example",), found.classes, found.rows)


@given(st.lists(st.sampled_from(TEXTS), unique=True), tables, st.lists(st.tuples(deltas, st.integers(0, 90)), max_size=5))
def test_a_delta_comes_to_what_the_whole_comes_to(
    texts: list[str], first: dict[str, str], steps: list[tuple[tuple[dict[str, str], list[str]], int]]
) -> None:
    lasting, now, serials = admitter(texts), NOON, count(1)
    rows = Rows.of(first)
    before = lasting.admission(rows, now, LEVELS)
    for (changes, unset), minutes in steps:
        now += timedelta(minutes=minutes)
        rows = rows.changed(changes, [each for each in unset if each not in changes])
        found = lasting.admission(rows, now, LEVELS)
        whole = admitter(texts).admission(dict(rows), now, LEVELS)
        assert masks(found) == masks(whole)
        check_way(before, found, next(serials))
        before = found


def check_way(before: Admission, after: Admission, serial: int) -> None:
    if after.follows != before.number:
        return
    old, new = image(before, 2 * serial), image(after, 2 * serial + 1)
    assert change_among(old, new, after.touched) == change_between(old, new)


@given(st.lists(st.sampled_from(TEXTS), unique=True), tables)
def test_an_answer_holds_until_the_moment_that_it_names(texts: list[str], rows: dict[str, str]) -> None:
    found = admitter(texts).admission(rows, NOON, LEVELS)
    until: datetime = found.stable_until or NOON + timedelta(days=400)
    for later in (NOON, until - timedelta(seconds=1)):
        assert masks(admitter(texts).admission(rows, later, LEVELS)) == masks(found)
