"""What the site's people ask about grants and about requests that wait, as JSON for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from clearinghouse.agent.granting.requests import Requests
from clearinghouse.clearing.acts import MAX_REASON_CHARACTERS
from clearinghouse.clearing.cases import Case, Grant
from clearinghouse.clearing.people import Speaker, WrongCase
from clearinghouse.clearing.soundness import Reason
from clearinghouse.clearing.wire import stamp
from clearinghouse.federation.enforced.packet_rules import rule_of

MAX_LISTED: Final = 1_000
"""Grants or cases in one list."""
ENDED: Final = "ended-by-people"


@dataclass(frozen=True, slots=True)
class Petitions:
    """Answers those whom the agent's socket lets in."""

    requests: Requests

    async def grants(self, *, ended: bool) -> Sequence[dict[str, Any]]:
        """Return the grants that hold; with *ended*, the last `MAX_LISTED` of all."""
        grants = self.requests.grants
        found = await grants.store.grants(MAX_LISTED, ended=True) if ended else [each.grant for each in grants.active()]
        return [_grant(each) for each in found]

    async def end(self, who: Speaker, prefix: str, reason: str) -> dict[str, Any]:
        """End a grant; a local denial needs no key."""
        text = f"{who.person}: {reason[:MAX_REASON_CHARACTERS]}" if reason else who.person
        return _grant(await self.requests.grants.end(prefix, Reason(ENDED, text)))

    def pending(self) -> Sequence[dict[str, Any]]:
        """Return the requests that wait."""
        return [_case(each) for each in self.requests.grants.cases.waiting()][:MAX_LISTED]

    async def approve(self, who: Speaker, prefix: str, shown: str, period: timedelta | None) -> dict[str, Any]:
        """Count an approval of what *shown* is the digest of; raises `WrongCase` where the case says something else."""
        if self.requests.grants.cases.found(prefix).digest() != shown:
            raise WrongCase("this is not what you were shown", mend="look at it again: `clearinghouse agent pending`")
        case, decision = await self.requests.approve(who, prefix, period)
        return _case(case) | {"outcome": "" if decision is None else decision.outcome.value}

    async def deny(self, who: Speaker, prefix: str, reason: str) -> dict[str, Any]:
        """End a request that waits with a no."""
        return _case(await self.requests.deny(who, prefix, reason[:MAX_REASON_CHARACTERS]))


def _grant(grant: Grant) -> dict[str, Any]:
    rule = rule_of(grant.request.claims)
    return {
        "id": grant.id,
        "domain": rule.remote,
        "address": rule.address,
        "user": rule.user,
        "packet": grant.request.claims.get("PacketType", "*"),
        "direction": grant.request.claims.get("direction", "*"),
        "requesters": list(grant.request.requesters),
        "since": stamp(grant.since),
        "until": stamp(grant.ends),
        "case": grant.case,
        "ended": "" if grant.ended is None else stamp(grant.ended),
        "why": "" if grant.why is None else grant.why.text,
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "state": case.state.value,
        "summary": case.summary(),
        "shown": case.digest(),
        "approvals": [each.person for each in case.approvals],
        "opened": stamp(case.opened),
        "expires": stamp(case.expires),
    }
