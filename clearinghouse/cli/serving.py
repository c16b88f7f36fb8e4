"""What ``serve`` does, apart from its options: run the service, or tell what it would start with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import typer

from clearinghouse import telemetry
from clearinghouse.cli import checked
from clearinghouse.cli.output import BAD_INPUT, DIM, STRONG, as_json, clean, mark, say
from clearinghouse.runtime.checks import Check, looked_at
from clearinghouse.runtime.service import serve
from clearinghouse.settings import LogFormat, Redirect, Settings, read_settings

_SHOWN: Final = 20
"""Sources that are listed; the rest are counted."""


def run(config: Path, *, json: bool) -> None:
    """Run the service until it is told to end."""
    settings = read_settings(config)
    telemetry.configure(as_json=json or settings.log.format is LogFormat.JSON)
    asyncio.run(serve(settings))


def check(config: Path, *, json: bool) -> None:
    """Print what would be loaded; exit status 2 where something would be left out."""
    settings = read_settings(config)
    found = looked_at(settings)
    if json:
        as_json("serve", ok=found.good, **_members(found, settings))
    else:
        _tell_settings(settings, config)
        _tell_loaded(found)
        checked.tell_problems(found)
    if not found.good:
        raise typer.Exit(BAD_INPUT)


def _tell_settings(settings: Settings, config: Path) -> None:
    say((clean(str(config)), STRONG), f": community {settings.community}")
    for broker in settings.broker:
        say(f"broker {broker.jid}, as {broker.component} at {broker.host}:{broker.port}", indent=2)
    for topic in settings.topic:
        say(f"topic  {clean(topic.node)} of {topic.broker}, {clean(topic.payload_type)}", indent=2)
    say(f"store  {clean(_store(settings))}", indent=2)
    if settings.redirect is not None:
        say(f"door   {clean(_door(settings.redirect))}", indent=2)


def _door(redirect: Redirect) -> str:
    """Return what the door calls itself, where it listens, and what a peer must prove there."""
    places = [*redirect.listen, *(f"{each} (TLS from the first byte)" for each in redirect.listen_tls)]
    return f"{redirect.name} at {', '.join(places)}; require {redirect.require}"


def _store(settings: Settings) -> str:
    """Return where the store is."""
    if settings.store.url_file is not None:
        return f"in PostgreSQL, as {settings.store.url_file} says"
    return str(settings.store.path) + ("" if settings.store.path.exists() else ", not made yet")


def _tell_loaded(found: Check) -> None:
    for group, loaded in found.holdings.policies.items():
        if loaded:
            say(mark(good=True), f" {_counted(len(loaded), 'policy', 'policies')} in {group}")
            _tell_sources(sorted(each.source for each in loaded))
    say(mark(good=True), f" {_counted(len(found.holdings.credentials), 'credential', 'credentials')}")
    _tell_sources(sorted(each.source for each in found.holdings.credentials))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _tell_sources(sources: list[str]) -> None:
    for source in sources[:_SHOWN]:
        say((clean(source), DIM), indent=4)
    if len(sources) > _SHOWN:
        say((f"and {len(sources) - _SHOWN} more", DIM), indent=4)


def _members(found: Check, settings: Settings) -> dict[str, object]:
    return {
        "community": settings.community,
        "brokers": [each.jid for each in settings.broker],
        "topics": [each.node for each in settings.topic],
        **({} if settings.redirect is None else {"door": settings.redirect.name}),
        "credentials": [each.source for each in found.holdings.credentials],
        **checked.members(found),
    }
