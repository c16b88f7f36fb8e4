"""What is plain in a Lua configuration is read, everything else is named with its lines, and nothing is run."""

from __future__ import annotations

import pytest

from clearinghouse.importing import lua
from clearinghouse.importing.lua import Assigned, Called, Dark, Skipped, Table


def only(text: str) -> lua.Statement:
    (statement,) = lua.read(text).statements
    return statement


def value(text: str) -> lua.Plain:
    statement = only(f"x = {text}")
    assert isinstance(statement, Assigned)
    return statement.value.plain


@pytest.mark.parametrize(
    "written, meant",
    [
        ('"a.example"', "a.example"),
        ("'a.example'", "a.example"),
        ("[[a.example]]", "a.example"),
        ("[==[a]]b]==]", "a]]b"),
        (r'"\97\x2e\u{65}\z   xample"', "a.example"),
        (r'"tab\tquote\""', 'tab\tquote"'),
        ('"a" .. ".ex" .. "ample"', "a.example"),
        ("5269", 5269),
        ("0x10", 16),
        ("1.5", 1.5),
        ("-3", -3),
        ("true", True),
        ("not true", False),
        ("nil", None),
    ],
)
def test_literals_are_what_they_mean(written: str, meant: object) -> None:
    assert value(written) == meant


@pytest.mark.parametrize(
    "written, what",
    [
        ('os.getenv("LIST")', "the name `os`"),
        ('ENV_LIST or "x"', "`or`"),
        ("other", "the name `other`"),
        ("function () return { 1 } end", "a function"),
        ("1 + 2", "`+`"),
        ('("x")', "an expression in brackets"),
        ("#list", "`#`"),
        ('require "x".list[1]', "the name `require`"),
    ],
)
def test_what_only_running_would_tell_is_said_to_be_so(written: str, what: str) -> None:
    assert value(written) == Dark(what)


def test_a_table_has_items_and_names_each_with_its_line() -> None:
    found = value("{ 'a';\n 'b', -- no c\n [1] = 'd', port = 5269, ['x y'] = true }")
    assert isinstance(found, Table)
    assert [(each.plain, each.line) for each in found.items] == [("a", 1), ("b", 2), ("d", 3)]
    assert {name: each.plain for name, each in found.fields.items()} == {"port": 5269, "x y": True}


def test_comments_are_kept_by_line_and_hold_no_settings() -> None:
    program = lua.read("x = 1 -- one\n--[[ y = 2\n]] z = 3 --[==[ long ]==]\n---- four")
    assert [each.name for each in program.statements if isinstance(each, Assigned)] == ["x", "z"]
    assert program.comments == {1: "one", 4: "four"}


def test_a_local_name_can_be_used() -> None:
    (assigned,) = lua.read('local list = { "a" }\nx = list').statements
    assert isinstance(assigned, Assigned)
    assert isinstance(assigned.value.plain, Table)


@pytest.mark.parametrize(
    "text, arguments",
    [
        ('VirtualHost "a"', ["a"]),
        ('VirtualHost("a")', ["a"]),
        ('VirtualHost ( "a" )', ["a"]),
        ('VirtualHost "a" "muc"', ["a", "muc"]),
    ],
)
def test_calls_with_texts_are_read(text: str, arguments: list[str]) -> None:
    statement = only(text)
    assert isinstance(statement, Called)
    assert [each.plain for each in statement.arguments] == arguments


@pytest.mark.parametrize(
    "text, line, last",
    [
        ("if x then\n y = 1\nelse\n y = 2\nend", 1, 5),
        ("for i = 1, 2 do y = i end", 1, 1),
        ("while true do\n if x then y = 1 end\nend", 1, 3),
        ("repeat y = 1 until x", 1, 1),
        ("local function f()\n y = 1\nend", 1, 3),
        ("options.y = 1", 1, 1),
        ("y, z = 1, 2", 1, 1),
        ('y["a"] = 1', 1, 1),
    ],
)
def test_other_statements_are_skipped_whole(text: str, line: int, last: int) -> None:
    program = lua.read(text + "\nafter = 7")
    first, after = program.statements
    assert isinstance(first, Skipped)
    assert (first.line, first.last) == (line, last)
    assert after == Assigned("after", lua.Value(7, last + 1), last + 1)


@pytest.mark.parametrize("text", ["x = " + "{" * 10_000, "x = " + "not " * 10_000, "x = " + "-(" * 10_000, "(" * 10_000, "do " * 10_000])
def test_depth_is_bounded(text: str) -> None:
    assert len(lua.read(text).statements) == 1
