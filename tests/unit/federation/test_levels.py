"""Levels of members: what a table may rest on, whom each audience sees, and what a change tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.errors import BadSettings, MalformedRequest
from clearinghouse.federation.levels.advice import only_live
from clearinghouse.federation.levels.book import Change, LevelBook, Scale, request_about
from clearinghouse.federation.published.deltas import Delta
from clearinghouse.keynote import Admitted, admit
from tests.world import NOON, assertion, key, signed

SCALE = Scale("net", ("deny", "level-1", "level-2"))
FEDERATE = 'operation == "federate"'


@dataclass(frozen=True)
class Member:
    domain: str
    keys: tuple[str, ...] = ()


A, B = Member("a.example"), Member("b.example")


def policy(to: str, where: str = FEDERATE, value: str = "level-1") -> Admitted:
    return admit(assertion("POLICY", to, where, value), policy=True)


def member(domain: str, by: str = "hub", where: str = "true", until: str = "") -> Admitted:
    return admit(signed(by, domain, f'{FEDERATE} && from_domain == "{domain}" && {where}', until=until))


def asked(levels: LevelBook) -> LevelBook:
    """Return the book after it was asked once: it tells of audiences that somebody wants to know about."""
    levels.rows()
    return levels


def book(policies: Iterable[Admitted], credentials: Iterable[Admitted] = (), members: Iterable[Member] = (A, B), **of: object) -> LevelBook:
    snapshot = Snapshot.of({"federate": policies}, credentials, **of)  # type: ignore[arg-type]
    return LevelBook(snapshot, members, SCALE, now=NOON)


class _Nowhere:
    highest_time: datetime | None = None

    async def record(self, decision: object) -> None: ...

    async def carry_out(self, enforcement: object) -> None: ...


# -- what a level is -----------------------------------------------------------------------------------


def test_a_level_is_what_the_clearinghouse_decides_at_the_table_door() -> None:
    policies = [policy("hub"), policy("hub", f'{FEDERATE} && to_domain == "b.example"', "level-2"), policy("hub", 'tls_version == ""')]
    snapshot = Snapshot.of({"federate": policies}, [member("a.example"), member("b.example", until="20260101")])
    levels = LevelBook(snapshot, [A, B], SCALE, now=NOON)
    desk = Desk("net", snapshot, _Nowhere(), _Nowhere(), new_id=lambda: "1", levels=SCALE.levels)
    for audience in ("*", "a.example", "b.example"):
        for each in (A, B):
            decision = rule(request_about(each.domain, each.keys, audience), desk, now=NOON)
            assert levels.level(each.domain, audience) == decision.value
    assert levels.rows() == {"a.example": "level-1"}
    assert levels.rows("b.example") == {"a.example": "level-2"}


def test_rows_are_above_the_lowest_level_and_of_members_only() -> None:
    levels = book([policy("hub")], [member("a.example"), member("c.example")])
    assert levels.rows() == {"a.example": "level-1"}
    assert levels.level("c.example") == "deny"


def test_a_key_of_the_record_counts_as_the_member() -> None:
    licensed = admit(signed("hub", "agent", f'{FEDERATE} && from_domain == "a.example"'))
    assert book([policy("hub")], [licensed]).rows() == {}
    assert book([policy("hub")], [licensed], [Member("a.example", (key("agent").principal,))]).rows() == {"a.example": "level-1"}


def test_a_key_that_two_members_share_speaks_for_each_by_its_own_name() -> None:
    shared = (key("agent").principal,)
    levels = book([policy("hub")], [admit(signed("hub", "agent", FEDERATE))], [Member("a.example", shared), Member("b.example", shared)])
    assert levels.rows() == {"a.example": "level-1", "b.example": "level-1"}


def test_a_record_cannot_name_another_server_as_a_key() -> None:
    thief = Member("b.example", ("xmpp:a.example",))
    levels = book([policy("hub")], [member("a.example", where="true"), admit(signed("hub", "a.example", FEDERATE))], [A, thief])
    assert levels.rows() == {"a.example": "level-1"}
    assert levels.flaws()["b.example"].code == "foreign-requester"


@pytest.mark.parametrize("bad", [Member("*.example"), Member("a.example", ("POLICY",)), Member("a.example", ("ed25519-hex:00",))])
def test_whom_nobody_can_ask_about_has_the_lowest_level_and_a_reason(bad: Member) -> None:
    levels = book([policy("hub")], [member("a.example")], [bad])
    assert levels.rows() == {}
    assert bad.domain in levels.flaws()


def test_no_policy_gives_no_level() -> None:
    assert book([], [member("a.example")]).rows() == {}
    assert book([], []).stable_until is None


def test_levels_are_a_scale() -> None:
    for levels in ((), ("deny",), ("deny", "x", "x")):
        with pytest.raises(BadSettings, match="no levels"):
            LevelBook(Snapshot.of({}, ()), [], Scale("net", levels), now=NOON)
    with pytest.raises(MalformedRequest):
        book([policy("hub")]).rows("no domain")


# -- facts of a live session ---------------------------------------------------------------------------

LIVE = policy("hub", f'{FEDERATE} && tls_version != "1.2"', "level-2")


def test_what_reads_a_live_session_counts_in_no_table_and_the_rest_does() -> None:
    levels = book([policy("hub"), LIVE], [member("a.example")])
    assert levels.rows() == {"a.example": "level-1"}
    alone = book([LIVE], [member("a.example")])
    assert alone.rows() == {}
    assert alone.flaws()["a.example"].code == "fact-missing"
    judged = alone.judge("a.example")
    assert (judged.level, judged.proven is not None) == ("deny", True)


def test_what_reads_a_live_session_is_named() -> None:
    some = policy("hub", f'{FEDERATE} -> "level-1"; {FEDERATE} && auth_method == "external" && tls_version == "1.3" -> "level-2";', "")
    (first, second) = only_live([policy("hub"), LIVE, some, member("a.example")])
    assert (first.clauses, first.names, first.all_of_it) == ((1,), ("tls_version",), True)
    assert (second.clauses, second.names, second.all_of_it) == ((2,), ("auth_method", "tls_version"), False)
    assert first.sentence() == "nothing that it says counts in a table: it reads `tls_version`, which only a live connection has"
    assert "its clause 2 says" in second.sentence()


# -- changes -------------------------------------------------------------------------------------------


def test_a_credential_comes_and_goes() -> None:
    levels = book([policy("hub")])
    assert levels.rows() == {}
    come = levels.change(Change(added=[member("a.example")]), now=NOON)
    assert come == {"*": Delta({"a.example": "level-1"})}
    assert levels.change(Change(added=[member("a.example")]), now=NOON) == {}
    assert levels.change(Change(withdrawn=[member("a.example").id]), now=NOON) == {"*": Delta({}, ("a.example",))}
    assert levels.change(Change(withdrawn=[b"?"]), now=NOON) == {}


def test_a_registrar_is_revoked_and_stays_so() -> None:
    levels = asked(book([policy("hub"), policy("other")], [member("a.example"), member("b.example", by="other")]))
    assert levels.change(Change(revoked=[key("hub").principal]), now=NOON) == {"*": Delta({}, ("a.example",))}
    assert levels.change(Change(added=[member("a.example", where='date > "2000"')]), now=NOON) == {}


def test_all_that_somebody_says_is_revoked_also_what_is_said_later() -> None:
    levels = asked(book([policy("hub")], [member("a.example")]))
    assert levels.change(Change(below=[key("hub").principal]), now=NOON) == {"*": Delta({}, ("a.example",))}
    assert levels.change(Change(added=[member("b.example")]), now=NOON) == {}


def test_a_member_joins_changes_its_keys_and_leaves() -> None:
    levels = book([policy("hub")], [member("b.example"), admit(signed("hub", "agent", FEDERATE))], [A])
    assert levels.rows() == {}
    assert levels.enrol([B], now=NOON) == {"*": Delta({"b.example": "level-1"})}
    assert levels.enrol([Member("a.example", (key("agent").principal,))], now=NOON) == {"*": Delta({"a.example": "level-1"})}
    assert levels.enrol([A], left=["b.example"], now=NOON) == {"*": Delta({}, ("a.example", "b.example"))}


def test_a_whole_snapshot_is_believed_and_forgotten() -> None:
    levels = book([policy("hub")], [member("a.example")], revoked=["x"])
    other = Snapshot.of({"federate": [policy("hub", value="level-2")]}, [member("b.example")])
    assert levels.rows() == {"a.example": "level-1"}
    assert levels.believe(other, now=NOON) == {"*": Delta({"b.example": "level-2"}, ("a.example",))}
    assert levels.believe(other, now=NOON) == {}


def test_what_the_desk_signs_makes_no_level() -> None:
    levels = book([policy("hub"), policy("desk")], [member("a.example"), member("b.example", by="desk")], desk=key("desk").principal)
    assert levels.rows() == {"a.example": "level-1"}


def test_each_audience_is_told_what_changes_for_it() -> None:
    levels = book([policy("hub", f'{FEDERATE} && to_domain != "b.example"')])
    assert levels.pairwise
    assert not book([policy("hub")], [member("a.example")]).pairwise
    assert (levels.rows(), levels.rows("b.example")) == ({}, {})
    assert levels.change(Change(added=[member("a.example")]), now=NOON) == {"*": Delta({"a.example": "level-1"})}
    levels.forget("*")
    assert levels.audiences == ("b.example",)


# -- the clock -----------------------------------------------------------------------------------------


def test_a_level_changes_at_the_second_that_a_condition_names_and_not_before() -> None:
    levels = book([policy("hub")], [member("a.example", where='time >= "20261120183000"', until="20261122")])
    begins, ends = datetime(2026, 11, 20, 18, 30, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    assert (levels.rows(), levels.stable_until) == ({}, begins)
    assert levels.advance(begins - timedelta(microseconds=1)) == {}
    assert levels.advance(begins) == {"*": Delta({"a.example": "level-1"})}
    assert levels.stable_until == ends
    assert levels.advance(ends) == {"*": Delta({}, ("a.example",))}
    assert levels.stable_until is None


def test_a_clock_that_goes_back_gives_what_was_then() -> None:
    levels = asked(book([policy("hub")], [member("a.example", until="20261122")]))
    assert levels.advance(NOON + timedelta(days=9)) == {"*": Delta({}, ("a.example",))}
    assert levels.advance(NOON) == {"*": Delta({"a.example": "level-1"})}


def test_the_end_of_a_policy_is_seen_as_well_as_that_of_a_membership() -> None:
    levels = book([policy("hub", f'{FEDERATE} && date < "20261121"')], [member("a.example")])
    assert levels.rows() == {"a.example": "level-1"}
    assert levels.stable_until == datetime(2026, 11, 21, tzinfo=UTC)
    assert levels.advance(datetime(2026, 11, 21, tzinfo=UTC)) == {"*": Delta({}, ("a.example",))}
