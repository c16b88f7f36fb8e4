"""A signer in our own process, with the same rules: for tests and rehearsals, whose keys are no secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.signer.federal import SHAPES, ShapeRule
from clearinghouse.signer.rules import DeskRule, LogRule, Role


@dataclass(slots=True)
class InlineSigner:
    """Signs as both roles with one *key*; ``now`` is the clock by which approvals are checked."""

    key: PrivateKey
    longest: timedelta = timedelta(days=90)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _log: LogRule | None = field(default=None, init=False)

    @property
    def principal(self) -> str:
        """Return the key's principal."""
        return self.key.principal

    async def sign_credential(self, text: bytes) -> bytes:
        """Return the credential that the approval *text* becomes; raises `NoDeskText`."""
        return DeskRule(self.key, self.longest, self.now).signed(text)

    async def sign_checkpoint(self, payload: bytes) -> bytes:
        """Return *payload* sealed; raises `BadCheckpoint` and `SignerRefused`."""
        self._log = self._log or LogRule(self.key)
        return self._log.signed(payload)


@dataclass(slots=True)
class InlineSealer:
    """Signs as one role of a federation, with a key in our own process."""

    key: PrivateKey
    role: Role
    longest: timedelta = timedelta(days=366)
    _rule: ShapeRule | None = field(default=None, init=False)

    @property
    def principal(self) -> str:
        """Return the key's principal."""
        return self.key.principal

    async def sealed(self, payload: bytes) -> bytes:
        """Return *payload* sealed; raises `MalformedDocument` and `SignerRefused`."""
        self._rule = self._rule or ShapeRule(self.key, SHAPES[self.role], self.longest)
        return self._rule.signed(payload)
