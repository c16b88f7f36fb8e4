"""R11 for tables: nobody connects when one is made, so nothing in it rests on how somebody does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Reason
from clearinghouse.federation.levels.advice import LIVE, only_live
from clearinghouse.federation.levels.book import LevelBook, Scale
from clearinghouse.keynote import Admitted, admit
from tests.world import NOON, assertion, plain

SCALE = Scale("net", ("deny", "level-1", "level-2"))


@dataclass(frozen=True)
class Member:
    domain: str = "a.example"
    keys: tuple[str, ...] = ()


def policy(where: str, value: str) -> Admitted:
    return admit(assertion("POLICY", "a.example", f'operation == "federate" && from_domain == "a.example" && {where}', value), policy=True)


def book(*policies: Admitted) -> LevelBook:
    return LevelBook(Snapshot.of({"federate": policies}, ()), [Member()], SCALE, now=NOON)


def test_the_hole() -> None:
    """KeyNote reads what nobody has set as the empty text, which is not `1.2`."""
    held = [assertion("POLICY", "a.example", 'tls_version != "1.2"', "level-2")]
    assert plain(held, "a.example", {}, SCALE.levels).value == "level-2"


@pytest.mark.parametrize("name", sorted(LIVE))
def test_a_policy_that_reads_a_live_session_makes_no_row(name: str) -> None:
    live = policy(f'{name} != "x"', "level-2")
    levels = book(live)
    assert levels.rows() == {}
    assert levels.flaws()["a.example"].code == "fact-missing"
    assert f"`{name}`" in levels.flaws()["a.example"].text
    (advice,) = only_live([live])
    assert advice.names == (name,)


@pytest.mark.parametrize("name", sorted(LIVE))
def test_and_takes_away_none_that_another_policy_makes(name: str) -> None:
    levels = book(policy(f'{name} != "x"', "level-2"), policy("true", "level-1"))
    assert (levels.rows(), levels.flaws()) == ({"a.example": "level-1"}, dict[str, Reason]())


def test_only_what_is_read_counts_as_read() -> None:
    """The test that holds stands first, so the other is not asked."""
    levels = book(policy('(from_domain == "a.example" || tls_version == "1.3")', "level-2"))
    assert levels.rows() == {"a.example": "level-2"}
