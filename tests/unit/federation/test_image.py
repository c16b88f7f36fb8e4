"""Images: what passes, for whom, until when; and what is no image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clearinghouse.federation.enforced import image as images
from clearinghouse.federation.enforced.image import EVERYTHING, BadImage, Change, Grant, Image, LevelClass, applied, change_between, mask_of
from clearinghouse.federation.enforced.pushes import pushes

CLASSES = {
    "deny": LevelClass(0, "not federated"),
    "some": LevelClass(mask_of(["message", "presence"], ["inbound", "outbound"])),
    "all": LevelClass(255),
}
IMAGE = Image("a.fed", 7, ("a.fed", "muc.a.fed"), CLASSES, {"b.fed": "all", "c.fed": "some", "d.fed": "deny"}, expires=1000)
GRANT = Grant("g1", "d.fed", 500, user="bob@d.fed", mask=mask_of(["message"], ["inbound"]), decision="d-7")


def test_masks_have_a_bit_for_each_kind_and_direction() -> None:
    assert mask_of(["message"], ["inbound"]) == 1
    assert mask_of(["presence"], ["outbound"]) == 32
    assert mask_of(["message", "presence", "iq", "groupchat"], ["inbound", "outbound"]) == EVERYTHING
    assert mask_of([], ["inbound"]) == 0


@pytest.mark.parametrize(
    "remote, now, found", [("b.fed", 0, 255), ("c.fed", 0, 51), ("d.fed", 0, 0), ("e.fed", 0, 0), ("b.fed", 999, 255), ("b.fed", 1000, 0)]
)
def test_rows_count_until_they_expire_and_the_default_is_to_deny(remote: str, now: int, found: int) -> None:
    assert IMAGE.mask(remote, now=now) == found


def test_a_default_that_allows_ends_with_the_rows() -> None:
    open_to_all = replace(IMAGE, default="allow")
    assert open_to_all.mask("e.fed", now=999) == EVERYTHING
    assert open_to_all.mask("d.fed", now=999) == 0
    assert open_to_all.mask("e.fed", now=1000) == 0


def test_a_grant_is_for_its_user_until_it_ends_also_when_the_rows_have_expired() -> None:
    granted = replace(IMAGE, grants=(GRANT,), expires=100)
    assert granted.mask("d.fed", now=499, user="bob@d.fed") == 1
    assert granted.mask("d.fed", now=499, user="eve@d.fed") == 0
    assert granted.mask("d.fed", now=499) == 1
    assert granted.mask("d.fed", now=500, user="bob@d.fed") == 0


def test_a_grant_for_an_address_or_somebody_here_counts_there_only() -> None:
    narrow = replace(IMAGE, grants=(replace(GRANT, user="*", local="alice@a.fed", address="192.0.2.1"),))
    asked = {"now": 1, "user": "bob@d.fed", "local": "alice@a.fed", "address": "192.0.2.1"}
    assert narrow.mask("d.fed", **asked) == 1  # type: ignore[arg-type] # one whole number among texts
    assert narrow.mask("d.fed", now=1, local="alice@a.fed", address="192.0.2.2") == 0
    assert narrow.mask("d.fed", now=1, local="carol@a.fed", address="192.0.2.1") == 0
    assert narrow.mask("d.fed", now=1, local="a.fed") == 1
    assert narrow.mask("d.fed", now=1, local="muc.a.fed") == 0


def test_only_a_whole_image_changes_what_it_is_about() -> None:
    after = replace(IMAGE, serial=8)
    assert isinstance(change_between(IMAGE, after), Change)
    for changed in (
        {"mode": "shadow"},
        {"hosts": ("a.fed",)},
        {"default": "allow"},
        {"default_reason": "x"},
        {"ask": True},
        {"name": "b.fed"},
    ):
        assert change_between(IMAGE, replace(after, **changed)) is None
    assert change_between(IMAGE, IMAGE) is None


def test_a_change_of_another_image_is_refused() -> None:
    change = change_between(IMAGE, replace(IMAGE, serial=8, rows={}))
    assert change is not None
    with pytest.raises(BadImage, match=r"a change of `a.fed` after 7 is none of `a.fed` 8"):
        applied(replace(IMAGE, serial=8), change)


BAD: dict[str, Callable[[], object]] = {
    "a domain in capitals": lambda: list(pushes(replace(IMAGE, rows={"B.fed": "all"}))),
    "a domain with a user": lambda: list(pushes(replace(IMAGE, rows={"x@b.fed": "all"}))),
    "no domain": lambda: replace(IMAGE, name=""),
    "a domain that is no A-label": lambda: replace(IMAGE, hosts=("ü.fed",)),
    "a class without a mask": lambda: replace(IMAGE, rows={"b.fed": "other"}),
    "a mask of nine bits": lambda: LevelClass(256),
    "a reason of two lines": lambda: LevelClass(0, "x\ny"),
    "a long reason": lambda: replace(IMAGE, default_reason="x" * 201),
    "a grant without a name": lambda: replace(GRANT, id=""),
    "a grant for a user of another domain": lambda: replace(GRANT, user="bob@d.fed.evil"),
    "a grant for a full JID": lambda: replace(GRANT, local="alice@a.fed/desk"),
    "two grants of one name": lambda: replace(IMAGE, grants=(GRANT, replace(GRANT, mask=2))),
    "serial 0": lambda: replace(IMAGE, serial=0),
    "too many hosts": lambda: replace(IMAGE, hosts=tuple(f"h{n}.fed" for n in range(images.MAX_HOSTS + 1))),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_what_no_module_would_take_is_no_image(make: Callable[[], object]) -> None:
    with pytest.raises(BadImage):
        make()
