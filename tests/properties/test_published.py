"""Published documents: deltas come to what the whole table says, and no order of documents leads anywhere but where a publisher was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.clearing.vocabulary import Kind, is_canonical
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.names import BadName, below, normal
from clearinghouse.federation.published import deltas, members, revocations, roots, tables, timestamps
from clearinghouse.federation.published.deltas import Delta
from clearinghouse.federation.published.documents import digest
from clearinghouse.federation.published.members import Endpoint, Member
from clearinghouse.federation.published.publishing import Publisher
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.tables import Head
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.federation.trust.trusted import Standing, Trusted, follow
from tests.presses import COMMUNITY, LEVELS, NOW, Press, made, member, plan, who

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True).filter(lambda label: not label.startswith("xn--"))
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join).filter(lambda name: not name.rpartition(".")[2].isdigit())
FEW = st.sampled_from([f"m{number}.example" for number in range(6)])
ROWS = st.dictionaries(FEW, st.sampled_from(LEVELS[1:]), max_size=6)
DIGESTS = st.binary(max_size=4).map(digest)
NUMBERS = st.integers(1, 10**15 - 1)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
LIVES = st.tuples(TIMES, st.timedeltas(timedelta(microseconds=1), timedelta(days=400))).map(lambda pair: (pair[0], pair[0] + pair[1]))
AUDIENCES = st.one_of(st.just("*"), NAMES)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
COMMUNITIES = TEXTS.filter(bool)


# -- names -------------------------------------------------------------------------------------------------


@given(st.one_of(NAMES, st.text(max_size=30), st.text("äßİıé.-xn0A\u3002\uff0e", max_size=12)))
def test_normal_is_idempotent(text: str) -> None:
    """What has a normal form has one, and it is a domain of the vocabulary."""
    with suppress(BadName):
        name = normal(text)
        assert normal(name) == name
        assert is_canonical(Kind.DOMAIN, name)
        assert normal(name.upper() + ".") == name


@given(NAMES, NAMES)
def test_below_is_never_a_mere_ending(name: str, parent: str) -> None:
    assert below(name, parent) == (name.split(".")[-len(parent.split(".")) :] == parent.split("."))
    assert not below("bad" + parent, parent)


# -- print and read ----------------------------------------------------------------------------------------


@given(st.dictionaries(NAMES, st.sampled_from(LEVELS[1:]), max_size=12))
def test_reading_a_content_undoes_writing_it(rows: dict[str, str]) -> None:
    content = tables.content_of(rows, LEVELS)
    assert tables.read_content(content, LEVELS) == rows
    assert tables.content_of(dict(reversed(rows.items())), LEVELS) == content


@given(COMMUNITIES, AUDIENCES, NUMBERS, LIVES, DIGESTS, st.integers(0, 10**6))
def test_reading_a_head_undoes_writing_it(
    community: str, audience: str, version: int, life: tuple[datetime, datetime], told: str, count: int
) -> None:
    head = Head(community, audience, 3, version, *life, "", LEVELS, count, count + 2, told, told)
    assert tables.read_payload(tables.written(head)) == head


@given(COMMUNITIES, AUDIENCES, NUMBERS, LIVES, DIGESTS)
def test_reading_a_timestamp_undoes_writing_it(
    community: str, audience: str, version: int, life: tuple[datetime, datetime], told: str
) -> None:
    stamp = Timestamp(community, audience, 1, version, told, 2, *life, 1, version, told, told, 2)
    assert timestamps.read_payload(timestamps.written(stamp)) == stamp


@given(COMMUNITIES, NUMBERS, LIVES, st.sets(DIGESTS, max_size=4), st.sets(st.sampled_from([*who("a", "b"), "xmpp:ann@a.example"])))
def test_reading_revocations_undoes_writing_them(
    community: str, version: int, life: tuple[datetime, datetime], ids: set[str], names: set[str]
) -> None:
    told = RevocationSet(community, 1, version, *life, tuple(sorted(ids)), tuple(sorted(names)), tuple(sorted(names)))
    assert revocations.read_payload(revocations.written(told)) == told


@given(
    NAMES.filter(lambda name: name not in {"root", "community", "revocations"}),
    TEXTS,
    NUMBERS,
    TIMES,
    st.booleans(),
    st.sets(DIGESTS, max_size=8),
)
def test_reading_a_member_undoes_writing_it(domain: str, text: str, serial: int, issued: datetime, removed: bool, pins: set[str]) -> None:  # noqa: FBT001 - drawn
    told = Member(
        domain,
        COMMUNITY,
        (Endpoint(domain, 5270, "direct"),),
        who("a"),
        "",
        f"agent.{domain}",
        (text,),
        serial,
        issued,
        removed,
        text,
        text,
        tuple(sorted(pins)),
    )
    assert members.read_payload(members.written(told)) == told


def test_reading_root_metadata_undoes_writing_it() -> None:
    root = made(plan())
    assert roots.read_payload(roots.written(root)) == root


# -- deltas ------------------------------------------------------------------------------------------------


@given(ROWS, ROWS)
def test_a_delta_is_what_differs(before: dict[str, str], after: dict[str, str]) -> None:
    delta = deltas.read_delta(deltas.delta_of(before, after), LEVELS)
    assert deltas.apply_delta(before, delta) == after
    assert delta == deltas.delta_among({*before, *after}, before, after)
    assert len(delta) == len({*before.items()} ^ {*after.items()}) - len(
        [each for each in before.keys() & after if before[each] != after[each]]
    )


@given(st.lists(ROWS, min_size=1, max_size=6))
def test_deltas_merged_are_the_delta_of_the_ends(states: list[dict[str, str]]) -> None:
    steps = [deltas.delta_between(before, after) for before, after in pairwise(states)]
    rows: Mapping[str, str] = states[0]
    merged = deltas.merged(steps)
    assert {**{each: level for each, level in rows.items() if each not in merged.unset}, **merged.changed} == states[-1]
    assert not set(merged.unset) & merged.changed.keys()


@given(st.lists(ROWS, min_size=1, max_size=8))
def test_a_chain_of_deltas_is_the_whole_table(states: list[dict[str, str]]) -> None:
    publisher = Publisher(COMMUNITY, "*", 1, LEVELS)
    rows: Mapping[str, str] = {}
    for number, state in enumerate(states):
        edition = publisher.edition(state, now=NOW + number * timedelta(seconds=1), expires=NOW + timedelta(days=9))
        if edition is None:
            assert state == rows
            continue
        assert tables.read_content(edition.content, LEVELS) == state
        rows = deltas.apply_delta(rows, deltas.read_delta(edition.delta, LEVELS)) if edition.delta else dict(state)
        assert rows == state
        assert edition.table.head.version == (publisher.last.head.version + 1 if publisher.last else 1)
        publisher = publisher.after(edition)


@given(st.binary(max_size=60) | st.text('{}[]",:setunlv-1a.b', max_size=60).map(str.encode))
def test_nothing_but_our_own_errors_is_raised_by_any_bytes(raw: bytes) -> None:
    for read in (
        lambda: tables.read_content(raw, LEVELS),
        lambda: deltas.read_delta(raw, LEVELS),
        lambda: tables.read_payload(raw),
        lambda: timestamps.read_payload(raw),
        lambda: revocations.read_payload(raw),
        lambda: roots.read_payload(raw),
        lambda: members.read_member(raw),
        lambda: members.unlisted(raw),
    ):
        with suppress(ClearinghouseError):
            read()


# -- any order, twice, or never ----------------------------------------------------------------------------


def _history() -> tuple[Press, list[tuple[str, bytes]], list[dict[str, str]]]:
    """Return a press after some life, every document that it ever published, and every table."""
    press, states = Press(), list[dict[str, str]]()
    found: list[tuple[str, bytes]] = []
    everybody = {f"m{number}.example": "level-1" for number in range(8)}
    for number in range(5):
        press.enrols(member("m0.example", number + 1))
        if number == 2:
            press.revokes(who("somebody")[0])
        if number == 4:
            press.crowns(made(plan(2)))
        states.append({**everybody, f"m{number}.example": "level-3", "m7.example": LEVELS[1 + number % 3]})
        press.prints(states[-1])
        found += press.documents.items()
    return press, [*dict.fromkeys(found)], states


PRESS, PUBLISHED, STATES = _history()


@given(st.lists(st.sampled_from(PUBLISHED), max_size=40), st.booleans())
def test_no_order_of_documents_leads_anywhere_but_where_the_publisher_was(given_in: list[tuple[str, bytes]], ends: bool) -> None:  # noqa: FBT001 - drawn
    trusted = PRESS.trusted()
    version = 0
    for name, raw in given_in:
        with suppress(ClearinghouseError):
            trusted.update(name, raw, PRESS.now)
        head = trusted.head
        assert dict(trusted.rows) in ([{}] if head is None else STATES)
        if head is not None:
            assert trusted.rows == STATES[head.version - 1]
            assert head.version >= version
            version = head.version
        if trusted.standing(PRESS.now) is Standing.FRESH:
            assert trusted.timestamp is not None
            assert trusted.timestamp.version == version
    if ends:  # and from everywhere the newest is reached
        assert follow(trusted, PRESS.fetch, PRESS.now) == ()
        assert trusted.rows == STATES[-1]
        assert trusted.standing(PRESS.now) is Standing.FRESH


@given(st.sets(st.sampled_from(sorted(dict(PUBLISHED)))))
def test_whatever_is_withheld_the_last_good_state_stays_and_it_converges_later(withheld: set[str]) -> None:
    trusted = PRESS.trusted()

    def fetch(name: str, limit: int) -> bytes | None:
        return None if name in withheld else PRESS.fetch(name, limit)

    with suppress(ClearinghouseError):
        follow(trusted, fetch, PRESS.now)
    assert dict(trusted.rows) in [{}, *STATES]
    assert follow(trusted, PRESS.fetch, PRESS.now) == ()
    assert trusted.rows == STATES[-1]


@given(st.lists(st.sampled_from(PUBLISHED), max_size=20))
def test_what_is_kept_is_believed_again_alike(given_in: list[tuple[str, bytes]]) -> None:
    trusted = PRESS.trusted()
    for name, raw in given_in:
        with suppress(ClearinghouseError):
            trusted.update(name, raw, PRESS.now)
    kept = trusted.kept()
    again = Trusted.restored(kept, PRESS.pin, audience="*")
    assert again.kept() == kept
    assert (again.rows, again.head, again.timestamp, again.revocations, again.members, again.root, again.seen) == (
        trusted.rows,
        trusted.head,
        trusted.timestamp,
        trusted.revocations,
        trusted.members,
        trusted.root,
        trusted.seen,
    )
    assert follow(again, PRESS.fetch, PRESS.now) == ()
    assert again.rows == STATES[-1]


@given(st.data())
def test_kept_files_that_were_changed_are_refused_or_change_nothing(data: st.DataObject) -> None:
    kept = PRESS.followed().kept()
    name = data.draw(st.sampled_from(sorted(kept)))
    at = data.draw(st.integers(0, len(kept[name]) - 1))
    octet = data.draw(st.integers(0, 255))
    spoiled = kept | {name: kept[name][:at] + bytes([octet]) + kept[name][at + 1 :]}
    with suppress(ClearinghouseError):
        again = Trusted.restored(spoiled, PRESS.pin, audience="*")
        assert dict(again.rows) == STATES[-1]
        assert again.members == PRESS.followed().members


@pytest.mark.parametrize(
    "rows", [{"a.example": "level-9"}, {"A.example": "level-1"}, {"": "level-1"}, {"a..b": "level-1"}, {'a"b': "level-1"}]
)
def test_rows_that_are_none_are_not_published(rows: dict[str, str]) -> None:
    with pytest.raises(ClearinghouseError, match="has a row"):
        Publisher(COMMUNITY, "*", 1, LEVELS).edition(rows, now=NOW, expires=NOW + timedelta(days=1))


def test_the_lowest_level_stands_nowhere() -> None:
    edition = Publisher(COMMUNITY, "*", 1, LEVELS).edition(
        {"a.example": "deny", "b.example": "level-1"}, now=NOW, expires=NOW + timedelta(1)
    )
    assert edition is not None
    assert edition.table.rows == {"b.example": "level-1"}
    assert [edition.table.level_of(each) for each in ("a.example", "b.example", "c.example")] == ["deny", "level-1", "deny"]


def test_an_empty_delta_only_lives_longer() -> None:
    press = Press()
    press.prints(STATES[0])
    trusted = press.followed()
    press.prints(STATES[0], days=30)
    assert deltas.read_delta(press.documents["community/delta/2"].partition(b"\n")[2], LEVELS) == Delta()
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.head is not None
    assert (trusted.head.version, trusted.head.expires) == (2, press.now + timedelta(days=30))
    assert replace(trusted.root, credentials=()).generation == 1
