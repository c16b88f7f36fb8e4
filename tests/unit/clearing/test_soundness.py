"""The search for the strongest proof without a flaw."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clearinghouse.clearing.soundness import _ATTEMPTS, EVERYBODY, PROBES, Less, Reason, soundest
from clearinghouse.keynote import Admitted, Assertions, Proof, admit
from clearinghouse.keynote.octets import octets_to_bytes
from tests.world import assertion

VALUES = ("deny", "ask", "allow")
FLAW = Reason("flaw", "as was wanted")


class Query:
    """Queries about *assertions*, counted."""

    def __init__(self, *assertions: Admitted) -> None:
        self.assertions = Assertions(policies=assertions)
        self.asked: list[Less] = []

    def __call__(self, less: Less) -> Proof:
        self.asked.append(less)
        fewer = self.assertions.without(
            (each for each in less if isinstance(each, bytes)), principals=(each for each in less if isinstance(each, str))
        )
        return fewer.query(authorizers=["x:ann", "x:bob"], action={}, values=VALUES)


def policy(to: str, value: str = "allow", comment: str = "", by: str = "POLICY") -> Admitted:
    return admit(assertion(by, to, "true", value, comment=comment), policy=True)


def flawed(*comments: str) -> Callable[[Proof], Reason | None]:
    """Return a judge that finds a flaw in every proof that rests on an assertion with one of these comments."""

    def flaw_of(proof: Proof) -> Reason | None:
        texts = [carrier.raw for _, carrier in proof.settled.values() if carrier]
        return FLAW if any(text.startswith(f"Comment: {comment}".encode()) for comment in comments for text in texts) else None

    return flaw_of


def test_a_sound_proof_is_found_at_once() -> None:
    query = Query(policy("x:ann"))
    proven = soundest(query, flawed("nothing"))
    assert (proven.proof.value, proven.flaw, query.asked) == ("allow", None, [EVERYBODY])


def test_where_nothing_is_proven_nothing_is_flawed() -> None:
    query = Query(policy("x:eve"))
    proven = soundest(query, flawed("a"))
    assert (proven.proof.value, proven.flaw, len(query.asked)) == ("deny", None, 1)


def test_the_only_proof_and_its_flaw_are_told() -> None:
    proven = soundest(Query(policy("x:ann", comment="a")), flawed("a"))
    assert (proven.proof.value, proven.flaw) == ("allow", FLAW)
    assert proven.proof.chain


def test_an_equal_value_is_found_by_another_way() -> None:
    proven = soundest(Query(policy("x:ann", comment="a"), policy("x:hub"), policy("x:ann", by="x:hub")), flawed("a"))
    assert (proven.proof.value, proven.flaw, len(proven.proof.chain)) == ("allow", None, 2)


def test_a_weaker_value_is_better_than_a_flaw() -> None:
    proven = soundest(Query(policy("x:ann", comment="a"), policy("x:ann", "ask")), flawed("a"))
    assert (proven.proof.value, proven.flaw) == ("ask", None)


def test_a_stronger_sound_value_is_found_before_a_weaker_one() -> None:
    held = (policy("x:ann", comment="a"), policy("x:ann", "ask"), policy("x:bob", comment="b"), policy("x:bob", comment="c"))
    assert soundest(Query(*held), flawed("a", "b")).proof.value == "allow"


def test_the_same_assertion_may_count_for_another_requester() -> None:
    def ann_is_foreign(proof: Proof) -> Reason | None:
        return FLAW if any("x:ann" in link.licensees for link in proof.chain) else None

    either = admit(b'Authorizer: "POLICY"\nLicensees: "x:ann" || "x:bob"\n', policy=True)
    proven = soundest(Query(either), ann_is_foreign)
    assert proven.flaw is None
    assert proven.proof.chain[0].licensees == ("x:bob",)


def test_what_was_left_out_on_the_way_is_not_told_as_revoked() -> None:
    proven = soundest(Query(policy("x:ann", comment="a"), policy("x:ann", "ask")), flawed("a"))
    assert {each.reason for each in proven.proof.skipped} <= {"licensees-not-met"}
    assert not proven.proof.held.withdrawn


def test_the_search_ends() -> None:
    query = Query(*(policy(to, comment=f"a{n}") for n in range(40) for to in ("x:ann", "x:bob")))
    assert soundest(query, flawed("a")).flaw == FLAW
    assert len(query.asked) <= 1 + 3 * _ATTEMPTS


def test_the_answer_does_not_depend_on_the_order_of_hashes() -> None:
    held = [policy("x:ann", comment=f"{'ab'[n % 2]}{n}") for n in range(6)]
    chains = [soundest(Query(*held), flawed("a")).proof.chain for _ in range(3)]
    assert chains[0] == chains[1] == chains[2]
    assert chains[0][0].id == held[1].name


@pytest.mark.parametrize("probe", PROBES)
def test_probes_are_octets_that_nobody_writes(probe: str) -> None:
    assert octets_to_bytes(probe)
    assert not any(character.isalnum() and character.isascii() for character in probe)
    assert not probe.isprintable() or not probe.isascii()


def test_probes_stand_at_both_ends_of_every_order() -> None:
    low, high = PROBES
    written = ["\t", "0", "a", "~", "\xf4\x8f"]
    assert sorted([high, *written, low]) == [low, *written, high]
