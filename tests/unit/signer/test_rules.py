from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clearinghouse.clearing.approvals import NoDeskText, desk_text
from clearinghouse.clearing.cases import Case
from clearinghouse.keynote import admit
from clearinghouse.keynote.keys import from_seed
from clearinghouse.ledger.checkpoint import BadCheckpoint, Checkpoint, checkpoint_payload, open_checkpoint
from clearinghouse.signer.inline import InlineSigner
from clearinghouse.signer.rules import DeskRule, LogRule, SignerRefused
from tests.unit.signer.cases import case

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY, OTHER = from_seed(b"desk" + bytes(28)), from_seed(b"other" + bytes(27))
RULE = DeskRule(KEY, timedelta(days=90), lambda: NOW)
CHECKPOINT = Checkpoint("csirt-net", 5, bytes(32), NOW)


def approval(found: Case | None = None, *, days: float = 30, desk: str = KEY.principal) -> bytes:
    return desk_text(found or case(NOW), desk=desk, until=NOW + timedelta(days=days), serial="00ff")


def test_the_desk_signs_an_approval_of_one_request() -> None:
    credential = admit(RULE.signed(approval()))
    assert credential.authorizer == KEY.principal


@pytest.mark.parametrize(
    "text",
    [
        approval(days=91),
        approval(days=-1),
        approval(desk=OTHER.principal),
        approval().replace(b' && topic == "incidents"', b""),
        approval() + b"\n",
        b"",
        b"\xff" * 100,
        f'Authorizer: "{KEY.principal}"\nLicensees: "{OTHER.principal}"\n'.encode(),
        checkpoint_payload(CHECKPOINT),
    ],
    ids=["too long", "over", "another desk", "without a topic", "a line more", "nothing", "bytes", "everything", "a checkpoint"],
)
def test_the_desk_signs_nothing_else(text: bytes) -> None:
    with pytest.raises(NoDeskText):
        RULE.signed(text)


def test_the_log_signs_checkpoints_of_a_log_that_grows() -> None:
    rule = LogRule(KEY)
    for size in (5, 5, 6, 60):
        asked = replace(CHECKPOINT, size=size)
        assert open_checkpoint(rule.signed(checkpoint_payload(asked)), KEY.principal) == asked


@pytest.mark.parametrize(
    "asked,fact",
    [
        (replace(CHECKPOINT, size=4), "would deny it"),
        (replace(CHECKPOINT, root=b"\1" * 32), "would deny it"),
        (replace(CHECKPOINT, origin="other-net", size=9), "of another log"),
    ],
)
def test_the_log_denies_nothing_that_it_signed(asked: Checkpoint, fact: str) -> None:
    rule = LogRule(KEY)
    rule.signed(checkpoint_payload(CHECKPOINT))
    with pytest.raises(SignerRefused, match=fact):
        rule.signed(checkpoint_payload(asked))
    rule.signed(checkpoint_payload(replace(CHECKPOINT, size=6)))


def test_the_log_signs_nothing_else() -> None:
    with pytest.raises(BadCheckpoint):
        LogRule(KEY).signed(approval())


async def test_a_signer_in_our_own_process_has_the_same_rules() -> None:
    signer = InlineSigner(KEY, now=lambda: NOW)
    assert admit(await signer.sign_credential(approval())).authorizer == signer.principal
    with pytest.raises(BadCheckpoint):
        await signer.sign_checkpoint(approval())
    await signer.sign_checkpoint(checkpoint_payload(CHECKPOINT))
    with pytest.raises(SignerRefused):
        await signer.sign_checkpoint(checkpoint_payload(replace(CHECKPOINT, size=4)))
