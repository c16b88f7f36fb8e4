"""From settings to sources."""

from __future__ import annotations

from typing import assert_never

from clearinghouse.agent.home.links import Link
from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.files import Files
from clearinghouse.agent.sources.https import Https
from clearinghouse.agent.sources.source import Source
from clearinghouse.agent.sources.xmpp import Xmpp
from clearinghouse.settings import agent as told
from clearinghouse.settings.agent import AgentSettings, SourceKind


def sources_of(settings: AgentSettings, speaker: Speaker, link: Link) -> Failover:
    """Return the sources that *settings* describe, in their order."""
    return Failover([_source(each, settings, speaker, link) for each in settings.source])


def _source(each: told.Source, settings: AgentSettings, speaker: Speaker, link: Link) -> Source:
    match each.kind:
        case SourceKind.HTTPS:
            return Https(each.url or "", speaker, settings.view, each.ca)
        case SourceKind.XMPP:
            return Xmpp(each.component or "", settings.server.component, link.exchange, each.broker or "", settings.view)
        case SourceKind.FILES:
            assert each.directory is not None  # noqa: S101 - the settings see to it
            return Files(each.directory)
    assert_never(each.kind)
