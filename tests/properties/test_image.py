"""Images of what a server module enforces: a change leads exactly where it should, and every piece keeps its limits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.federation.enforced.image import EVERYTHING, Change, Grant, Image, LevelClass, applied, change_between
from clearinghouse.federation.enforced.pushes import PUSH_BYTES, ROWS_IN_A_PUSH, change_push, pushes, written

CLASSES = {"low": LevelClass(0, "too low"), "high": LevelClass(EVERYTHING)}

domains = st.integers(0, 30).map(lambda number: f"d{number}.fed")
rows = st.dictionaries(domains, st.sampled_from(sorted(CLASSES)))
grants = st.builds(
    Grant,
    id=st.integers(0, 9).map(str),
    remote=domains,
    until=st.integers(0, 100),
    mask=st.integers(0, EVERYTHING),
    decision=st.sampled_from(["", "d1"]),
)
unique_grants = st.lists(grants, unique_by=lambda grant: grant.id, max_size=6).map(tuple)


@st.composite
def images(draw: st.DrawFn, serial: int = 1) -> Image:
    return Image("a.fed", serial, ("a.fed",), CLASSES, draw(rows), draw(unique_grants), expires=draw(st.integers(0, 9)))


@given(images(1), images(2))
def test_the_change_between_two_images_leads_from_one_to_the_other(before: Image, after: Image) -> None:
    change = change_between(before, after)
    assert change is not None
    assert applied(before, change) == after


@given(images(1))
def test_the_change_to_an_equal_image_is_empty(image: Image) -> None:
    change = change_between(image, replace(image, serial=2))
    assert change is not None
    assert change.size == 0


@given(images(1), images(2), domains, st.integers(0, 100))
def test_only_what_changed_is_looked_up_otherwise(before: Image, after: Image, domain: str, now: int) -> None:
    change = change_between(before, replace(after, expires=before.expires))
    assert change is not None
    named = {name for found in change.rows.values() for name in found} | set(change.unset)
    ended = set(change.ended) | {grant.id for grant in change.grants}
    touched = domain in named or any(grant.remote == domain and grant.id in ended for grant in (*before.grants, *after.grants))
    if not touched:
        assert applied(before, change).mask(domain, now=now) == before.mask(domain, now=now)


def replayed(image: Image) -> Image:
    """What a module has after the pushes of *image*, read from their JSON."""
    begin, *pieces, commit = [json.loads(written(push)) for push in pushes(image)]
    assert (begin["do"], commit["do"]) == ("begin", "commit")
    assert {(push["image"], push["serial"]) for push in (begin, *pieces, commit)} == {(image.name, image.serial)}
    rows = {domain: push["class"] for push in pieces if push["do"] == "rows" for domain in push["domains"]}
    found = tuple(Grant(**grant) for push in pieces if push["do"] == "grants" for grant in push["grants"])
    assert all(len(push["domains"]) <= ROWS_IN_A_PUSH for push in pieces if push["do"] == "rows")
    assert all(sum(map(len, push["domains"])) <= PUSH_BYTES for push in pieces if push["do"] == "rows")
    names = ("mode", "default", "default_reason", "expires", "ask", "decision")
    classes = {name: LevelClass(**found) for name, found in begin["classes"].items()}
    return Image(begin["image"], begin["serial"], tuple(begin["hosts"]), classes, rows, found, **{name: begin[name] for name in names})


@given(images())
def test_the_pushes_of_an_image_say_all_of_it(image: Image) -> None:
    assert replayed(image) == image


@pytest.mark.parametrize("count, length", [(4001, 0), (1000, 240)])
def test_many_rows_come_in_pieces(count: int, length: int) -> None:
    image = Image("a.fed", 1, ("a.fed",), CLASSES, {f"d{number}.{'x' * length}.fed": "high" for number in range(count)})
    assert len(list(pushes(image))) > 3
    assert replayed(image) == image


def test_too_large_a_change_is_no_push() -> None:
    before = Image("a.fed", 1, ("a.fed",), CLASSES, {})
    after = replace(before, serial=2, rows={f"d{number}.fed": "high" for number in range(ROWS_IN_A_PUSH + 1)})
    change = change_between(before, after)
    assert isinstance(change, Change)
    assert change_push(change) is None
