"""Recorded decisions as people read them: a list of many, the whole explanation of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.style import Style
from rich.text import Text

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import operation_named
from clearinghouse.cli.drawing import draw
from clearinghouse.cli.loading import Loaded
from clearinghouse.cli.output import BAD, CAUTION, GOOD, ID_SHOWN, STRONG, as_json, clean, mark, say
from clearinghouse.cli.tabular import tell_table
from clearinghouse.errors import BadSettings
from clearinghouse.keynote import Admitted, Limits, Proof, admit
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import short
from clearinghouse.runtime.records.replay import Replayed, replay
from clearinghouse.settings import read_settings
from clearinghouse.storage.named import read_named
from clearinghouse.storage.store import Effect, Recorded

STYLES: Final[dict[Outcome, Style]] = {
    Outcome.GRANTED: GOOD,
    Outcome.PENDING: CAUTION,
    Outcome.REFUSED: BAD,
    Outcome.UNANSWERED: CAUTION,
}
EFFECTS: Final[dict[Effect, str]] = {
    Effect.NONE: "nothing to carry out",
    Effect.OWED: "still to be carried out",
    Effect.DONE: "carried out",
    Effect.DROPPED: "never carried out, policy changed first",
}


def show_latest(config: Path, last: int, *, json: bool) -> None:
    """Print the *last* decisions of the store that the settings in *config* name."""
    found = asyncio.run(_latest(config, last))
    if json:
        as_json("decisions", ok=True, decisions=[members(each) for each in found])
    else:
        tell_many(found)


def show(config: Path, identity: str, *, json: bool) -> None:
    """Print one decision with its explanation."""
    found, replayed = asyncio.run(_one(config, identity))
    if json:
        as_json("decisions", ok=True, decision=members(found), agrees=replayed.agrees if replayed else None)
    else:
        tell(found, replayed)


async def _latest(config: Path, last: int) -> Sequence[Recorded]:
    async with read_named(read_settings(config).store) as store:
        return await store.decisions(last)


async def _one(config: Path, identity: str) -> tuple[Recorded, Replayed | None]:
    async with read_named(read_settings(config).store) as store:
        found = await store.decision(identity)
        if found is None:
            raise BadSettings(
                f"`{clean(identity)}` names no single decision",
                mend="give an id of the list or the log, or as much of its beginning as no other has",
            )
        return found, await replay(found, store)


def tell_many(found: Sequence[Recorded]) -> None:
    """Print one row for each decision, oldest first."""
    if not found:
        say("there are no decisions yet")
        return
    tell_table(("id", "UTC", "outcome"), ("who", "topic", "reason"), [_row(each.decision) for each in found])


def _row(decision: Decision) -> tuple[str | Text, ...]:
    outcome = Text(decision.outcome, STYLES[decision.outcome])
    return decision.id[:ID_SHOWN], f"{decision.at:%Y-%m-%d %H:%M}", outcome, _who(decision), _topic(decision), decision.reason.code


def tell(recorded: Recorded, replayed: Replayed | None) -> None:
    """Print one decision: what was asked and answered, and the delegations that carried it or failed."""
    decision = recorded.decision
    say((f"decision {decision.id}", STRONG), f", {decision.at:%Y-%m-%d %H:%M:%S} UTC")
    say((decision.outcome, STYLES[decision.outcome] + STRONG), f": {_who(decision)}, {_what(decision)}")
    say(f"because {clean(decision.reason.text)} ({decision.reason.code})", indent=2)
    if recorded.repeats:
        say(f"the same question as in decision {recorded.repeats}, answered again (rule R20)", indent=2)
    if decision.ends and decision.request.place:
        say(f"holds until {decision.ends:%Y-%m-%d %H:%M:%S} UTC at the latest; the broker is told then", indent=2)
    after = f" after {recorded.latency.total_seconds() * 1000:.0f} ms" if recorded.latency else ""
    say(f"{EFFECTS[recorded.effect]}{after}", indent=2)
    say(f"policy {decision.version[:12]}, engine {recorded.engine}", indent=2)
    if replayed is None:
        say("nothing was proven, so there is nothing to draw", indent=2)
        return
    tell_again(replayed)


def tell_again(replayed: Replayed) -> None:
    """Draw the delegations of a decision that was proven again."""
    proof = replayed.decision.proof
    if not replayed.agrees or proof is None:
        say(mark(good=False), f" proven again today, the answer would be `{clean(replayed.decision.value)}`, {replayed.decision.outcome}")
    if proof is not None:
        say("")
        request = replayed.decision.request
        group = operation_named(request.operation).group
        approvals = tuple(admit(raw, limits=Limits.local(), source="approved by people, for this request") for raw in request.approvals)
        admitted = (*replayed.holdings.policies.get(group, ()), *replayed.holdings.credentials, *approvals)
        seen = tuple(each for each in admitted if _is_seen(each, proof, replayed.holdings.snapshot))
        loaded = Loaded(replayed.holdings.snapshot.approved(group).with_credentials(approvals), seen, (), {})
        draw(proof, loaded, tuple(map(from_octets, proof.context.scale.names)), everything=False)


def _is_seen(assertion: Admitted, proof: Proof, snapshot: Snapshot) -> bool:
    """Whether the query of *proof* looked at *assertion*: a first one does without the desk (rule R2), which is no revocation."""
    by_desk = assertion.authorizer is not None and assertion.authorizer == snapshot.desk
    return not by_desk or snapshot.desk in snapshot.revoked or snapshot.desk not in proof.held.revoked


def members(recorded: Recorded) -> dict[str, Any]:
    """Return a decision in the documented schema (``docs/reference/json.md``)."""
    decision = recorded.decision
    return {
        "id": decision.id,
        "at": decision.at.isoformat(),
        "operation": decision.request.operation,
        "door": decision.request.door,
        "requesters": list(decision.request.requesters),
        "attributes": dict(recorded.attributes),
        "outcome": decision.outcome,
        "value": decision.value,
        "values": list(recorded.values),
        "reason": {"code": decision.reason.code, "text": decision.reason.text},
        "ends": decision.ends.isoformat() if decision.ends else None,
        "snapshot": decision.version,
        "engine": recorded.engine,
        "effect": recorded.effect,
        "effect_done_at": recorded.effect_done_at.isoformat() if recorded.effect_done_at else None,
        "latency_ms": recorded.latency.total_seconds() * 1000 if recorded.latency else None,
        "proof": recorded.proof,
        "repeats": recorded.repeats or None,
    }


def _who(decision: Decision) -> str:
    return clean(short(next(iter(decision.request.requesters), "nobody")).removeprefix("xmpp:"))


def _what(decision: Decision) -> str:
    return f"{decision.request.operation} {_topic(decision)}".strip()


def _topic(decision: Decision) -> str:
    observed = decision.request.observed
    return clean(observed.get("topic") or observed.get("to_domain", ""))
