"""What is archived of a snapshot gives the same snapshot again, also what earlier releases have archived."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import pytest

from clearinghouse.errors import StoreUnavailable
from clearinghouse.keynote import admit
from clearinghouse.storage.archive import Archive
from clearinghouse.storage.folders import CREDENTIALS, FileRead
from clearinghouse.storage.holdings import Holdings, Loader
from tests.world import assertion, signed, who

POLICY = assertion("POLICY", "{hub} && {desk}", 'operation == "subscribe" && topic == "incidents"', "allow")
FILES = [
    FileRead("topics/a.kn", "topics", POLICY),
    FileRead("credentials/b.kn", CREDENTIALS, signed("hub", "ann@a.example")),
    FileRead("credentials/c.kn", CREDENTIALS, signed("desk", "xmpp-member:a.example")),
]


def believed() -> Holdings:
    held = Loader(shared_keys=(who("hub"),), desk=who("desk")).load(FILES, Holdings())
    added = admit(signed("hub", "bob@b.example"))
    return held.believing([added], withdrawn=[added.id], revoked=["xmpp:eve@c.example", who("sector")], below=[who("office")])


def test_everything_that_decides_comes_back() -> None:
    held = believed()
    again = Archive.unpack(held.snapshot.version, Archive.of(held).pack()).holdings()
    for name in ("version", "desk", "withdrawn", "revoked", "below"):
        assert getattr(again.snapshot, name) == getattr(held.snapshot, name)
    assert [each.raw for each in again.snapshot.approved("topics")] == [each.raw for each in held.snapshot.approved("topics")]
    assert [each.raw for each in again.admitted()] == [each.raw for each in held.admitted()]


@pytest.mark.parametrize("name, value", [("desk", ""), ("withdrawn", []), ("revoked", []), ("below", []), ("credentials", [])])
def test_an_archive_that_was_changed_is_found_out(name: str, value: object) -> None:
    held = believed()
    whole = json.loads(zlib.decompress(Archive.of(held).pack()))
    damaged = zlib.compress(json.dumps({**whole, name: value}).encode())
    with pytest.raises(StoreUnavailable, match="is damaged"):
        Archive.unpack(held.snapshot.version, damaged).holdings()


def test_an_archive_of_an_earlier_release_is_still_read() -> None:
    """It said nothing of a desk, nor of what was taken away."""
    held = Loader().load(FILES, Holdings())
    whole = json.loads(zlib.decompress(Archive.of(held).pack()))
    early = {name: whole[name] for name in ("policies", "credentials", "shared_keys")}
    found = Archive.unpack(held.snapshot.version, zlib.compress(json.dumps(early).encode()))
    assert found == Archive.of(held)
    assert found.holdings().snapshot.version == held.snapshot.version


def test_what_is_believed_is_made_anew_each_time() -> None:
    """What was revoked once is not remembered by what was held: whoever keeps revocations says them all."""
    held = Loader(desk=who("desk")).load(FILES, Holdings())
    assert held.believing(revoked=["x"]).believing().snapshot.version == held.snapshot.version
    assert held.snapshot.desk == who("desk")
    assert replace(held, snapshot=held.believing().snapshot).snapshot.desk == who("desk")


def test_a_policy_that_licenses_the_desk_alone_is_left_out_and_named() -> None:
    alone = FileRead("topics/alone.kn", "topics", assertion("POLICY", "desk", 'operation == "subscribe" && topic == "incidents"', "allow"))
    assert not Loader().load([alone], Holdings()).problems
    (problem,) = Loader(desk=who("desk")).load([*FILES, alone], Holdings()).problems
    assert (problem.file, problem.error.code) == ("topics/alone.kn", "desk-alone")
