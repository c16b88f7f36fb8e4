"""The attacks of The Update Framework on published documents: each is refused under its own code, and the last good state stays.

`docs/explanation/table-threats.md` has a row for each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clearinghouse.clearing.dsse import MEMBER, REVOCATIONS, ROOT, TABLE, TIMESTAMP, opened, seal
from clearinghouse.clearing.wire import canonical
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published import members, revocations, roots, tables
from clearinghouse.federation.published.documents import (
    MAX_DELTA_BYTES,
    MAX_HEAD_BYTES,
    MAX_REVOCATIONS_BYTES,
    MAX_ROOT_BYTES,
    MAX_VERSION,
    digest,
    joined,
)
from clearinghouse.federation.roles.ceremonies import Keyholders
from clearinghouse.federation.trust.trusted import Standing, Trusted
from tests.presses import MINUTE, NOW, key, made, member, plan, sealed, who
from tests.unit.federation.net import NAMES, NEW, OLD, Net, rows


@pytest.fixture
def net() -> Net:
    return Net()


# -- rollback ----------------------------------------------------------------------------------------------


def test_nothing_is_refused_where_nobody_attacks(net: Net) -> None:
    assert net.update() == ()
    assert rows(net) == NEW
    assert net.trusted.members["a.example"].note == "moved"
    assert net.trusted.standing(net.press.now) is Standing.FRESH


def test_rollback_of_the_timestamp(net: Net) -> None:
    assert net.update() == ()
    net.documents["community/timestamp"] = net.before["community/timestamp"]
    assert net.update() == ("timestamp-rollback",)
    assert rows(net) == NEW


def test_rollback_of_the_table_replayed_under_the_new_timestamp(net: Net) -> None:
    net.only_whole()
    net.documents["community/table/2"] = net.before["community/table/1"]
    assert net.update() == ("table-rollback",)
    assert rows(net) == OLD
    assert net.trusted.standing(net.press.now) is Standing.STALE


def test_rollback_of_the_table_by_whoever_has_both_keys(net: Net) -> None:
    assert net.update() == ()
    net.heads(version=1, previous="", delta="")
    assert net.update() == ("timestamp-rollback",)


@pytest.mark.parametrize("changed", [{"version": 1}, {"revocations": 1}, {"issued": NOW}], ids=str)
def test_rollback_by_whoever_has_the_timestamp_key(net: Net, changed: dict[str, Any]) -> None:
    assert net.update() == ()
    net.stamps(**changed)
    assert net.update() == ("timestamp-rollback",)


def test_rollback_of_revocations(net: Net) -> None:
    net.documents["revocations/2"] = net.before["revocations/1"]
    assert net.update() == ("revocations-rollback",)
    assert net.trusted.revocations is not None
    assert net.trusted.revocations.version == 1
    assert net.trusted.standing(net.press.now) is Standing.STALE, "no new grants while revocations are missing"


@pytest.mark.parametrize("kind", ["principals", "credentials", "below"])
def test_a_later_set_that_undoes_a_revocation(net: Net, kind: str) -> None:
    """Whoever has the revoker's key cannot bring a stolen key back (rule R15)."""
    net.press.revokes(*who("lost"), credentials=("ab" * 32,), below=who("lost"))
    net.press.prints()
    assert net.update() == ()
    left = {"credentials": net.press.revoked.credentials, "principals": net.press.revoked.principals, "below": net.press.revoked.below}
    left[kind] = ()
    net.press.revoked = replace(net.press.revoked, credentials=left["credentials"], principals=left["principals"], below=left["below"])
    net.press.revokes()
    net.press.prints()
    assert net.update() == ("revocations-rollback",)


def test_a_name_may_be_lifted(net: Net) -> None:
    net.press.revokes("xmpp:ann@a.example")
    net.press.prints()
    assert net.update() == ()
    net.press.revoked = replace(net.press.revoked, principals=who("old-key"))
    net.press.revokes()
    net.press.prints()
    assert net.update() == ()


def test_rollback_of_a_member(net: Net) -> None:
    """Whoever has the timestamp key brings a registrar's old record back."""
    assert net.update() == ()
    net.press.enrols(member("a.example"))
    net.press.prints()
    assert net.update() == ("member-rollback",)
    assert net.trusted.members["a.example"].serial == 2


def test_rollback_of_a_member_that_had_left_the_list(net: Net) -> None:
    assert net.update() == ()
    taken = net.press.members.pop("a.example")
    net.press.prints()
    assert net.update() == ()
    assert "a.example" not in net.trusted.members
    net.press.enrols(member("a.example"))
    net.press.prints()
    assert net.update() == ("member-rollback",)
    net.press.members["a.example"] = taken
    net.press.prints()
    assert net.update() == ()


# -- freeze ------------------------------------------------------------------------------------------------


def test_freeze_of_the_timestamp(net: Net) -> None:
    net.press.documents = net.before
    assert net.update(11 * MINUTE) == ("timestamp-expired",)
    assert rows(net) == OLD
    assert net.trusted.standing(net.press.now + 11 * MINUTE) is Standing.STALE
    assert net.trusted.standing(net.press.now + timedelta(days=8)) is Standing.EXPIRED


def test_freeze_of_the_table(net: Net) -> None:
    """A timestamp is renewed for ever, the table that it names never."""
    net.only_whole()
    later = timedelta(days=8)
    net.stamps(issued=net.press.now + later, expires=net.press.now + later + MINUTE)
    assert "table-expired" in net.update(later)
    assert net.trusted.standing(net.press.now + later) is Standing.EXPIRED


def test_freeze_of_the_revocation_set(net: Net) -> None:
    assert net.update() == ()
    net.press.prints(NEW, days=60)
    net.press.stamps(minutes=60)
    later = timedelta(days=7, minutes=1)
    net.stamps(issued=net.press.now + later, expires=net.press.now + later + MINUTE)
    assert net.update(later) == ()
    assert net.trusted.standing(net.press.now + later) is Standing.STALE, "the set that is held has expired"


def test_freeze_of_an_expired_revocation_set(net: Net) -> None:
    later = timedelta(days=7, minutes=1)
    net.stamps(issued=net.press.now + later, expires=net.press.now + later + MINUTE)
    assert net.update(later)[0] == "revocations-expired"


def test_freeze_of_the_root(net: Net) -> None:
    later = timedelta(days=366)
    net.stamps(issued=net.press.now + later, expires=net.press.now + later + MINUTE)
    assert net.update(later) == ("root-expired",)


def test_a_timestamp_that_would_freeze_for_a_year(net: Net) -> None:
    net.stamps(expires=NOW + timedelta(days=300))
    assert net.update() == ("envelope-lives-too-long",)


# -- mix and match -----------------------------------------------------------------------------------------


def test_mix_and_match_of_a_table(net: Net) -> None:
    """The timestamp of one state, the table of a later one."""
    net.only_whole()
    older = net.documents["community/timestamp"]
    net.press.prints(OLD)
    net.documents["community/timestamp"] = older
    net.documents["community/table/2"] = net.documents["community/table/3"]
    assert net.update() == ("mixed-documents",)
    assert rows(net) == OLD


def test_mix_and_match_of_members(net: Net) -> None:
    net.documents[net.members_name] = next(raw for name, raw in net.before.items() if "/members/" in name)
    assert net.update() == ("mixed-documents",)
    assert net.trusted.members["a.example"].serial == 1


def test_mix_and_match_of_revocations(net: Net) -> None:
    older = net.documents["community/timestamp"]
    net.press.revokes(who("another")[0])
    net.documents.update({"community/timestamp": older, "revocations/2": net.documents["revocations/3"]})
    assert net.update() == ("mixed-documents",)


def test_a_timestamp_names_members_and_revocations_that_nobody_has(net: Net) -> None:
    net.stamps(members_digest="0" * 64)
    assert net.update() == ()
    assert net.trusted.standing(net.press.now) is Standing.STALE


# -- fast-forward ------------------------------------------------------------------------------------------


def test_fast_forward_and_recovery_by_epoch(net: Net) -> None:
    """Thieves of both keys publish the highest version that there is: the next epoch forgets it."""
    net.only_whole()
    net.heads(version=MAX_VERSION)
    net.documents[f"community/table/{MAX_VERSION}"] = net.documents["community/table/2"]
    assert net.update() == ()
    assert net.trusted.head is not None
    assert net.trusted.head.version == MAX_VERSION
    fresh = Keyholders(who("new-table")), Keyholders(who("new-timestamp"))
    net.press.crowns(made(plan(2, epoch=2, table=fresh[0], timestamp=fresh[1])))
    net.press.signers |= {"table": ("new-table",), "timestamp": ("new-timestamp",)}
    net.press.prints(NEW)
    assert net.update() == ()
    assert (net.trusted.head.epoch, net.trusted.head.version) == (2, 1)
    assert net.trusted.standing(net.press.now) is Standing.FRESH


def test_fast_forward_recovery_by_an_epoch_whose_table_cannot_be_fetched_yet_admits_nobody(net: Net) -> None:
    net.press.crowns(made(plan(2, epoch=2)))
    net.press.prints(NEW)
    del net.documents["community/table/1"]
    assert net.update() == ()
    assert rows(net) == {}
    assert net.trusted.standing(net.press.now) is Standing.EXPIRED


def test_what_is_of_an_older_epoch_is_over(net: Net) -> None:
    old = net.documents["community/timestamp"]
    net.press.crowns(made(plan(2, epoch=2)))
    net.press.prints(NEW)
    assert net.update() == ()
    net.documents["community/timestamp"] = old
    assert net.update() == ("wrong-epoch",)


# -- arbitrary software, stolen keys -----------------------------------------------------------------------

FORGED: dict[str, Callable[[Net, str], None]] = {
    "timestamp": lambda net, by: net.stamps(by=by),
    "table": lambda net, by: net.heads(by),
    "delta": lambda net, by: net.heads(by, document="delta"),
    "revocations": lambda net, by: net.documents.update(
        {"revocations/2": revocations.seal_revocations(net.press.revoked, [key(by)])},
    ),
}


def forge(net: Net, kind: str, by: str) -> None:
    """Put a document signed *by* somebody else there, and leave no other way to the new table."""
    for other in {"table": ("community/delta/2",), "delta": ("community/table/2",)}.get(kind, ()):
        del net.documents[other]
    FORGED[kind](net, by)


@pytest.mark.parametrize("kind", FORGED)
def test_arbitrary_documents_by_a_foreign_key(net: Net, kind: str) -> None:
    forge(net, kind, "mallory")
    assert net.update()[0] == "foreign-signer"
    if kind != "revocations":
        assert rows(net) == OLD


@pytest.mark.parametrize("kind", FORGED)
def test_a_role_key_signs_for_its_own_role_only(net: Net, kind: str) -> None:
    forge(net, kind, "registrar")
    assert net.update()[0] == "too-few-signers"


def test_arbitrary_members_by_a_foreign_key(net: Net) -> None:
    net.press.signers["registrar"] = ("mallory",)
    net.press.enrols(member("evil.example"))
    net.press.prints()
    assert net.update() == ("foreign-signer",)
    assert list(net.trusted.members) == ["a.example"]


@pytest.mark.parametrize("stolen", [("r1",), ("r1", "mallory"), ("mallory", "trudy")], ids="+".join)
def test_arbitrary_root_metadata(net: Net, stolen: tuple[str, ...]) -> None:
    """The new policy may license whom it wants: the old one has to allow it."""
    evil = made(plan(2, roots=Keyholders(who(*stolen))), stolen[:1])
    net.documents["root/2"] = sealed(evil, *stolen)
    net.stamps(root=2)
    assert net.update() == ("not-approved-by-old-roots", "root-behind")
    assert net.trusted.root.generation == 1


def test_new_roots_who_do_not_sign_themselves(net: Net) -> None:
    """Otherwise a mistyped key would lock everybody out for ever."""
    net.documents["root/2"] = sealed(made(plan(2, roots=Keyholders(who("x1", "x2"), 2)), ("x1", "x2")), "r1", "r2")
    net.stamps(root=2)
    assert net.update() == ("not-approved-by-new-roots", "root-behind")


def test_one_stolen_key_of_two() -> None:
    net = Net(table=("t1", "t2", "t3"))
    net.only_whole()
    honest = net.documents["community/table/2"]
    net.heads("t3")
    assert net.update() == ("too-few-signers",)
    assert rows(net) == OLD
    net.documents["community/table/2"] = honest
    assert net.update() == ()
    assert rows(net) == NEW


def test_one_stolen_key_of_two_and_the_timestamp_key() -> None:
    """What the timestamp named once it has to stand by; the table is safe all the same."""
    net = Net(table=("t1", "t2", "t3"))
    net.only_whole()
    honest = net.documents["community/table/2"], net.documents["community/timestamp"]
    net.heads("t3", count=99)
    assert net.update() == ("too-few-signers",)
    net.documents["community/table/2"], net.documents["community/timestamp"] = honest
    assert net.update() == ("equivocation",)
    assert rows(net) == OLD


def test_one_stolen_key_and_a_foreign_one_are_not_two() -> None:
    net = Net(table=("t1", "t2", "t3"))
    net.only_whole()
    net.heads("t3", "mallory")
    assert net.update() == ("too-few-signers",)


def test_one_signature_twice_is_not_two() -> None:
    net = Net(table=("t1", "t2", "t3"))
    net.only_whole()
    sealed_head, _, content = net.documents["community/table/2"].partition(b"\n")
    envelope = json.loads(sealed_head)
    envelope["signatures"] = [envelope["signatures"][0]] * 2
    net.documents["community/table/2"] = joined(canonical(envelope), content)
    assert net.update() == ("signed-twice",)


def test_two_of_three_suffice_also_when_a_third_signs() -> None:
    net = Net(table=("t1", "t2", "t3"))
    net.only_whole()
    net.heads("t1", "t2", "t3")
    assert net.update() == ()
    assert rows(net) == NEW


# -- envelopes ---------------------------------------------------------------------------------------------


def _without_signatures(envelope: dict[str, Any]) -> None:
    del envelope["signatures"]


def _emptied(envelope: dict[str, Any]) -> None:
    envelope["signatures"] = []


def _without_sig(envelope: dict[str, Any]) -> None:
    del envelope["signatures"][0]["sig"]


def _without_keyid(envelope: dict[str, Any]) -> None:
    del envelope["signatures"][0]["keyid"]


def _other_algorithm(envelope: dict[str, Any]) -> None:
    first = envelope["signatures"][0]
    first["sig"] = first["sig"].replace("sig-ed25519-hex", "sig-rsa-sha256-hex")


def _weak_algorithm(envelope: dict[str, Any]) -> None:
    first = envelope["signatures"][0]
    first["sig"] = first["sig"].replace("sig-ed25519-hex", "sig-rsa-sha1-hex")


def _of_somebody_else(envelope: dict[str, Any]) -> None:
    envelope["signatures"][0]["keyid"] = who("mallory")[0]


def _flipped(envelope: dict[str, Any]) -> None:
    first = envelope["signatures"][0]
    first["sig"] = first["sig"][:-1] + ("0" if first["sig"][-1] != "0" else "1")


SPOILED = {
    "signature-member-removed": (_without_signatures, "malformed-envelope"),
    "all-signatures-removed": (_emptied, "bad-signature"),
    "sig-removed": (_without_sig, "malformed-envelope"),
    "key-id-removed": (_without_keyid, "malformed-envelope"),
    "algorithm-changed": (_other_algorithm, "bad-signature"),
    "algorithm-weakened": (_weak_algorithm, "weak-key"),
    "signer-changed": (_of_somebody_else, "bad-signature"),
    "signature-changed": (_flipped, "bad-signature"),
}


@pytest.mark.parametrize("spoil, code", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("name", NAMES)
def test_spoiled_signatures(net: Net, name: str, spoil: Callable[[dict[str, Any]], None], code: str) -> None:
    if name == "table":
        net.only_whole()
    head, newline, content = net.documents[NAMES[name]].partition(b"\n")
    envelope = json.loads(head)
    spoil(envelope)
    net.documents[NAMES[name]] = canonical(envelope) + newline + content
    assert code in net.update()


@pytest.mark.parametrize("name", NAMES)
def test_whole_signature_removed(net: Net, name: str) -> None:
    """The bare payload, as if nobody had ever signed anything."""
    if name == "table":
        net.only_whole()
    head, newline, content = net.documents[NAMES[name]].partition(b"\n")
    envelope = json.loads(head)
    payload = opened(head, payload_type=envelope["payloadType"]).payload
    net.documents[NAMES[name]] = payload + newline + content
    assert "malformed-envelope" in net.update()


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_of_another_type(net: Net, name: str) -> None:
    """What the table key signed as something else is no table."""
    if name == "table":
        net.only_whole()
    head, newline, content = net.documents[NAMES[name]].partition(b"\n")
    envelope = json.loads(head)
    other = MEMBER if envelope["payloadType"] != MEMBER else TABLE
    payload = opened(head, payload_type=envelope["payloadType"]).payload
    net.documents[NAMES[name]] = seal(payload, other, [key("table")]) + newline + content
    assert "wrong-payload-type" in net.update()


# -- endless data ------------------------------------------------------------------------------------------

TOO_LONG = {
    "timestamp": MAX_HEAD_BYTES,
    "table": MAX_HEAD_BYTES + 1 + 400,
    "delta": MAX_HEAD_BYTES + 1 + MAX_DELTA_BYTES,
    "revocations": MAX_REVOCATIONS_BYTES,
}


@pytest.mark.parametrize("name", NAMES)
def test_endless_data(net: Net, name: str) -> None:
    if name == "table":
        net.only_whole()
    net.documents[NAMES[name]] += b" " * (TOO_LONG[name] + 1)
    assert "endless-data" in net.update()


def test_endless_members(net: Net) -> None:
    net.documents[net.members_name] += b" "
    assert net.update() == ("endless-data",)


def test_endless_roots(net: Net) -> None:
    net.documents["root/2"] = b"{" * (MAX_ROOT_BYTES + 1)
    net.stamps(root=2)
    assert net.update() == ("endless-data", "root-behind")


def test_a_content_that_is_longer_than_its_head_says(net: Net) -> None:
    net.only_whole()
    content = net.documents["community/table/2"].partition(b"\n")[2]
    net.documents["community/table/2"] += b" "
    net.stamps(size=len(content) + 1)
    assert net.update() == ("content-mismatch",)


# -- wrong place, wrong time -------------------------------------------------------------------------------


def test_another_community(net: Net) -> None:
    net.stamps(community="another")
    assert net.update() == ("wrong-community",)


def test_another_audience(net: Net) -> None:
    net.stamps(audience="a.example")
    assert net.update() == ("wrong-view",)


def test_a_table_of_another_audience_under_the_right_timestamp(net: Net) -> None:
    net.only_whole()
    net.heads(audience="a.example")
    assert net.update() == ("wrong-view",)


def test_a_member_of_another_community(net: Net) -> None:
    record = members.seal_member(replace(member("evil.example"), community="another"), [key("registrar")])
    net.press.members["evil.example"] = record
    net.press.prints()
    assert net.update() == ("wrong-community",)


def test_root_metadata_of_another_community(net: Net) -> None:
    net.documents["root/2"] = sealed(made(replace(plan(2), community="another")))
    net.stamps(root=2)
    assert net.update() == ("wrong-community", "root-behind")


def test_the_future(net: Net) -> None:
    net.stamps(issued=net.press.now + timedelta(seconds=31), expires=net.press.now + MINUTE)
    assert net.update() == ("document-not-yet",)


def test_a_table_of_the_future(net: Net) -> None:
    net.only_whole()
    net.heads(issued=net.press.now + timedelta(hours=1))
    assert net.update() == ("document-not-yet",)


def test_a_clock_that_was_set_back(net: Net) -> None:
    assert net.update() == ()
    with pytest.raises(ClearinghouseError) as refused:
        net.trusted.update_timestamp(net.documents["community/timestamp"], net.press.now - timedelta(minutes=1))
    assert refused.value.code == "clock-behind"
    assert net.trusted.standing(net.press.now - timedelta(minutes=1)) is Standing.EXPIRED


# -- equivocation ------------------------------------------------------------------------------------------


def test_equal_version_with_another_table(net: Net) -> None:
    assert net.update() == ()
    net.heads(count=3, delta="")
    net.stamps(issued=net.press.now + timedelta(seconds=1))
    assert net.update() == ("equivocation",)
    assert rows(net) == NEW


def test_equal_version_with_another_table_than_the_timestamp_names(net: Net) -> None:
    net.only_whole()
    named = net.documents["community/timestamp"]
    net.heads(expires=NOW + timedelta(days=30))
    net.documents["community/timestamp"] = named
    assert net.update() == ("equivocation",)


def test_equal_version_with_other_revocations(net: Net) -> None:
    net.documents["revocations/2"] = revocations.seal_revocations(replace(net.press.revoked, principals=()), [key("revoker")])
    assert net.update() == ("equivocation",)


def test_equal_serial_with_another_record(net: Net) -> None:
    assert net.update() == ()
    net.press.enrols(member("a.example", 2, note="another"))
    net.press.prints()
    assert net.update() == ("equivocation",)


# -- content and deltas ------------------------------------------------------------------------------------


def test_a_changed_content(net: Net) -> None:
    net.only_whole()
    net.documents["community/table/2"] = net.documents["community/table/2"].replace(b"b.example", b"e.example")
    assert net.update() == ("content-mismatch",)


def test_a_content_that_is_none_though_it_is_signed(net: Net) -> None:
    net.only_whole()
    head = net.documents["community/table/2"].partition(b"\n")[0]
    bad = b'{"level-1":["B.example"]}'
    net.documents["community/table/2"] = joined(head, bad)
    net.heads(content=digest(bad), size=len(bad), count=1)
    net.stamps(size=len(bad))
    assert net.update() == ("malformed-document",)


def test_a_count_that_is_wrong_though_it_is_signed(net: Net) -> None:
    net.only_whole()
    net.heads(count=3)
    assert net.update() == ("content-mismatch",)


def test_a_changed_delta_and_the_way_round_it(net: Net) -> None:
    net.documents["community/delta/2"] = net.documents["community/delta/2"].replace(b"a.example", b"e.example")
    assert net.update() == ("content-mismatch",)
    assert rows(net) == NEW, "by the whole table"


def test_a_delta_from_another_table(net: Net) -> None:
    net.heads(document="delta", previous="0" * 64)
    assert net.update()[0] == "delta-out-of-place"
    assert rows(net) == OLD


def test_a_delta_that_does_not_fit_though_it_is_signed(net: Net) -> None:
    head = net.documents["community/delta/2"].partition(b"\n")[0]
    bad = b'{"set":{},"unset":["nobody.example"]}'
    net.documents["community/delta/2"] = joined(head, bad)
    net.heads(document="delta", delta=digest(bad))
    assert net.update()[0] == "delta-out-of-place"


def test_a_stolen_table_key_alone_admits_nobody_on_the_way(net: Net) -> None:
    """Its thief forges a delta between two versions that honest timestamps name, and holds everything after it back."""
    evil = b'{"set":{"level-3":["evil.example"]},"unset":[]}'
    head = replace(net.head("delta"), delta=digest(evil), count=len(OLD) + 1)
    forged = joined(tables.seal_head(tables.written(head), [key("table")]), evil)
    net.press.prints(NEW | {"c.example": "level-3"})
    net.documents["community/delta/2"] = forged
    honest = {name: net.documents.pop(name) for name in ("community/delta/3", "community/table/3")}
    assert net.update() == ()
    assert rows(net) == OLD, "nobody named such a table"
    assert net.trusted.standing(net.press.now) is Standing.STALE
    net.documents.update(honest)
    assert net.update() == ("delta-out-of-place",)
    assert rows(net) == NEW | {"c.example": "level-3"}


def test_deltas_on_the_way_are_believed_at_the_end(net: Net) -> None:
    net.press.prints(NEW | {"c.example": "level-3"})
    net.press.prints(OLD | {"c.example": "level-3"})
    held = net.documents.pop("community/delta/4")
    net.documents.pop("community/table/4")
    assert net.update() == ()
    assert rows(net) == OLD
    net.documents["community/delta/4"] = held
    assert net.trusted.wanted() is None
    net.trusted.begin()
    assert net.update() == ()
    assert rows(net) == OLD | {"c.example": "level-3"}
    assert not {name for name in net.documents if name == "community/table/4"}


def test_deltas_come_late_twice_or_never(net: Net) -> None:
    net.press.prints(OLD)
    net.press.prints(NEW | {"c.example": "level-3"})
    assert net.update() == ()
    for name in ("community/delta/2", "community/delta/4", "community/delta/3"):
        with pytest.raises(ClearinghouseError, match="not above ours"):
            net.trusted.update_delta(net.documents[name], net.press.now)
    assert rows(net) == NEW | {"c.example": "level-3"}


def test_a_document_that_nothing_names(net: Net) -> None:
    trusted = net.press.trusted()
    with pytest.raises(ClearinghouseError) as refused:
        trusted.update_table(net.documents["community/table/2"], net.press.now)
    assert refused.value.code == "nothing-named"


# -- revocation --------------------------------------------------------------------------------------------


def test_a_stolen_table_key_is_revoked_and_its_table_goes_at_once(net: Net) -> None:
    assert net.update() == ()
    net.press.revokes(*who("table"))
    net.press.prints()
    refused = net.update()
    assert refused == ("revoked-signer",)
    assert rows(net) == {}
    assert net.trusted.standing(net.press.now) is Standing.EXPIRED


def test_a_stolen_timestamp_key_is_revoked(net: Net) -> None:
    assert net.update() == ()
    net.press.revokes(*who("timestamp"))
    net.press.prints()
    assert net.update() == ()
    assert net.trusted.timestamp is None, "it named the set that takes it away"
    assert net.update() == ("revoked-signer",)
    assert rows(net) == NEW, "the table is by another key"


def test_a_stolen_registrar_key_is_revoked_and_its_members_go(net: Net) -> None:
    assert net.update() == ()
    net.press.revokes(*who("registrar"))
    net.press.prints()
    assert net.update() == ("revoked-signer",)
    assert not net.trusted.members


def test_a_revoked_credential_counts_like_a_revoked_key(net: Net) -> None:
    assert net.update() == ()
    rights = net.trusted._state.rights
    ids = tuple(each.name for each in rights.credentials if b"publish-table" in each.raw)
    net.press.revokes(credentials=ids[:1])
    net.press.prints()
    assert net.update() == ("revoked-signer",)


def test_a_stolen_revoker_key_cannot_lock_the_roots_out(net: Net) -> None:
    net.press.revokes(*who("r1", "r2", "r3", "table", "timestamp", "registrar", "revoker"))
    net.press.prints()
    net.update()
    assert net.trusted.standing(net.press.now) is Standing.EXPIRED
    net.press.crowns(made(plan(2, epoch=2, revoker=Keyholders(who("new-revoker")))))
    net.press.signers["revoker"] = ("new-revoker",)
    net.press.revoked = replace(net.press.revoked, principals=(), epoch=1)
    net.press.revokes()
    net.press.prints(NEW)
    assert net.update() == ()
    assert rows(net) == NEW


# -- what every refusal leaves ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["timestamp", "revocations", "table", "delta"])
def test_no_refusal_changes_what_is_believed(net: Net, kind: str) -> None:
    steps: dict[str, Callable[[Trusted, bytes], None]] = {
        "timestamp": lambda to, raw: to.update_timestamp(raw, net.press.now),
        "revocations": lambda to, raw: to.update_revocations(raw, net.press.now),
        "table": lambda to, raw: to.update_table(raw, net.press.now),
        "delta": lambda to, raw: to.update_delta(raw, net.press.now),
    }
    if kind != "timestamp":
        net.trusted.update_timestamp(net.documents["community/timestamp"], net.press.now)
    before = net.trusted.kept()
    good = net.documents[NAMES[kind]]
    for raw in (b"", b"{}", b"\n", good[:-1], good + b"x", good.replace(b'"', b"'"), bytes(300), b"[" * 9_000):
        with pytest.raises(ClearinghouseError):
            steps[kind](net.trusted, raw)
        assert net.trusted.kept() == before
    steps[kind](net.trusted, good)


def test_the_pin_is_what_counts(net: Net) -> None:
    with pytest.raises(ClearinghouseError) as refused:
        Trusted.pinned(net.press.first, "0" * 64, NOW, audience="*")
    assert refused.value.code == "not-the-pinned-root"
    with pytest.raises(ClearinghouseError) as refused:
        Trusted.pinned(sealed(net.press.root, "r1"), net.press.pin, NOW, audience="*")
    assert refused.value.code == "not-approved-by-new-roots"
    with pytest.raises(ClearinghouseError) as refused:
        Trusted.pinned(net.press.first, net.press.pin, NOW, audience="*", community="another")
    assert refused.value.code == "wrong-community"


@pytest.mark.parametrize("generation, code", [(1, "root-rollback"), (3, "root-gap")])
def test_root_metadata_out_of_order(net: Net, generation: int, code: str) -> None:
    net.documents["root/2"] = sealed(made(plan(generation)))
    net.stamps(root=2)
    assert net.update() == (code, "root-behind")


def test_an_epoch_never_goes_down(net: Net) -> None:
    net.press.crowns(made(plan(2, epoch=2)))
    net.press.prints(NEW)
    assert net.update() == ()
    net.documents["root/3"] = sealed(made(plan(3, epoch=1)))
    net.stamps(root=3)
    assert net.update() == ("root-rollback", "root-behind")


def test_root_metadata_with_an_assertion_that_could_not_be_loaded(net: Net) -> None:
    good = made(plan(2))
    texts = {
        "unsigned": replace(good, credentials=(good.credentials[0].partition("\nSignature")[0] + "\n",)),
        "any operation": replace(good, policy=(good.policy[0].replace('operation == "publish-root" && ', ""),)),
        "no assertion": replace(good, policy=("hello",)),
    }
    for root in texts.values():
        net.documents["root/2"] = seal(roots.written(root), ROOT, [key("r1"), key("r2")], most=MAX_ROOT_BYTES)
        net.stamps(root=2)
        assert net.update() == ("malformed-document", "root-behind")


def test_the_types_of_documents_are_what_is_signed() -> None:
    assert len({MEMBER, REVOCATIONS, ROOT, TABLE, TIMESTAMP}) == 5
