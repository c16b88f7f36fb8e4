"""`~=`: what POSIX patterns find, what their groups hold, what is refused, and what it costs."""

from __future__ import annotations

from contextlib import suppress

import pytest

from clearinghouse.keynote import patterns
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.patterns import CAPTURES, KEPT, PASSING, cost, search
from clearinghouse.keynote.posix.agreement import settled
from clearinghouse.keynote.posix.parser import DUP_MAX, GROUP_DEPTH, parse
from clearinghouse.keynote.posix.re2_syntax import written_for_re2
from clearinghouse.keynote.posix.submatches import OPERATIONS, bound
from clearinghouse.keynote.posix.tree import PatternFault

EVERY_BYTE = "".join(map(chr, range(256)))


def members(bracket: str) -> str:
    """Return every byte that the bracket expression (or other pattern for one byte) matches."""
    return "".join(byte for byte in EVERY_BYTE if search(f"^{bracket}$", byte))


@pytest.mark.parametrize(
    "pattern, text, groups",
    [
        pytest.param("B", "bar", None, id="letter case counts"),
        pytest.param("a", "bar", "0", id="found anywhere"),
        pytest.param("^a", "bar", None, id="anchored at the start"),
        pytest.param("r$", "bar", "0", id="anchored at the end"),
        pytest.param("r$", "bar\n", None, id="a newline comes before the end"),
        pytest.param("^b", "a\nb", None, id="a line is not the text"),
        pytest.param("^a.b$", "a\nb", "0", id="a dot is also a newline"),
        pytest.param("^a[^x]b$", "a\nb", "0", id="a newline is in an inverted set"),
        pytest.param("^...$", "\xc3\xbcm", "0", id="a dot is one byte"),
        pytest.param("^.$", "\xff", "0", id="a byte that is no UTF-8"),
        pytest.param("^a.b$", "a\0b", "0", id="a NUL is a byte"),
        pytest.param("\0", "a\0b", "0", id="a NUL in the pattern"),
        pytest.param("^$", "", "0", id="the empty text"),
        pytest.param("^$", "a", None, id="not empty"),
        pytest.param("a^b", "a^b", None, id="an anchor in the middle"),
        pytest.param("a$b", "a$b", None, id="an end in the middle"),
        pytest.param("(^a|b$)c?", "xb", "1 b", id="anchors in a group"),
        pytest.param("(^|,)b(,|$)", "a,b", "2 , ''", id="a separator or an edge"),
        pytest.param("x|y", "ay", "0", id="branches"),
        pytest.param("^ab*c+d?$", "acc", "0", id="repetitions"),
        pytest.param("^a{2}$", "aa", "0", id="an exact count"),
        pytest.param("^a{2,}$", "aaaa", "0", id="a least count"),
        pytest.param("^a{2,3}$", "aaaa", None, id="beyond the most"),
        pytest.param("^(a){0}b$", "b", "1 ''", id="a count of nothing"),
        pytest.param("^(ab){1}$", "ab", "1 ab", id="a count of one"),
        pytest.param("^a{0255}$", "a" * 255, "0", id="the largest count"),
        pytest.param("^a}]$", "a}]", "0", id="what closes nothing is ordinary"),
        pytest.param(r"^\^\.\[\]\$\(\)\|\*\+\?\{\}\\$", "^.[]$()|*+?{}\\", "0", id="every escape"),
        pytest.param(r"^(.*)\.(com|net)$", "a.example.net", "2 a.example net", id="host name"),
        pytest.param("^([a-z]+)@([a-z.]+)$", "alice@example.com", "2 alice example.com", id="address"),
        pytest.param("([0-9]+)", "room-42", "1 42", id="number in a text"),
        pytest.param("(a)(b)(c)(d)", "abcd", "4 a b c d", id="four groups"),
    ],
)
def test_search(pattern: str, text: str, groups: str | None) -> None:
    assert search(pattern, text) == expected(groups)


@pytest.mark.parametrize(
    "pattern, text, groups",
    [
        pytest.param("(x)?(a)", "bar", "2 '' a", id="a group that took no part is empty, those after it are not"),
        pytest.param("(x|xy)(y?)", "xyab", "2 xy ''", id="the longer branch"),
        pytest.param("(a|ab)(c|bcd)(d*)", "abcd", "3 ab c d", id="the longer first part, not the longer second"),
        pytest.param("(a|ab)(bcd|c)(d*)", "abcd", "3 ab c d", id="the order of branches does not matter"),
        pytest.param("(wee|week)(knights|night)", "weeknights", "2 wee knights", id="the whole match first"),
        pytest.param("(a*)(b|abc)", "abc", "2 '' abc", id="a first part gives way to the whole match"),
        pytest.param("(a*)(abc|b)(c*)", "abc", "3 a b c", id="and takes all it can otherwise"),
        pytest.param("((a?)(ab)?)(b?)", "ab", "4 ab '' ab ''", id="an outer group before its inner ones"),
        pytest.param("(a+|b+|c)*", "aabbc", "1 c", id="the last iteration counts"),
        pytest.param("((a)|b)*", "ab", "2 b ''", id="a group of an earlier iteration is forgotten"),
        pytest.param("(ab|a|bcd)*(d*)", "abcd", "2 bcd ''", id="iterations that reach the longest match"),
        pytest.param("(a|ab|abc|abcd)*", "ababcdabc", "1 abc", id="each iteration takes the most"),
        pytest.param("(a*)*", "b", "1 ''", id="one null iteration"),
        pytest.param("(a*)+", "aa", "1 aa", id="no null iteration behind another"),
        pytest.param("(b*|a){2,}", "ab", "1 b", id="as few null iterations as the count asks for"),
        pytest.param("(a?){3}", "a", "1 ''", id="null iterations that the count asks for come last"),
        pytest.param("(^|a){2}", "a", "1 a", id="or first, where an anchor wants it"),
        pytest.param("(a)|(b)", "b", "2 '' b", id="the branch that took no part"),
        pytest.param("(a)|(a)", "a", "2 a ''", id="of equal branches the first"),
        pytest.param("a|(a)", "a", "1 ''", id="of equal branches the first, without a group"),
        pytest.param("(a|ab)c|(ab)c", "xabc", "2 ab ''", id="nested choice"),
        pytest.param("(a|ab)(^c|b?$)", "xab", "2 ab ''", id="anchors keep their places in the text"),
    ],
)
def test_groups_are_those_of_posix(pattern: str, text: str, groups: str) -> None:
    assert search(pattern, text) == expected(groups)


def expected(groups: str | None) -> tuple[str, ...] | None:
    return None if groups is None else tuple("" if word == "''" else word for word in groups.split())


def test_as_many_groups_as_the_reference_are_kept() -> None:
    found = search("(.)" * 40, "x" * 40)
    assert found is not None
    assert found[0] == "40"
    assert len(found) == 1 + CAPTURES == 32


@pytest.mark.parametrize(
    "bracket, want",
    [
        ("[]a]", "]a"),
        ("[a-]", "-a"),
        ("[-a]", "-a"),
        ("[a^]", "^a"),
        ("[--/]", "-./"),
        ("[+--]", "+,-"),
        ("[a-c-]", "-abc"),
        ("[a\\]", "\\a"),
        ("[[a]", "[a"),
        ("[a[.-.]b]", "-ab"),
        ("[[.a.]-c]", "abc"),
        ("[[=a=]-[.c.]]", "abc"),
        ("[[.].]]", "]"),
        ("[[=]=][.[.]]", "[]"),
        ("[*.{(|]", "(*.{|"),
        ("[[:digit:]a-]", "-0123456789a"),
        ("[[:blank:]]", "\t "),
        ("[[:space:]]", "\t\n\v\f\r "),
        ("[[:xdigit:]]", "0123456789ABCDEFabcdef"),
        ("[[:upper:][:lower:]]", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        ("[[:alpha:]]", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        ("[[:alnum:]]", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        ("[[:punct:]]", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("[[:graph:]]", EVERY_BYTE[33:127]),
        ("[[:print:]]", EVERY_BYTE[32:127]),
        ("[[:cntrl:]]", EVERY_BYTE[:32] + "\x7f"),
        ("[\x80-\xff]", EVERY_BYTE[128:]),
        ("[^]a]", EVERY_BYTE.replace("]", "").replace("a", "")),
        ("[^^-]", EVERY_BYTE.replace("^", "").replace("-", "")),
        ("[^\0-\xff]", ""),
        (".", EVERY_BYTE),
    ],
)
def test_brackets(bracket: str, want: str) -> None:
    assert members(bracket) == "".join(sorted(want))


@pytest.mark.parametrize(
    "pattern, rule, reason",
    [
        ("", "regex-syntax", "a pattern, a branch or a group is empty: use `?` after a group for what may be missing"),
        ("a|", "regex-syntax", "is empty"),
        ("|a", "regex-syntax", "is empty"),
        ("a||b", "regex-syntax", "is empty"),
        ("a()b", "regex-syntax", "is empty"),
        ("(a|)", "regex-syntax", "is empty"),
        ("(a", "regex-syntax", "there is a `(` without its `)`: write `[(]` for the character"),
        ("((a)", "regex-syntax", "without its `)`"),
        ("a)", "regex-syntax", "there is a `)` without its `(`: write `[)]` for the character"),
        ("*a", "regex-syntax", "nothing stands before `*` to repeat: write `[*]` for the character"),
        ("a|*b", "regex-syntax", "nothing stands before `*`"),
        ("(+a)", "regex-syntax", "nothing stands before `+`"),
        ("{2}", "regex-syntax", "nothing stands before `{`"),
        ("(?:a)", "regex-syntax", "nothing stands before `?`"),
        ("(?=a)", "regex-syntax", "nothing stands before `?`"),
        ("(?i)a", "regex-syntax", "nothing stands before `?`"),
        ("^*", "regex-syntax", "`^*` repeats an anchor: remove the repetition"),
        ("a$+", "regex-syntax", "`$+` repeats an anchor"),
        ("a*?", "regex-syntax", "`a*?` repeats a repetition: POSIX knows one alone, and always takes the longest"),
        ("a++", "regex-syntax", "`a++` repeats a repetition"),
        ("(a){2}{3}", "regex-syntax", "`(a){2}{` repeats a repetition"),
        ("a{2,1}", "regex-syntax", "`{2,1}` ends below its start: write the smaller number first"),
        ("a{", "regex-syntax", "`{` opens no interval such as `{2}`, `{2,}` or `{2,5}`: write `[{]` for the character"),
        ("a{,2}", "regex-syntax", "`{` opens no interval"),
        ("a{x}", "regex-syntax", "`{` opens no interval"),
        ("a{1 }", "regex-syntax", "`{` opens no interval"),
        ("a{1", "regex-syntax", "`{` opens no interval"),
        ("a{\xb2}", "regex-syntax", "`{` opens no interval"),
        ("a{256}", "regex-size", "`{256}` asks for more than 255 repetitions"),
        ("a{1,999999999}", "regex-size", "asks for more than 255"),
        ("[", "regex-syntax", "there is a `[` without its `]`: write `[[]` for the character"),
        ("[]", "regex-syntax", "there is a `[` without its `]`"),
        ("[^]", "regex-syntax", "there is a `[` without its `]`"),
        ("[a", "regex-syntax", "there is a `[` without its `]`"),
        ("[a-", "regex-syntax", "there is a `[` without its `]`"),
        ("[z-a]", "regex-syntax", "the range `z-a` is reversed: write the smaller character first"),
        ("[a-c-e]", "regex-syntax", "the range `a-c` cannot begin a range: write the `-` last for the character"),
        ("[[:alpha:]-z]", "regex-syntax", "`[:alpha:]` cannot begin a range"),
        ("[a-[:alpha:]]", "regex-syntax", "`[:alpha:]` is no single character"),
        ("[[:nope:]]", "regex-syntax", "`[:nope:]` is no class: the classes are alnum, alpha, "),
        ("[[:alpha]", "regex-syntax", "there is a `[:` without its `:]`"),
        ("[[.space.]]", "regex-syntax", "`[.space.]` is no single character"),
        ("[[=ab=]]", "regex-syntax", "`[=ab=]` is no single character"),
        ("[[.", "regex-syntax", "there is a `[.` without its `.]`"),
        ("a\\", "regex-syntax", "the pattern ends with a backslash: for the character itself a KeyNote string has four of them"),
        (r"\d+", "regex-escape", r"POSIX does not know `\d`: write `[0-9]`"),
        (r"\w", "regex-escape", r"POSIX does not know `\w`: write `[[:alnum:]_]`"),
        (r"\bfoo", "regex-escape", r"POSIX does not know `\b`: write `b`"),
        (r"(a)\1", "regex-escape", r"POSIX does not know `\1`"),
        (r"a\/b", "regex-escape", r"POSIX does not know `\/`: write `/`"),
        (r"\<a", "regex-escape", r"POSIX does not know `\<`"),
        ("(" * (GROUP_DEPTH + 1) + "a" + ")" * (GROUP_DEPTH + 1), "regex-size", f"groups are nested deeper than {GROUP_DEPTH}"),
        ("((a{1,255}){1,255})", "regex-size", "the pattern with its repetitions written out is too large: repeat less"),
        ("((ab){40}){40}", "regex-size", "the pattern is too large to compile"),
        ("a" * 513, "regex-size", "a pattern has 513 bytes: `pattern_bytes` allows 512"),
    ],
)
def test_what_posix_leaves_undefined_is_refused(pattern: str, rule: str, reason: str) -> None:
    for _ in range(2):  # also when it is remembered
        with pytest.raises(PatternFault) as caught:
            search(pattern, "a")
        assert caught.value.rule == rule
        assert reason in caught.value.reason
        assert isinstance(caught.value, RuntimeFault)


def test_what_is_accepted_up_to_the_limits() -> None:
    assert search("(" * GROUP_DEPTH + "a" + ")" * GROUP_DEPTH, "a")
    assert search(f"^a{{{DUP_MAX}}}$", "a" * DUP_MAX)
    assert search("a" * 512, "a" * 512)


def test_memory_is_limited() -> None:
    assert search("^(a{1,60}){1,16}$", "a" * 20)
    with pytest.raises(PatternFault, match="repeat less"):
        search("^(a{1,60}){1,16}$", "a" * 20, limits=Limits().with_(regex_bytes=1 << 14))


def test_nothing_of_a_pattern_reaches_re2_as_it_is() -> None:
    assert written_for_re2(parse(r"^(\.|#)[^a-z]{2,}x$")) == (r"\A([\x2e-\x2e]|[\x23-\x23])[\x00-\x60\x7b-\xff]{2,}[\x78-\x78]\z")


@pytest.mark.parametrize(
    "pattern, agrees",
    [
        ("^(.*)/(.*)$", True),
        ("^([a-z]+)-([0-9]+)$", True),
        ("^(read|write|admin)$", True),
        ("^([a-z0-9-]+\\.)*example\\.(com|net)$", True),
        ("^(.*\\.)?example\\.org$", True),
        ("(a)?(b)?(c)?", True),
        ("(x|xy)(y?)", False),
        ("(a|ab)*", False),
        ("((a)|b)*", False),
        ("(a*)*", False),
    ],
)
def test_patterns_that_need_no_second_look(pattern: str, agrees: bool) -> None:  # noqa: FBT001 - a column of the table
    assert settled(parse(pattern)) is agrees


# -- what it costs ------------------------------------------------------------------------------------


def test_an_ordinary_search_costs_a_few_steps() -> None:
    pattern, text = "^([a-z0-9-]+\\.)*example\\.(com|net)$", "conference.example.net"
    first, then = cost(pattern, text), cost(pattern, text)
    assert 100 < first - then < 250  # compiled once
    assert then < 10


@pytest.mark.parametrize("pattern", ["(a*)*b", "((((a*)*)*)*)*b", "(a|aa)+$", "^((.*)a){20}$", "(a|ab)(c|bcd)*(.*)", "((a|ab)*c?)*"])
def test_ambiguous_groups_in_the_longest_text_cost_less_than_a_request_may(pattern: str) -> None:
    text = "ab" * 8192
    assert cost(pattern, text) < Limits().steps
    with suppress(RuntimeFault):
        search(pattern, text)


def test_groups_that_take_too_long_to_tell_are_a_run_time_error() -> None:
    pattern = "(((a|ab)*|b)*|c)*d?"
    assert bound(parse(pattern), 2000) == OPERATIONS
    with pytest.raises(RuntimeFault) as caught:
        search(pattern, "abaab" * 400)
    assert caught.value.reason == "what the groups of a pattern match in 2000 bytes takes too long to tell"


@pytest.mark.parametrize("pattern", ["((a{1,30}){1,30})", "([ab]?){255}([ab]){255}", "(.*)" * 100, ".{255}" * 30])
def test_a_search_that_would_take_too_long_costs_more_than_a_request_may(pattern: str) -> None:
    assert cost(pattern, "ab" * 8192) > Limits().steps


def test_patterns_of_strangers_do_not_displace_those_of_policies() -> None:
    patterns._kept.cache_clear()
    search("^kept$", "kept")
    for number in range(KEPT + 1):
        search(f"^{number}$", "", cache=False)
        cost(f"^{number}$", "", cache=False)
    assert patterns._kept.cache_info().currsize == 1
    assert patterns._passing.cache_info().currsize == PASSING


def test_as_many_patterns_are_kept_as_memory_is_meant_for() -> None:
    for number in range(KEPT + 1):
        search(f"^{number}$", "")
    assert patterns._kept.cache_info().currsize == KEPT


# -- advice for the linter ----------------------------------------------------------------------------
