"""A recorded decision, case or grant as plain text for people: what was asked, what carried it, what was missing (pure).

Whoever reads this may `explain` (rule R22).  Each fact has a line of its own, and what others wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from clearinghouse.clearing.cases import Case, Grant
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.grid.texts import plain
from clearinghouse.keynote.principals import short
from clearinghouse.storage.recorded import Recorded

MAX_STEPS: Final = 20
"""Links, and as many assertions left out, that are told; the rest is counted."""

_MOMENT: Final = "%Y-%m-%d %H:%M:%S UTC"


def explained(recorded: Recorded | None, case: Case | None, grant: Grant | None) -> str:
    """Return the whole explanation, as far as there are facts."""
    lines: list[str] = []
    if recorded is not None:
        lines += _decision(recorded)
    if case is not None:
        lines += _case(case)
    if grant is not None:
        lines += _grant(grant)
    return "\n".join(lines)


def _decision(recorded: Recorded) -> Iterator[str]:
    decision = recorded.decision
    yield f"decision {decision.id}, {decision.at:{_MOMENT}}: {decision.outcome}, `{shown(decision.value)}`"
    if recorded.repeats:
        yield f"  the same question as in decision {recorded.repeats}, which was ruled on; what follows is said of that one"
    if recorded.erased is not None:
        yield f"  its facts were erased at {recorded.erased:{_MOMENT}}, as the settings say (`retention`)"
        return
    yield f"  {shown(decision.request.operation)} at the {decision.request.door} door, asked by"
    yield from (f"    {shown(short(name))}" for name in decision.request.requesters)
    yield f"  because {plain(decision.reason.text)} ({decision.reason.code})"
    if decision.ends is not None:
        yield f"  looked at again {decision.ends:{_MOMENT}}"
    yield f"  policy {decision.version[:12]}, engine {recorded.engine}, effect {recorded.effect}"
    yield from (f"  {shown(name)} = {shown(value)}" for name, value in sorted(recorded.attributes.items()))
    if recorded.proof is not None:
        yield from _proof(recorded.proof)


def _proof(proof: Mapping[str, Any]) -> Iterator[str]:
    if proof["chain"]:
        yield "  carried by"
    for link in proof["chain"][:MAX_STEPS]:
        clause = f", clause {'.'.join(map(str, link['clause']))}" if link["clause"] else ""
        to = ", ".join(shown(short(name)) for name in link["licensees"])
        yield f"    {link['channel']} {link['id'][:8]} ({shown(link['source'])}{clause}): {shown(short(link['authorizer']))} trusts {to}"
        yield from (f"      reads {shown(name)} = {shown(value)}" for name, value in link["reads"].items())
    for missing in proof["missing"]:
        yield f"  for `{shown(missing['value'])}` is missing"
        yield from (f"    {plain(step['text'])}" for step in missing["steps"])
    skipped = proof["skipped"]
    if skipped:
        yield "  left out, or gave nothing"
        yield from (
            f"    {each['id'][:8]} ({shown(each['source'])}): {shown(each['reason'])}, {plain(each['detail'])}"
            for each in skipped[:MAX_STEPS]
        )
    if len(skipped) > MAX_STEPS:
        yield f"    and {len(skipped) - MAX_STEPS} more"


def _case(case: Case) -> Iterator[str]:
    yield f"case {case.id}: {case.state}, opened {case.opened:{_MOMENT}}, in time until {case.expires:{_MOMENT}}"
    for each in case.approvals:
        word = f", on the word of {shown(each.vouched_by)}" if each.vouched_by else ""
        yield f"  approved by {shown(each.person)} at {each.at:{_MOMENT}}, at the {each.door} door{word}"
    if case.closed is not None:
        yield f"  {case.state} at {case.closed:{_MOMENT}} by {shown(case.by) or 'nobody'}{': ' + plain(case.why) if case.why else ''}"


def _grant(grant: Grant) -> Iterator[str]:
    yield f"grant {grant.id}: {shown(grant.holder)} may {shown(grant.request.operation)} {shown(grant.topic)}"
    yield f"  since {grant.since:{_MOMENT}}, looked at again {grant.ends:{_MOMENT}}, over for certain {grant.until:{_MOMENT}}"
    if grant.case:
        yield f"  approved in case {grant.case}"
    if grant.ended is not None:
        why = f" because {plain(grant.why.text)} ({grant.why.code})" if grant.why else ""
        yield f"  ended {grant.ended:{_MOMENT}}{why}; {shown(grant.affiliation)} at the node since"
