"""The settings on the page start an agent: with the first two of its sources away, it follows the third."""

from __future__ import annotations

from pathlib import Path

from clearinghouse.agent.life import Outside, running
from clearinghouse.agent.sources.files import Files
from clearinghouse.demo.server_module import MemoryLink, MemoryServer
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.settings.reading import parse_agent_settings
from tests.agent.community import US, Hub, RealClock
from tests.agent.houses import until
from tests.docs.pages import ROOT, blocks
from tests.world import key

[PAGE] = [block.text for block in blocks(ROOT / "docs/how-to/run-an-agent.md", "toml")]


async def test_the_settings_on_the_page_start_an_agent(tmp_path: Path) -> None:
    hub = Hub(RealClock())
    hub.publish({"b.example": "level-2", "c.example": "level-1"})
    hub.export(tmp_path / "community")
    for folder in ("policies", "credentials"):
        (tmp_path / folder).mkdir()
    write_key_file(tmp_path / "agent.key", key("agent a"))
    text = PAGE.replace("0" * 64, hub.pin).replace("/var/lib/clearinghouse/agent", str(tmp_path / "state"))
    text = text.replace("/srv/community", str(tmp_path / "community")).replace("https://hub.example:8443", "https://localhost:1")
    settings = parse_agent_settings(text.replace('"shadow"', '"enforce"'), file="agent.toml", directory=tmp_path)
    server = MemoryServer(US, "agent.a.example", lambda: int(hub.clock().timestamp()))
    link = MemoryLink(server)
    link.exchange.reply_seconds = 0.2
    async with running(settings, Outside(link=lambda _: link, allow_demo=True, pause=0.01)) as agent:
        await until(lambda: server.passes("b.example"))
        assert not server.passes("c.example")
        assert server.images[US].hosts == ("a.example", "muc.a.example")
        assert isinstance(agent.sources.used, Files)
