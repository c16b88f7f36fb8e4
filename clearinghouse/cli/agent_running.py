"""What ``agent`` does, apart from its options: run, or tell what it would start with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from clearinghouse import telemetry
from clearinghouse.agent.checks import Check, looked_at
from clearinghouse.agent.life import Outside, serve
from clearinghouse.cli import checked
from clearinghouse.cli.output import BAD_INPUT, DIM, STRONG, as_json, clean, mark, say
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.model import LogFormat
from clearinghouse.settings.reading import read_agent_settings


def run(config: Path, *, allow_demo: bool, json: bool) -> None:
    """Run the agent until it is told to end."""
    settings = read_agent_settings(config)
    telemetry.configure(as_json=json or settings.log.format is LogFormat.JSON)
    asyncio.run(serve(settings, Outside(allow_demo=allow_demo)))


def check(config: Path, *, allow_demo: bool, json: bool) -> None:
    """Print what would be loaded; exit status 2 where something would be left out."""
    settings = read_agent_settings(config)
    found = looked_at(settings, allow_demo=allow_demo)
    if json:
        as_json("agent", ok=found.good, **_members(found, settings))
    else:
        _tell_settings(settings, config)
        _tell_loaded(found)
        checked.tell_problems(found)
    if not found.good:
        raise typer.Exit(BAD_INPUT)


def _tell_settings(settings: AgentSettings, config: Path) -> None:
    say((clean(str(config)), STRONG), f": agent of {settings.domain} in {settings.community}, {settings.mode}")
    server = settings.server
    say(f"server {server.kind}, as {server.component} at {server.host}:{server.port}, for {', '.join(settings.governed)}", indent=2)
    for source in settings.source:
        say(f"source {source.kind} {clean(source.place)}", indent=2)
    say(f"table  of {settings.view}; once it has expired: {settings.when_expired}", indent=2)
    say(f"state  {clean(str(settings.state))}", indent=2)


def _tell_loaded(found: Check) -> None:
    for text in found.texts:
        say(mark(good=True), f" {text}")
    for group, loaded in found.holdings.policies.items():
        if loaded:
            say(mark(good=True), f" {len(loaded)} in {group}")
            for each in loaded:
                say((clean(each.source), DIM), indent=4)


def _members(found: Check, settings: AgentSettings) -> dict[str, object]:
    return {
        "community": settings.community,
        "domain": settings.domain,
        "hosts": list(settings.governed),
        "mode": settings.mode.value,
        "principal": found.principal,
        "sources": [{"kind": each.kind.value, "place": each.place} for each in settings.source],
        "settings_say": list(found.texts),
        **checked.members(found),
    }
