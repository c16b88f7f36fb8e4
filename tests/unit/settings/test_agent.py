from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.errors import BadSettings
from clearinghouse.settings.agent import NAMES, TABLES, AgentSettings, Mode, SourceKind, WhenExpired
from clearinghouse.settings.reading import parse_agent_settings, read_agent_settings
from tests.docs.pages import ROOT, blocks

HOME = Path("/srv/agent")
[PAGE] = [block.text for block in blocks(ROOT / "docs/how-to/run-an-agent.md", "toml")]


def parse(text: str) -> AgentSettings:
    return parse_agent_settings(text, file="agent.toml", directory=HOME)


def test_the_file_on_the_page_is_read_whole() -> None:
    found = parse(PAGE)
    assert (found.community, found.domain, found.view, found.mode) == ("csirt-net", "a.example", "a.example", Mode.SHADOW)
    assert found.governed == ("a.example", "muc.a.example")
    assert [each.kind for each in found.source] == [SourceKind.HTTPS, SourceKind.XMPP, SourceKind.FILES]
    assert (found.key_file, found.server.secret_file) == (HOME / "agent.key", HOME / "secrets/agent.a.example")


def test_what_is_left_out_is_the_safe_choice() -> None:
    found = parse(PAGE.replace('mode = "shadow"\n', "").replace('when_expired = "closed"\n', ""))
    assert (found.mode, found.when_expired, found.ask) == (Mode.ENFORCE, WhenExpired.CLOSED, False)
    assert found.grace == timedelta(0)


@pytest.mark.parametrize(
    "old, new, fact, mend",
    [
        ('mode = "shadow"', 'mod = "shadow"', "line 7: `mod` is not a setting", "did you mean `mode`?"),
        ('mode = "shadow"', 'mode = "watch"', "line 7: `mode` is not usable", "'enforce' or 'shadow'"),
        ("0" * 64, "0" * 63, "line 5: `root_digest` is `000", "64 hexadecimal digits"),
        ('when_expired = "closed"', 'when_expired = "keep"', "`keep_for` is missing", 'keep_for = "12 hours"'),
        ('mode = "shadow"', 'mode = "shadow"\nkeep_for = "1 hour"', "`keep_for` is set, and nothing is kept", 'when_expired = "keep"'),
        ('"a.example", "muc.a.example"', '"a.example", "a.example"', "`hosts` names a host twice", "name each once"),
        ('kind = "https"', 'kind = "files"', "is of the kind `files` and has no `directory`", "add `directory = ...`"),
        ("https://hub.example:8443", "http://hub.example", "`url` in [[source]] number 1 is `http://hub.example`", "https://hub.example"),
        ('directory = "/srv/community"', 'directory = "/x"\nurl = "https://x.example"', "has `url`", "describe another source"),
        ("[admit]", '[[stanzas]]\nlevel = "level-1"\n\n[[stanzas]]\nlevel = "level-1"\n\n[admit]', "describes a level twice", "once"),
        ('domain = "a.example"', 'domain = "A.example"', "`domain` is `A.example`, which is no domain", "lower case"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_mend(old: str, new: str, fact: str, mend: str) -> None:
    assert old in PAGE
    with pytest.raises(BadSettings) as refused:
        parse(PAGE.replace(old, new, 1))
    assert fact in str(refused.value)
    assert mend in str(refused.value)


def test_a_file_that_is_not_there_is_told_with_the_page_that_has_one(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"run-an-agent\.md"):
        read_agent_settings(tmp_path / "agent.toml")


@pytest.mark.parametrize("section", NAMES)
def test_the_reference_page_names_every_setting(section: str) -> None:
    text = (ROOT / "docs/reference/agent-settings.md").read_text()
    kind = f"## `[{section}]`" if section in TABLES or section == "server" else f"## `[[{section}]]`"
    part = text.partition("## At the top" if not section else kind)[2].partition("\n## ")[0]
    sections = {*NAMES} - {""}
    assert [name for name in NAMES[section] if f"`{name}`" not in part and name not in sections] == []
