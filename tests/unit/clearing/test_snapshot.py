"""What is believed at one moment, and its name."""

from __future__ import annotations

from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import GROUPS
from clearinghouse.keynote import admit
from tests.world import assertion, signed, who

POLICY = admit(assertion("POLICY", "hub", 'operation == "subscribe"'), policy=True)
CREDENTIAL, OTHER = admit(signed("hub", "ann")), admit(signed("hub", "bob"))


def test_equal_contents_have_equal_versions_whatever_their_order() -> None:
    one = Snapshot.of({"topics": [POLICY]}, [CREDENTIAL, OTHER], revoked=["x", "y"], shared=["s", "t"])
    other = Snapshot.of({"topics": [POLICY]}, [OTHER, CREDENTIAL], revoked=["y", "x"], shared=["t", "s"])
    assert one.version == other.version


def test_everything_that_can_change_an_answer_changes_the_version() -> None:
    versions = {
        Snapshot.of({}, ()).version,
        Snapshot.of({"topics": [POLICY]}, ()).version,
        Snapshot.of({"people": [POLICY]}, ()).version,
        Snapshot.of({}, [CREDENTIAL]).version,
        Snapshot.of({}, [OTHER]).version,
        Snapshot.of({}, [CREDENTIAL, OTHER]).version,
        Snapshot.of({}, [CREDENTIAL], withdrawn=[CREDENTIAL.id]).version,
        Snapshot.of({}, [CREDENTIAL], revoked=["x"]).version,
        Snapshot.of({}, [CREDENTIAL], shared=["x"]).version,
        Snapshot.of({}, [CREDENTIAL], below=["x"]).version,
        Snapshot.of({}, [CREDENTIAL], desk="x").version,
        Snapshot.of({}, [CREDENTIAL], below=["x"], desk="y").version,
        Snapshot.of({}, [CREDENTIAL], below=["x", "y"]).version,
        Snapshot.of({}, [CREDENTIAL], below=["xy"]).version,
    }
    assert len(versions) == 14


def test_a_snapshot_without_desk_and_without_anything_below_has_the_version_that_it_always_had() -> None:
    """Archives of earlier releases are found by it."""
    held = Snapshot.of({"topics": [POLICY]}, [CREDENTIAL], shared=["x"])
    assert held.version == "5349fb46856bcaa8ace1be3aef7bebfe7b13c66d50a2d1636dd9a113eaaa65ee"


def test_what_the_desk_has_signed_is_seen_by_second_queries_only() -> None:
    approval = admit(signed("desk", "ann"))
    by_hand = admit(assertion("desk", "bob", 'operation == "subscribe"'), policy=True)
    held = Snapshot.of(
        {"topics": [POLICY, by_hand]}, [CREDENTIAL, approval], desk=who("desk").upper().replace("ED25519-HEX", "ed25519-hex")
    )
    assert list(held.assertions("topics")) == [POLICY, CREDENTIAL]
    assert set(held.approved("topics")) == {POLICY, CREDENTIAL, approval, by_hand}
    without = Snapshot.of({"topics": [POLICY, by_hand]}, [CREDENTIAL, approval])
    assert set(without.assertions("topics")) == set(without.approved("topics")) == set(held.approved("topics"))


def test_all_groups_share_one_index_of_the_credentials() -> None:
    policies = {"topics": [POLICY], "whitelist": [admit(assertion("POLICY", "hub"), policy=True)]}
    held = Snapshot.of(policies, [CREDENTIAL, OTHER], desk=who("desk"))
    proofs = [
        assertions.query(authorizers=["x"], action={}, values=["deny", "allow"])
        for group in policies
        for assertions in (held.assertions(group), held.approved(group))
    ]
    shared = {id(layer) for proof in proofs for layer in proof.held.layers if CREDENTIAL in set(layer)}
    assert len(shared) == 1


def test_all_that_somebody_has_delegated_is_taken_away_and_they_are_not() -> None:
    by_hub = admit(assertion("hub", "cem", 'operation == "subscribe"'), policy=True)
    theirs = admit(signed("sector", "ann"))
    held = Snapshot.of({"topics": [POLICY, by_hub]}, [CREDENTIAL, theirs], below=[who("hub")])
    assert list(held.assertions("topics")) == [POLICY, theirs]
    assert list(held.muted([CREDENTIAL, theirs])) == [CREDENTIAL.id]


def test_what_is_given_once_only_counts_for_content_and_version() -> None:
    """A generator can be read only once."""
    lists = Snapshot.of({"topics": [POLICY]}, [CREDENTIAL], withdrawn=[OTHER.id], revoked=["x"])
    once = Snapshot.of({"topics": iter([POLICY])}, iter([CREDENTIAL]), withdrawn=iter([OTHER.id]), revoked=iter(["x"]))
    assert once.version == lists.version
    assert list(once.assertions("topics")) == list(lists.assertions("topics")) == [POLICY, CREDENTIAL]


def test_every_group_with_policies_of_its_own_has_all_credentials_too() -> None:
    snapshot = Snapshot.of({"topics": [POLICY]}, [CREDENTIAL])
    assert {group: list(snapshot.assertions(group)) for group in GROUPS} == {
        group: [POLICY, CREDENTIAL] if group == "topics" else [] for group in GROUPS
    }


def test_an_unknown_group_has_nothing() -> None:
    assert not list(Snapshot.of({"topics": [POLICY]}, [CREDENTIAL]).assertions("topic"))


def test_the_sensitive_groups_know_whom_others_license() -> None:
    snapshot = Snapshot.of({"topics": [POLICY], "people": [admit(assertion("POLICY", "boss"), policy=True)]}, [CREDENTIAL])
    assert snapshot.elsewhere("people") == {who("hub")}
    assert snapshot.elsewhere("publish") == {who("hub"), who("boss")}
    assert snapshot.elsewhere("topics") == frozenset()
    assert (
        Snapshot.of({"topics": [POLICY]}, (), shared=[who("hub").upper().replace("ED25519-HEX", "ed25519-hex")]).elsewhere("people")
        == frozenset()
    )
