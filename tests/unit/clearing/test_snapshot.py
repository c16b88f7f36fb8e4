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
    }
    assert len(versions) == 9


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
