"""Readers of today's lists take any bytes: an answer, or an error of ours, in bounded time and never anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.importing import lua
from clearinghouse.importing.gather import Format, gathered
from clearinghouse.importing.merged import merged
from tests.docs.pages import ROOT, blocks
from tests.fuzz.lists_target import ENDINGS, check_as

WORDS = (
    *(
        "VirtualHost",
        "Component",
        '"a.example"',
        "'b.example'",
        "s2s_whitelist",
        "modules_enabled",
        "=",
        "{",
        "}",
        "(",
        ")",
        "..",
        ",",
        ";",
    ),
    *("local", "function", "end", "if", "then", "[[", "]]", "--", "--[==[", "]==]", "\n", " ", "-", "not", "Include", "7", "[", "]", "x"),
    *("hosts:", "acl:", "server:", "- ", "&a", "*a", "  ", "access_rules:", "allow:", "deny:", "s2s_access:", "define_macro:", "{a: b}"),
    *(
        "!!x",
        "%LIST",
        "::deliver",
        "FROM:",
        "<*>@c.example",
        "DROP.",
        "PASS.",
        "CHECK LIST: l contains $<@to|host>",
        "NOT ",
        '"',
        "#",
        "\0",
    ),
)
texts = st.lists(st.sampled_from(WORDS)).map("".join)
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@given(texts, st.sampled_from(ENDINGS))
@settings(max_examples=150, deadline=None)
def test_words_of_all_formats_in_any_order(text: str, ending: str) -> None:
    check_as(text.encode(), ending)


@given(st.binary(max_size=400), st.sampled_from(ENDINGS))
@settings(max_examples=100, deadline=None)
def test_any_bytes(data: bytes, ending: str) -> None:
    check_as(data, ending)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "data",
    [
        b"{" * 50_000,
        b"[" * 50_000,
        b"a: " * 20_000,
        b"-\n" * 10_000,
        b'"' * 100_001,
        b"x = {\n" * 10_000,
        b"\0" * 50_000,
        b"\xff" * 50_000,
    ],
    ids=["braces", "brackets", "mappings", "dashes", "quotes", "tables", "zeros", "no-utf-8"],
)
def test_large_hostile_files(data: bytes, ending: str) -> None:
    check_as(data, ending)


@given(st.lists(st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True), max_size=20))
@settings(max_examples=40)
def test_every_way_to_write_a_list_gives_the_same_members(domains: list[str]) -> None:
    quoted = ", ".join(f'"{domain}"' for domain in domains)
    ways = {
        "a.lua": f'modules_enabled = {{ "s2s_whitelist" }}\ns2s_whitelist = {{ {quoted} }}\nVirtualHost "here.test"\n',
        "a.yml": f"hosts: [here.test]\nacl: {{p: {{server: [{quoted}]}}}}\naccess_rules: {{s: {{allow: p}}}}\ns2s_access: s\n",
        "a.csv": "domain\n" + "\n".join(domains),
        "a.txt": "\n".join(domains),
    }
    with TemporaryDirectory() as folder:
        answers = set()
        for name, text in ways.items():
            path = Path(folder) / name
            path.write_text(text)
            found, problems = gathered([path], local="here.test")
            imported = merged(found, community="net", now=NOW)
            assert (problems, imported.unread) == ([], ())
            answers.add((tuple(member.domain for member in imported.members), imported.today[0].inbound, imported.today[0].outbound))
    assert len(answers) == 1


CONFIGURATIONS = [
    pytest.param(block.text, kind, id=f"{path.name}-{block.line}")
    for path in sorted((ROOT / "docs/how-to").glob("*.md"))
    for language, kind in (("lua", Format.PROSODY), ("yaml", Format.EJABBERD))
    for block in blocks(path, language)
]


@pytest.mark.parametrize("text, kind", CONFIGURATIONS)
def test_configurations_on_our_own_pages_are_read_whole(text: str, kind: Format, tmp_path: Path) -> None:
    (tmp_path / "page").write_text(text)
    found, problems = gathered([tmp_path / "page"], kind=kind)
    assert problems == []
    # What a page includes is another block of it, and stands in another place.
    assert [row for row in found.unread if "nclude" not in row.text] == []


def test_there_are_configurations_of_both_servers() -> None:
    assert {str(each.values[1]) for each in CONFIGURATIONS} == {"prosody", "ejabberd"}


def test_reading_lua_is_linear_enough() -> None:
    rows = "".join(f'"h{number}.example", -- note\n' for number in range(20_000))
    (statement,) = lua.read(f"x = {{\n{rows}}}").statements
    assert isinstance(statement, lua.Assigned)
