"""The ledger that tells: one line in the log for each decision, once it is durable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from clearinghouse.clearing.decision import Decision
from clearinghouse.storage.store import Store
from clearinghouse.telemetry import decision_level, decision_line

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TellingLedger:
    """Implements `clearinghouse.clearing.clear.Ledger` over a store."""

    store: Store

    @property
    def highest_time(self) -> datetime | None:
        """See `Ledger.highest_time`."""
        return self.store.highest_time

    async def record(self, decision: Decision) -> None:
        """See `Ledger.record`."""
        await self.store.record(decision)
        log.log(decision_level(decision), decision.outcome.value, **decision_line(decision))
