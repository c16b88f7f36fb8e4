from __future__ import annotations

from datetime import timedelta

import pytest

from clearinghouse.clearing.acts import (
    MAX_REASON_CHARACTERS,
    Act,
    AddCredential,
    Approve,
    Deny,
    EndGrant,
    Lift,
    Revoke,
    WithdrawCredential,
    read_act,
    written_act,
)
from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.dsse import MalformedEnvelope
from clearinghouse.errors import TooLarge

ACTS: list[Act] = [
    Approve("3f2a", "00" * 32, "ann@members.example", "incidents"),
    Approve("3f2a", "00" * 32, "ann@members.example", "", timedelta(days=30)),
    Deny("3f2a"),
    Deny("3f2a", "not now"),
    EndGrant("3f2a", "left", may_ask_again=True),
    EndGrant("3f2a"),
    *(Revoke(kind, "name", "lost") for kind in RevocationKind),
    Lift("77"),
    AddCredential("Authorizer: Zoë\n".encode()),
    WithdrawCredential("ab"),
]


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_what_is_written_reads_back_as_the_same_act(act: Act) -> None:
    assert read_act(*written_act(act)) == act


@pytest.mark.parametrize(
    "kind,body,fact",
    [
        ("obey", {}, "`obey` is nothing that can be asked for"),
        ("approve", {"case": "3f2a"}, "says nothing of `shown`"),
        ("deny", {"case": "3f2a", "for": "ever"}, "has no `for`"),
        ("lift", {"revocation": "77", "reason": "x"}, "has no `reason`"),
        ("approve", {"case": "", "shown": "", "subject": "", "topic": "", "seconds": "0"}, "no length of time"),
        ("approve", {"case": "", "shown": "", "subject": "", "topic": "", "seconds": "9" * 10}, "no length of time"),
        ("end-grant", {"grant": "3f2a", "may-ask-again": "perhaps"}, "neither `yes` nor `no`"),
        ("revoke", {"what": "everything", "name": "x"}, "nothing is revoked as `everything`"),
    ],
)
def test_anything_else_is_refused_with_its_reason(kind: str, body: dict[str, str], fact: str) -> None:
    with pytest.raises(MalformedEnvelope) as caught:
        read_act(kind, body)
    assert fact in str(caught.value)


def test_a_long_reason_is_refused() -> None:
    with pytest.raises(TooLarge):
        read_act("deny", {"case": "3f2a", "reason": "x" * (MAX_REASON_CHARACTERS + 1)})


def test_a_credential_that_is_no_text_is_told_where_it_may_go() -> None:
    with pytest.raises(MalformedEnvelope, match="not UTF-8 at byte 1: put its file into the folder"):
        written_act(AddCredential(b"A\xff"))
