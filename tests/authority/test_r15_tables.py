"""R15 for published tables: what is revoked is gone before anybody asks who may publish, and a stale set makes no new grants."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from clearinghouse.federation.published import revocations, roots
from clearinghouse.federation.published.documents import digest
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.federation.trust.trusted import Standing, Trusted, follow
from tests.presses import COMMUNITY, MINUTE, NOW, Press, key, made, member, plan, who

ROWS = {"a.example": "level-1"}


def revoked(*principals: str, credentials: tuple[str, ...] = (), below: tuple[str, ...] = ()) -> RevocationSet:
    return RevocationSet(COMMUNITY, 1, 1, NOW, NOW + timedelta(days=1), credentials, principals, below)


@pytest.fixture
def press() -> Press:
    press = Press()
    press.enrols(member("a.example"))
    press.prints(ROWS)
    return press


@pytest.mark.parametrize(
    "taken",
    [
        revoked(*who("table")),
        revoked(*who("r1", "r2")),
        revoked(below=who("r1", "r2")),
    ],
    ids=["requester", "licensees of POLICY", "all that two roots delegated"],
)
def test_r15_a_revoked_key_publishes_nothing(taken: RevocationSet) -> None:
    rights = Entitlement.of(made(plan()))
    assert rights.allows("publish-table", who("table"), now=NOW)
    assert not rights.less(taken).allows("publish-table", who("table"), now=NOW)


def test_r15_one_root_of_three_that_is_revoked_leaves_the_others() -> None:
    """Two vouched: without one of them it is too few; with three it is enough."""
    for vouchers, allowed in ((("r1", "r2"), False), (("r1", "r2", "r3"), True)):
        rights = Entitlement.of(made(plan(), vouchers)).less(revoked(*who("r1")))
        assert rights.allows("publish-table", who("table"), now=NOW) is allowed


def test_r15_a_revoked_credential_takes_one_role_away() -> None:
    rights = Entitlement.of(made(plan()))
    (first, *_) = [each.name for each in rights.credentials if b"publish-timestamp" in each.raw]
    less = rights.less(revoked(credentials=(first,)))
    assert not less.allows("publish-timestamp", who("timestamp"), now=NOW)
    assert less.allows("publish-table", who("table"), now=NOW)


def test_r15_also_when_the_policy_itself_names_the_key() -> None:
    where = f'operation == "publish-table" && table_community == "{COMMUNITY}" && epoch == "1" && audience == "*"'
    text = f'Authorizer: "POLICY"\nLicensees: "{who("table")[0]}"\nConditions: {where} -> "allow";\n'
    rights = Entitlement.of(replace(made(plan()), policy=(text,), credentials=()))
    assert rights.allows("publish-table", who("table"), now=NOW)
    assert not rights.less(revoked(*who("table"))).allows("publish-table", who("table"), now=NOW)


def test_r15_it_does_not_count_for_root_metadata() -> None:
    """Otherwise whoever has the revoker's key could lock everybody out for ever: roots are replaced by roots."""
    rights = Entitlement.of(made(plan())).less(revoked(*who("r1", "r2", "r3")))
    assert rights.allows("publish-root", who("r1", "r2"), now=NOW)
    assert not rights.allows("publish-table", who("table"), now=NOW)


def test_r15_the_set_travels_with_every_timestamp_and_a_stale_one_makes_no_new_grants(press: Press) -> None:
    trusted = press.followed()
    assert trusted.standing(press.now) is Standing.FRESH
    press.prints(ROWS, days=30)
    press.stamps(minutes=60 * 24)
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.standing(press.now + timedelta(hours=23)) is Standing.FRESH
    assert trusted.standing(press.now + timedelta(hours=25)) is Standing.STALE, "the timestamp is over"
    press.now += timedelta(days=8)
    press.stamps()
    follow(trusted, press.fetch, press.now)
    assert trusted.revocations is not None
    assert trusted.revocations.expires < press.now
    assert trusted.standing(press.now) is Standing.STALE, "the timestamp is fresh, the set is not"


def test_r15_a_set_that_is_withheld_makes_the_rest_stale(press: Press) -> None:
    trusted = press.followed()
    press.revokes(*who("lost"))
    press.prints()
    del press.documents["revocations/2"]
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.standing(press.now) is Standing.STALE


def test_r15_a_stale_set_counts_all_the_same(press: Press) -> None:
    press.revokes(*who("lost"))
    press.prints()
    trusted = press.followed()
    later = press.now + timedelta(days=30)
    assert trusted.standing(later) is Standing.EXPIRED
    assert trusted.revocations is not None
    assert trusted.revocations.principals == who("lost")


def test_r15_what_was_revoked_is_revoked_after_a_restart(press: Press) -> None:
    trusted = press.followed()
    press.revokes(*who("table"))
    press.prints()
    follow(trusted, press.fetch, press.now)
    again = Trusted.restored(trusted.kept(), press.pin, audience="*")
    assert not again.rows
    assert not again.may_publish("publish-table", who("table"), press.now)
    assert [each.code for each in follow(again, press.fetch, press.now)] == ["revoked-signer"]


def test_r15_it_ends_with_the_epoch_and_its_keys_with_the_policy(press: Press) -> None:
    """The roots decide anew whom they trust: what they license in a new epoch is not what was revoked."""
    press.revokes(*who("table"))
    press.prints()
    press.crowns(made(plan(2, epoch=2)))
    press.revoked = RevocationSet(COMMUNITY, 2, 1, press.now, press.now + 60 * MINUTE)
    press.documents["revocations/1"] = revocations.seal_revocations(press.revoked, [key("revoker")])
    press.prints(ROWS)
    trusted = press.trusted()
    assert follow(trusted, press.fetch, press.now) == ()
    assert trusted.rows == ROWS
    assert digest(roots.written(trusted.root)) == digest(roots.written(press.root))
