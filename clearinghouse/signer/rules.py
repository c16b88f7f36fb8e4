"""What each key signs, and what it refuses whoever asks (pure but for the key)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from clearinghouse.clearing.approvals import check_desk_text
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.signing import sign
from clearinghouse.ledger.checkpoint import Checkpoint, read_checkpoint, seal_checkpoint
from clearinghouse.signer.federal import ShapeRule
from clearinghouse.signer.roles import Role, SignerRefused, SignerUnavailable

__all__ = ["DeskRule", "LogRule", "Role", "Rule", "SignerRefused", "SignerUnavailable"]


@dataclass(frozen=True, slots=True)
class DeskRule:
    """Signs approvals of one request each, that hold for *longest* at most (rule R4)."""

    key: PrivateKey
    longest: timedelta
    now: Callable[[], datetime]

    def signed(self, text: bytes) -> bytes:
        """Return the credential that *text* becomes; raises `NoDeskText` for anything but `desk_text`'s."""
        check_desk_text(text, self.key.principal, now=self.now(), longest=self.longest)
        return sign(text, self.key, limits=Limits.local())  # long names make it longer than a stranger's credential may be


@dataclass(slots=True)
class LogRule:
    """Signs checkpoints of one log that only grows; what was signed before is known as long as the process lives."""

    key: PrivateKey
    last: Checkpoint | None = None

    def signed(self, payload: bytes) -> bytes:
        """Return the sealed checkpoint; raises `BadCheckpoint`, and `SignerRefused` for another past than was signed."""
        asked = read_checkpoint(payload)
        self._check(asked)
        sealed = seal_checkpoint(asked, self.key)
        self.last = asked
        return sealed

    def _check(self, asked: Checkpoint) -> None:
        last = self.last
        if last is None:
            return
        if asked.origin != last.origin:
            raise SignerRefused("the checkpoint is of another log", mend="give each log a key of its own")
        if asked.size < last.size or (asked.size == last.size and asked.root != last.root):
            fact = f"a checkpoint of {last.size} entries was signed, and one of {asked.size} would deny it"
            raise SignerRefused(fact, mend="find out who changed the log; keep its store and its backups as they are")


Rule = DeskRule | LogRule | ShapeRule
"""What a process with a key signs."""
