"""`~=` against the C library's own `regcomp` and `regexec`, and its groups against all ways to match.

Two faults of the GNU C library are stepped around: it misjudges anchors inside repeated groups
(``(^a){1,3}`` finds nothing in ``aa``), and where branches or repeated groups leave a choice its
groups are not those of POSIX (``(a|ab)(c|bcd)(d*)`` on ``abcd`` begins with ``a``).
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from re2 import _re2

from clearinghouse.keynote.numbers import RuntimeFault
from clearinghouse.keynote.patterns import cost, search
from clearinghouse.keynote.posix import submatches
from clearinghouse.keynote.posix.agreement import settled
from clearinghouse.keynote.posix.parser import parse
from clearinghouse.keynote.posix.re2_syntax import written_for_re2
from clearinghouse.keynote.posix.tree import Group
from tests.properties.every_way import TooMany, Ways, better, groups_of

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the layout of regex_t is that of the GNU C library")

Spans = list[tuple[int, int]]
REG_EXTENDED, REG_NOMATCH = 1, 1
LC_ALL_MASK = 0b1_1111_1011_1111
SIZE_OF_REGEX_T = 64


class Registers(ctypes.Structure):
    """`regmatch_t`."""

    _fields_ = (("start", ctypes.c_int), ("end", ctypes.c_int))


LIBC = ctypes.CDLL(None)
if hasattr(LIBC, "newlocale"):
    LIBC.newlocale.restype = LIBC.uselocale.restype = ctypes.c_void_p
    LIBC.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
    LIBC.uselocale.argtypes = [ctypes.c_void_p]


@contextmanager
def c_locale() -> Iterator[None]:
    """Read bytes, not UTF-8, in this thread."""
    own = LIBC.newlocale(LC_ALL_MASK, b"C", None)
    former = LIBC.uselocale(own)
    try:
        yield
    finally:
        LIBC.uselocale(former)
        LIBC.freelocale(ctypes.c_void_p(own))


def libc_search(pattern: str, text: str, groups: int) -> Spans | None:
    """Return the spans of group 0 to the last as the C library sees them."""
    compiled = ctypes.create_string_buffer(SIZE_OF_REGEX_T)
    registers = (Registers * (groups + 1))()
    with c_locale():
        assert LIBC.regcomp(compiled, pattern.encode("latin-1"), REG_EXTENDED) == 0
        status = LIBC.regexec(compiled, text.encode("latin-1"), groups + 1, registers, 0)
        LIBC.regfree(compiled)
    assert status in {0, REG_NOMATCH}
    return None if status else [(register.start, register.end) for register in registers]


def our_search(pattern: str, text: str) -> Spans | None:
    """Return the same spans as we see them."""
    tree, octets, spans = re2_search(pattern, text)
    return None if spans is None else submatches.submatches(tree, octets, spans[0])


def re2_search(pattern: str, text: str) -> tuple[Group, bytes, Spans | None]:
    tree, octets = parse(pattern), text.encode("latin-1")
    options = _re2.RE2.Options()
    options.encoding = options.Encoding.LATIN1
    options.longest_match = True
    spans = _re2.RE2(written_for_re2(tree).encode(), options).Match(_re2.RE2.Anchor.UNANCHORED, octets, 0, len(octets))
    return tree, octets, None if spans[0][0] < 0 else spans


# -- patterns -----------------------------------------------------------------------------------------

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[[:alpha:]]", "[]b-]", "\\.", "\n", "\xff", "abc", "ba"])
TIMES = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{2,}"])
TEXTS = st.text(st.sampled_from("aaabbbcc.-\n\xff"), max_size=12)
SHORT_TEXTS = st.text(st.sampled_from("aabbc"), max_size=6)
SPECIALS = st.text(st.sampled_from("ab(){}[]^$*+?|.\\,-:=19"), max_size=20)
OCTETS = st.text(st.characters(max_codepoint=255), max_size=40)


def bodies(*, choices: bool) -> st.SearchStrategy[str]:
    """Branches of a pattern, without anchors; with *choices* also ``(a|b)`` and ``(a)*``."""

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        sequence = st.lists(inner, min_size=2, max_size=4).map("".join)
        if not choices:
            return sequence | inner.map("({})".format)
        group = st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format)
        return sequence | group | st.builds(str.__add__, group, TIMES)

    return st.recursive(ATOMS | st.builds(str.__add__, st.sampled_from(["a", "b", "."]), TIMES), larger, max_leaves=8)


def patterns(*, choices: bool) -> st.SearchStrategy[str]:
    branch = st.builds("{}{}{}".format, st.sampled_from(["", "^"]), bodies(choices=choices), st.sampled_from(["", "$"]))
    return st.lists(branch, min_size=1, max_size=2 if choices else 1).map("|".join)


PATTERNS = patterns(choices=True)


# -- properties ---------------------------------------------------------------------------------------


@needs_glibc
@given(PATTERNS, TEXTS)
@example("(c|a*)+", "ccabaaa")
@example("(a|ab)(c|bcd)(d*)", "abcd")
@example("[^a]", "\n")
def test_the_c_library_finds_the_same_text(pattern: str, text: str) -> None:
    theirs, ours = libc_search(pattern, text, 0), our_search(pattern, text)
    assert (theirs and theirs[0]) == (ours and ours[0])


@needs_glibc
@given(patterns(choices=False), TEXTS)
@example("((a*)(b*))(.*)", "aabb")
@example("^([a-z]+)@([a-z.]+)$", "alice@example.com")
def test_the_c_library_finds_the_same_groups(pattern: str, text: str) -> None:
    assert libc_search(pattern, text, parse(pattern).last) == our_search(pattern, text)


@given(PATTERNS, SHORT_TEXTS)
@example("(a|ab)(c|bcd)(d*)", "abcd")
@example("(x|xy)(y?)", "xyab")
@example("((a)|b)*", "ab")
@example("(a*)*", "")
@example("(b*|a){2,}", "ab")
@example("(^|a){2}", "a")
def test_the_groups_are_those_of_the_best_way_to_match(pattern: str, text: str) -> None:
    tree, octets, spans = re2_search(pattern, text)
    if spans is None:
        return
    try:
        every_way = Ways(octets, most=300).of(tree, *spans[0])
    except TooMany:
        reject()
    assert groups_of(reduce(better, every_way), tree.last) == submatches.submatches(tree, octets, spans[0])


@given(PATTERNS, TEXTS)
@example("(x)?(a)", "bar")
@example("^([a-z0-9]+\\.)*example\\.org$", "a.b.example.org")
@example("^(.*\\.)?(com|net)$", "a.com.net")
@example("((a?)(ab)?)(b?)", "ab")
def test_a_settled_pattern_has_the_groups_of_re2(pattern: str, text: str) -> None:
    tree, octets, spans = re2_search(pattern, text)
    if spans is not None and settled(tree):
        assert submatches.submatches(tree, octets, spans[0]) == spans


@given(PATTERNS, TEXTS)
@example("((a|aa)*b?|a)*", "a" * 60)
@example("((a|ab){2,}c{0,2}){0,3}", "abaabac" * 4)
def test_the_bound_on_settling_groups_holds(pattern: str, text: str) -> None:
    tree, _, spans = re2_search(pattern, text)
    if spans is not None:
        settler = submatches._Settler(tree.last, text.encode("latin-1"), spans[0])
        settler.settle(tree, 0, spans[0][1] - spans[0][0])
        assert submatches.OPERATIONS - settler.left <= submatches.bound(tree, len(text))


@given(OCTETS | SPECIALS | PATTERNS, OCTETS)
def test_no_octets_raise_anything_but_a_run_time_error(pattern: str, text: str) -> None:
    assert cost(pattern, text) > 0
    with suppress(RuntimeFault):
        found = search(pattern, text)
        assert found is None or found[0] == str(len(found) - 1)


@needs_glibc
@given(SPECIALS)
@example("[[:alpha:]-z]")
@example("a{1}{2}")
def test_what_we_accept_the_c_library_accepts(pattern: str) -> None:
    try:
        parse(pattern)
    except RuntimeFault:
        return
    compiled = ctypes.create_string_buffer(SIZE_OF_REGEX_T)
    with c_locale():
        assert LIBC.regcomp(compiled, pattern.encode("latin-1"), REG_EXTENDED) == 0
        LIBC.regfree(compiled)
