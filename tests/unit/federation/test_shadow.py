"""What becomes of each pair when policy is enforced, from today's lists and from what was counted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.federation.enforced.image import EVERYTHING, Grant, Image, LevelClass, mask_of
from clearinghouse.federation.enforced.pushes import image_json
from clearinghouse.federation.enforced.shadow import (
    EVERYBODY_ELSE,
    Fate,
    Pair,
    Report,
    Seen,
    Side,
    Today,
    compare,
    image_of,
    seen_of,
    today_as_json,
    today_of,
)

NOW = 1_000
CLASSES = {"all": LevelClass(EVERYTHING), "none": LevelClass(0), "no-iq": LevelClass(EVERYTHING - mask_of(["iq"], ["inbound"]))}
OPEN, CLOSED = Side(default=True), Side(default=False)


def image(rows: dict[str, str], *grants: Grant, expires: int = 0, hosts: tuple[str, ...] = ("a.example",)) -> Image:
    return Image("a.example", 1, hosts, CLASSES, rows, grants, expires=expires)


def white(*domains: str, local: str = "a.example") -> Today:
    side = Side(default=False, allow=frozenset(domains))
    return Today(local, side, side)


def about(report: Report, remote: str, local: str = "a.example") -> Pair:
    (pair,) = (each for each in report.pairs if (each.local, each.remote) == (local, remote))
    return pair


def test_our_own_domains_are_no_pair() -> None:
    """What passes between two domains of one server never leaves it; the table has a row for us, too."""
    hosts = ("a.example", "rooms.a.example")
    report = compare([image({"a.example": "all", "b.example": "all"}, hosts=hosts)], [], [], now=NOW)
    assert {pair.remote for pair in report.pairs} == {"b.example", EVERYBODY_ELSE}


def test_each_fate() -> None:
    rows = {"same.example": "all", "cut.example": "none", "less.example": "no-iq", "new.example": "all", "out.example": "none"}
    report = compare([image(rows)], [white("same.example", "cut.example", "less.example", "gone.example")], [], now=NOW)
    assert {pair.remote: pair.fate for pair in report.pairs} == {
        "cut.example": Fate.CUT,
        "gone.example": Fate.CUT,
        "less.example": Fate.NARROWED,
        "new.example": Fate.OPENED,
        "same.example": Fate.SAME_ALLOW,
        "out.example": Fate.SAME_DENY,
        EVERYBODY_ELSE: Fate.SAME_DENY,
    }
    assert about(report, "gone.example").why == "default deny"
    assert report.losing
    assert report.counts == {"cut": 2, "narrowed": 1, "opened": 1, "same-allow": 1, "same-deny": 2, "unknown": 0}


def test_an_open_server_loses_everybody_else() -> None:
    report = compare([image({"b.example": "all"})], [Today("a.example", OPEN, OPEN)], [], now=NOW)
    assert about(report, EVERYBODY_ELSE).fate is Fate.CUT
    assert about(report, "b.example").fate is Fate.SAME_ALLOW


def test_nothing_lost_where_policy_gives_at_least_what_is_open() -> None:
    assert not compare([image({"b.example": "all", "c.example": "all"})], [white("b.example")], [], now=NOW).losing


def test_one_direction_that_closes_is_a_loss() -> None:
    only_in = LevelClass(mask_of(["message", "presence", "iq", "groupchat"], ["inbound"]))
    found = Image("a.example", 1, ("a.example",), {"in": only_in}, {"b.example": "in", "c.example": "in"})
    lists = Today(
        "a.example", Side(default=False, allow=frozenset({"b.example", "c.example"})), Side(default=False, allow=frozenset({"b.example"}))
    )
    report = compare([found], [lists], [], now=NOW)
    assert about(report, "b.example").fate is Fate.NARROWED
    assert about(report, "c.example").fate is Fate.SAME_ALLOW


def test_a_grant_for_everybody_opens_and_one_for_a_user_narrows() -> None:
    everybody = Grant("1", "b.example", NOW + 1)
    somebody = Grant("2", "c.example", NOW + 1, user="bob@c.example")
    over = Grant("3", "d.example", NOW)
    report = compare([image({}, everybody, somebody, over)], [white("b.example", "c.example", "d.example")], [], now=NOW)
    assert about(report, "b.example").fate is Fate.SAME_ALLOW
    assert about(report, "c.example").fate is Fate.NARROWED
    assert about(report, "c.example").why == "default deny, and 1 grants"
    assert about(report, "d.example").fate is Fate.CUT


def test_an_expired_image_cuts_everything_that_has_no_grant() -> None:
    report = compare([image({"b.example": "all"}, expires=NOW)], [white("b.example")], [], now=NOW)
    assert about(report, "b.example").fate is Fate.CUT
    assert about(report, "b.example").why == "the image has expired"


def test_traffic_is_counted_and_the_most_comes_first() -> None:
    seen = [
        Seen("a.example", "b.example", "in", "message", allowed=False, count=3),
        Seen("a.example", "b.example", "out", "iq", allowed=True, count=4),
        Seen("a.example", "c.example", "in", "message", allowed=False, count=9),
    ]
    report = compare([image({})], [white("b.example", "c.example", "d.example")], seen, now=NOW)
    assert [(pair.remote, pair.seen, pair.refused) for pair in report.pairs[:3]] == [
        ("c.example", 9, 9),
        ("b.example", 7, 3),
        ("d.example", 0, 0),
    ]


def test_without_a_list_what_was_seen_is_what_is_open() -> None:
    seen = [Seen("a.example", "b.example", "in", "message", allowed=False, count=1)]
    report = compare([image({"c.example": "all"})], [], seen, now=NOW)
    assert (about(report, "b.example").fate, about(report, "b.example").outbound) == (Fate.CUT, None)
    assert about(report, "c.example").fate is Fate.UNKNOWN


def test_each_host_has_its_own_list_or_the_one_for_all() -> None:
    lists = [white("b.example"), white("c.example", local="*")]
    report = compare([image({}, hosts=("a.example", "rooms.a.example"))], lists, [], now=NOW)
    assert about(report, "b.example").fate is Fate.CUT
    assert about(report, "c.example", "rooms.a.example").fate is Fate.CUT


def test_counts_of_a_module_are_read_or_refused() -> None:
    row = {"local": "a", "remote": "b", "direction": "in", "kind": "iq", "allowed": True, "count": 2}
    assert seen_of([row]) == (Seen("a", "b", "in", "iq", allowed=True, count=2),)
    with pytest.raises(ValueError, match="has a count that is none"):
        seen_of([row | {"count": "2"}])


def test_the_image_that_an_agent_writes_down_is_read_again() -> None:
    found = image({"b.example": "all", "c.example": "no-iq"}, Grant("1", "d.example", NOW + 1, user="eve@d.example"))
    assert image_of(json.loads(json.dumps(image_json(found)))) == found
    with pytest.raises(ValueError, match="is no image of an agent"):
        image_of({"image": "a.example"})


sides = st.builds(Side, st.booleans(), st.frozensets(st.sampled_from("bcd")), st.frozensets(st.sampled_from("bcd")))
todays = st.builds(Today, st.just("a"), sides, sides, st.booleans())


@given(todays)
def test_what_was_allowed_is_kept_and_read_again(today: Today) -> None:
    assert today_of(today_as_json(today)) == today


@given(todays, st.dictionaries(st.sampled_from(["b.example", "c.example", "d.example"]), st.sampled_from(sorted(CLASSES))))
def test_every_pair_is_judged_once_and_a_loss_is_never_missed(today: Today, rows: dict[str, str]) -> None:
    found = compare([image(rows)], [Today("a.example", today.inbound, today.outbound)], [], now=NOW)
    assert len({(pair.local, pair.remote) for pair in found.pairs}) == len(found.pairs)
    for pair in found.pairs:
        lost = (pair.inbound and pair.mask & 15 != 15) or (pair.outbound and pair.mask >> 4 != 15)
        assert (pair.fate in {Fate.CUT, Fate.NARROWED}) == bool(lost)
