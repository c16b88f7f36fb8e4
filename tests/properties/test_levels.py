"""Levels of all members at once are what the ordinary path says of each, after every change and at every second."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.federation.levels.book import Change, LevelBook, Scale
from clearinghouse.federation.levels.judging import FEDERATE, Judged, judge, request_about
from clearinghouse.federation.published.deltas import Delta
from clearinghouse.keynote import Admitted, admit
from tests.properties import strategies as kn

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCALE = Scale("net", ("deny", "level-1", "level-2", "level-3"))
AUDIENCES = ("*", "a.example")
DOMAINS = tuple(f"{letter}.example" for letter in "abcd")
KEYS = tuple(key.principal for key in kn.KEYS.values())[:3]
HUBS = ("hub", "sector", "auditor")


@dataclass(frozen=True)
class Member:
    domain: str
    keys: tuple[str, ...] = ()


# -- assertions ----------------------------------------------------------------------------------------

DAYS = ("20261120", "20261121", "20261122")
SECONDS = ("20261120120000", "20261120120001", "20261120120002", "20261121000000")
INSTANTS = (*(NOW + timedelta(seconds=each) for each in range(1, 4)), *(datetime(2026, 11, day, tzinfo=UTC) for day in range(21, 25)))
"""Every second at which one of these conditions can change."""
USUAL = (
    'operation == "federate"',
    'from_domain == "a.example"',
    'from_domain != "b.example"',
    'from_domain ~= "^[ab]"',
    'to_domain == "*"',
    'to_domain == "a.example"',
    'to_domain != "c.example"',
    *(f'date {relation} "{day}"' for day in DAYS for relation in ("<", ">=", "<=", "==")),
    *(f'time {relation} "{second}"' for second in SECONDS for relation in ("<", ">", "!=")),
    '"20261121" > date',
    "Last > date",
)
UNUSUAL = (
    'tls_version == ""',
    'tls_version == "1.3"',
    'auth_method != "dialback"',
    'topic != "x"',
    '_ACTION_AUTHORIZERS == "xmpp:a.example"',
    'date . "" < "20261121"',
    '@(date . "") < 20261121',
    '$("from_" . "domain") == "b.example"',
    "_VALUES != community",
    "1 / 0 == 1",
)
tests = st.lists(st.sampled_from(USUAL) | st.sampled_from(USUAL) | st.sampled_from(USUAL + UNUSUAL), min_size=1, max_size=3).map(
    " && ".join
)
arrows = st.sampled_from(("", ' -> "level-1"', ' -> "level-2"', ' -> "level-3"', ' -> "allow"'))
conditions = st.lists(st.tuples(tests, arrows).map("".join), min_size=1, max_size=2).map(lambda rows: f"Conditions: {'; '.join(rows)};\n")

principals = st.sampled_from((*HUBS, *HUBS, *(f"xmpp:{domain}" for domain in DOMAINS), *KEYS)).map(lambda name: f'"{name}"')
several = st.lists(principals, min_size=2, max_size=3)
licensees = st.one_of(
    principals,
    principals,
    several.map(" || ".join),
    several.map(" && ".join),
    several.map(lambda names: f"2-of({', '.join(names)})"),
    st.tuples(principals, several).map(lambda both: f"{both[0]} && ({' || '.join(both[1])})"),
)
authorizers = st.sampled_from(("POLICY", "POLICY", *HUBS, *KEYS[:1]))


@st.composite
def texts(draw: st.DrawFn, *, rare: bool = False) -> str:
    trusted = draw(licensees)
    if rare and draw(st.integers(0, 9)) == 0:
        trusted = draw(st.sampled_from(("", "from_domain", '"xmpp:" . from_domain')))
    author = f'"{draw(authorizers)}"'
    conditioned = draw(st.none() | conditions | conditions | conditions | conditions)
    constants = 'Local-Constants: Last = "20261122"\n' if conditioned and "Last" in conditioned else ""
    field_of = f"Licensees: {trusted}\n" if trusted else ""
    return f"{constants}Authorizer: {author}\n{field_of}{conditioned or ''}"


def admitted(text: str) -> Admitted:
    return admit(text.encode(), policy=True)


# -- what is believed, kept the slow way ---------------------------------------------------------------


@dataclass
class World:
    held: dict[bytes, Admitted]
    members: dict[str, Member]
    now: datetime = NOW
    withdrawn: set[bytes] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    below: set[str] = field(default_factory=set)

    def snapshot(self) -> Snapshot:
        policies = {FEDERATE: self.held.values()}
        return Snapshot.of(policies, (), withdrawn=self.withdrawn, revoked=self.revoked, below=self.below)

    def judged(self, audience: str, now: datetime | None = None) -> dict[str, Judged]:
        snapshot, now = self.snapshot(), now or self.now
        return {
            domain: judge(request_about(domain, each.keys, audience), snapshot, SCALE, now=now) for domain, each in self.members.items()
        }

    def rows(self, audience: str, now: datetime | None = None) -> dict[str, str]:
        return {domain: each.level for domain, each in self.judged(audience, now).items() if each.level != "deny"}

    def flaws(self, audience: str) -> dict[str, str]:
        return {domain: each.reason.code for domain, each in self.judged(audience).items() if each.reason}


def check(book: LevelBook, world: World) -> None:
    for audience in AUDIENCES:
        assert book.rows(audience) == world.rows(audience)
        assert {domain: flaw.code for domain, flaw in book.flaws(audience).items()} == world.flaws(audience)
    until = book.stable_until
    for instant in INSTANTS:
        if world.now < instant and (until is None or instant < until):
            assert {audience: world.rows(audience, instant) for audience in AUDIENCES} == {each: book.rows(each) for each in AUDIENCES}


def told(book: LevelBook, before: dict[str, dict[str, str]], deltas: dict[str, Delta]) -> None:
    for audience, rows in before.items():
        after = {**rows, **deltas[audience].changed} if audience in deltas else rows
        gone = deltas[audience].unset if audience in deltas else ()
        assert {domain: level for domain, level in after.items() if domain not in gone} == book.rows(audience)


members = st.lists(
    st.builds(Member, st.sampled_from(DOMAINS), st.lists(st.sampled_from(KEYS), max_size=2, unique=True).map(tuple)),
    max_size=4,
    unique_by=lambda member: member.domain,
)
worlds = st.builds(
    lambda found, enrolled: World({each.id: each for each in map(admitted, found)}, {each.domain: each for each in enrolled}),
    st.lists(texts(), min_size=1, max_size=7),
    members.filter(bool),
)
rare_worlds = st.builds(
    lambda found, enrolled: World({each.id: each for each in map(admitted, found)}, {each.domain: each for each in enrolled}),
    st.lists(texts(rare=True), min_size=1, max_size=5),
    members.filter(bool),
)


@given(worlds, st.sampled_from((1, 32)))
def test_levels_of_all_are_those_of_each(world: World, swept: int) -> None:
    check(LevelBook(world.snapshot(), world.members.values(), SCALE, now=world.now, swept=swept), world)


@given(rare_worlds, st.integers(0, 3))
def test_whatever_is_unusual_takes_the_ordinary_path(world: World, days: int) -> None:
    book = LevelBook(world.snapshot(), world.members.values(), SCALE, now=world.now)
    check(book, world)
    world.now += timedelta(days=days)
    book.advance(world.now)
    check(book, world)


STEPS = ("add", "withdraw", "revoke", "below", "later", "until", "enrol", "leave", "believe")


@given(worlds, st.data())
def test_after_every_change_they_are_those_of_each(world: World, data: st.DataObject) -> None:
    book = LevelBook(world.snapshot(), world.members.values(), SCALE, now=world.now)
    check(book, world)
    for _ in range(data.draw(st.integers(1, 4))):
        before = {audience: book.rows(audience) for audience in AUDIENCES}
        told(book, before, step(book, world, data))
        check(book, world)


def step(book: LevelBook, world: World, data: st.DataObject) -> dict[str, Delta]:
    match data.draw(st.sampled_from(STEPS)):
        case "add":
            more = [admitted(text) for text in data.draw(st.lists(texts(), max_size=2))]
            world.held |= {each.id: each for each in more}
            return book.change(Change(added=[each for each in more if each.id not in world.withdrawn]), now=world.now)
        case "withdraw":
            gone = [each for each in sorted(world.held) if data.draw(st.integers(0, 2)) == 0]
            world.withdrawn |= set(gone)
            return book.change(Change(withdrawn=gone), now=world.now)
        case "revoke":
            name = data.draw(st.sampled_from((*HUBS, *KEYS, "xmpp:a.example")))
            world.revoked.add(name)
            return book.change(Change(revoked=[name]), now=world.now)
        case "below":
            name = data.draw(st.sampled_from((*HUBS, *KEYS)))
            world.below.add(name)
            return book.change(Change(below=[name]), now=world.now)
        case "later":
            world.now += timedelta(seconds=data.draw(st.sampled_from((1, 2, 43_200, 86_400))))
            return book.advance(world.now)
        case "until":
            world.now = book.stable_until or world.now
            return book.advance(world.now)
        case "enrol":
            more_members = data.draw(members)
            world.members |= {each.domain: each for each in more_members}
            return book.enrol(more_members, now=world.now)
        case "leave":
            gone_members = data.draw(st.lists(st.sampled_from(DOMAINS), max_size=2, unique=True))
            world.members = {name: each for name, each in world.members.items() if name not in gone_members}
            return book.enrol(left=gone_members, now=world.now)
        case _:
            kept = [each for each in sorted(world.held) if data.draw(st.booleans())]
            more = [admitted(text) for text in data.draw(st.lists(texts(), max_size=2))]
            world.held = {each.id: each for each in (*(world.held[each] for each in kept), *more)}
            world.withdrawn, world.revoked, world.below = set(), set(data.draw(st.sets(st.sampled_from(HUBS), max_size=1))), set()
            return book.believe(world.snapshot(), now=world.now)
