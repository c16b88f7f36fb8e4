"""The findings, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.style import Style

from clearinghouse.cli.output import BAD, CAUTION, DIM, STRONG, as_json, clean, finish, say
from clearinghouse.cli.reading import instant
from clearinghouse.doctor.catalogue import Finding, Severity, findings
from clearinghouse.doctor.checks import ALL
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.gathering import Asked, gathered
from clearinghouse.errors import BadSettings

AGENT: Final = Path("agent.toml")
"""What is inspected where nothing is named."""

_STYLES: Final[dict[Severity, Style]] = {Severity.DANGER: BAD, Severity.WARNING: CAUTION, Severity.NOTE: Style(color="cyan")}


def report(asked: Asked, now: str | None, *, json: bool) -> None:
    """Inspect, tell, and end with 1 where something more than a note was found."""
    if asked == Asked():
        if not AGENT.exists():
            raise BadSettings(
                "nothing says what to inspect", mend="name a configuration, as in `--prosody FILE`, or an agent's with `--agent FILE`"
            )
        asked = replace(asked, agent=AGENT)
    facts = gathered(asked, instant(now))
    found = list(findings(facts, ALL.values()))
    counts = Counter(finding.severity for finding in found)
    ok = not (counts[Severity.DANGER] or counts[Severity.WARNING])
    summary = {severity.value: counts[severity] for severity in Severity}
    if json:
        as_json("doctor", ok=ok, inspected=_inspected(facts), summary=summary, findings=[each.as_json() for each in found])
    else:
        _tell(found, facts)
    finish(ok=ok)


def _tell(found: Sequence[Finding], facts: Facts) -> None:
    for finding in found:
        say((finding.severity.value, _STYLES[finding.severity]), (f" {finding.check.id} {finding.check.name}", STRONG))
        say(clean(f"{finding.where}: {finding.what}"), indent=2)
        say((finding.check.mend, DIM), indent=2)
    counts = Counter(finding.severity for finding in found)
    told = ", ".join(_counted(counts[severity], severity) for severity in Severity if counts[severity])
    say(f"{told or 'nothing unsafe'} in {', '.join(_inspected(facts)) or 'nothing that was named'}")


def _counted(number: int, severity: Severity) -> str:
    return f"{number} {severity.value}{'' if number == 1 else 's'}"


def _inspected(facts: Facts) -> list[str]:
    """Return what there was to look at; what is not in it was not judged."""
    known = {
        "the configuration of Prosody": facts.prosody,
        "the configuration of ejabberd": facts.ejabberd,
        "the agent's settings": facts.agent,
        "the clearinghouse's settings": facts.clearinghouse,
        "the running server": facts.live,
        "the agent's status": facts.status,
        "the agent's images": facts.images,
        "certificates": facts.certificates,
        "DNS data": facts.dns,
        "members": facts.members,
        "the door's certificates": facts.presented or facts.door_pins,
        "reports of agents": facts.reports,
    }
    return [name for name, there in known.items() if there]
