"""Names of servers: one form for each, and none for what is no name."""

from __future__ import annotations

import pytest

from clearinghouse.federation.names import BadName, below, normal


@pytest.mark.parametrize(
    "text, name",
    [
        ("chat.example.org", "chat.example.org"),
        ("Chat.Example.ORG", "chat.example.org"),
        ("chat.example.org.", "chat.example.org"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),  # a letter and its dots, apart
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA of 2008 keeps it; that of 2003 made it strasse
        ("strasse.example", "strasse.example"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),  # an ideographic full stop
        ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.org", "example.org"),  # full-width letters
        ("\u200bexample.org", "example.org"),  # what nobody sees makes no other name
        ("r3---sn-x.example", "r3---sn-x.example"),
        ("1.example", "1.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_one_form(text: str, name: str) -> None:
    assert normal(text) == name
    assert normal(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a..b",
        ".example.org",
        "example.org..",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "a\n.example",
        "a\0.example",
        "*.example.org",
        "*",
        "user@example.org",
        "example.org/resource",
        "example.org:5269",
        "https://example.org",
        "192.0.2.1",
        "192.0.2.1.",
        "1",
        "[2001:db8::1]",
        "2001:db8::1",
        "xn--",
        "xn--a",  # decodes to nothing that has this form
        "xn--BCHER-KVA9.example",
        "exa\u00admple\u202e.org",
        "\ud800.example",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "a" * 2000,
        "ß" * 64 + ".example",
        "१.१",  # digits of another script, mapped to none of ours
        'a".example',
    ],
)
def test_no_name(text: str) -> None:
    with pytest.raises(BadName) as refused:
        normal(text)
    assert refused.value.code == "bad-name"
    assert refused.value.message.isprintable()
    assert refused.value.mend


@pytest.mark.parametrize(
    "name, parent, inside",
    [
        ("example.org", "example.org", True),
        ("chat.example.org", "example.org", True),
        ("a.b.example.org", "example.org", True),
        ("badexample.org", "example.org", False),
        ("example.org", "chat.example.org", False),
        ("example.org.evil.example", "example.org", False),
        ("example-org", "org", False),
    ],
)
def test_below_compares_whole_labels(name: str, parent: str, inside: bool) -> None:  # noqa: FBT001 - a row of a table
    assert below(name, parent) is inside


def test_names_that_look_alike_are_two() -> None:
    latin, cyrillic = normal("apple.example"), normal("аpple.example")  # noqa: RUF001 - that is the point
    assert latin != cyrillic
    assert cyrillic.startswith("xn--")
