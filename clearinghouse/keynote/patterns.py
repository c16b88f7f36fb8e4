"""``~=``: search with a POSIX extended regular expression (RFC 2704, section 4.6.5), by RE2.

Patterns and texts are octet strings.  `clearinghouse.keynote.posix.parser` reads a pattern (by an
allow-list: what POSIX leaves undefined is refused), and it is written anew for RE2, in Latin-1
and for the leftmost-longest match: ``.`` is any one byte, a newline is an ordinary byte, ``$`` is
the very end.  RE2 takes time linear in the text, whatever the pattern, and memory within a limit.

Where RE2's groups are not those of POSIX they are corrected (`clearinghouse.keynote.posix.submatches`),
so the answer depends neither on RE2's order of search nor on the C library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# The extension itself: the Python layer above it keeps 128 patterns of its own beyond our bound,
# and takes three times as long for one search.
from re2 import Options, _re2

from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.posix.agreement import settled
from clearinghouse.keynote.posix.parser import parse
from clearinghouse.keynote.posix.re2_syntax import written_for_re2
from clearinghouse.keynote.posix.submatches import bound, submatches
from clearinghouse.keynote.posix.tree import Group, PatternFault, size

CAPTURES = 31
"""Groups that a condition can read, ``_1`` to ``_31``; the reference implementation keeps as many."""

KEPT = 128
"""Patterns kept compiled, at most `Limits.regex_bytes` each; hostile ones took 0.4 MB each, common ones a few kB."""

PASSING = 16
"""Patterns kept compiled apart from those, for texts that a stranger chose."""

_INSTRUCTION_BYTES = 96
"""RE2 allows an instruction for each 96 bytes of its memory; a pattern larger than that is refused before RE2 works on it."""

_STEP = 2_000
"""Nanoseconds in one step of the budget."""

_COMPILE_STEPS = 50
"""Steps to read and compile any pattern; two more for each character, and one for each 10 instructions."""

_OPERATIONS_PER_STEP = 2
"""Set operations of `submatches` in one step."""

_DEFAULTS = Limits()
_ANYWHERE = _re2.RE2.Anchor.UNANCHORED


@dataclass(slots=True)
class _Plan:
    """A pattern ready to search with, and the steps that searching takes.

    ``nanoseconds`` are for one byte of text; ``unpaid`` are the steps of the compilation, until
    they have been charged once.
    """

    program: Any  # google-re2 publishes no types
    tree: Group
    settled: bool
    groups: str
    nanoseconds: int
    unpaid: int


@dataclass(slots=True)
class _Refusal:
    """A pattern that cannot be used, remembered so that it is refused quickly again."""

    rule: str
    reason: str
    unpaid: int


def search(pattern: str, text: str, *, limits: Limits = _DEFAULTS, cache: bool = True) -> tuple[str, ...] | None:
    """Return what ``_0``, ``_1`` ... are when *pattern* matches in *text*, or ``None``.

    ``_0`` is the number of groups in decimal, ``_1`` to at most ``_31`` what the groups matched;
    a group that took no part is empty.  Raises `PatternFault`, a `RuntimeFault`, for a pattern
    that is invalid or beyond the limits.  *cache* is false for a pattern that a stranger chose:
    it cannot displace those of the operator's own policies.
    """
    plan = _plan(pattern, limits, cache=cache)
    if isinstance(plan, _Refusal):
        raise PatternFault(plan.rule, plan.reason)
    octets = text.encode("latin-1")
    spans = plan.program.Match(_ANYWHERE, octets, 0, len(octets))
    if spans[0][0] < 0:
        return None
    if not plan.settled:
        spans = submatches(plan.tree, octets, spans[0])
    # A group without a match has the span (-1, -1), which slices to the empty string.
    return plan.groups, *[text[begin:end] for begin, end in spans[1 : CAPTURES + 1]]


def cost(pattern: str, text: str, *, limits: Limits = _DEFAULTS, cache: bool = True) -> int:
    """Return how many steps of the budget `search` may take, to be spent before it.

    The bound is the worst case measured over hostile patterns.  Compiling happens here, and is
    counted when it happens: one compilation at most precedes its payment.
    """
    plan = _plan(pattern, limits, cache=cache)
    steps = 1 + plan.unpaid
    plan.unpaid = 0
    if isinstance(plan, _Refusal):
        return steps
    steps += len(text) * plan.nanoseconds // _STEP
    return steps if plan.settled else steps + bound(plan.tree, len(text)) // _OPERATIONS_PER_STEP


def _plan(pattern: str, limits: Limits, *, cache: bool) -> _Plan | _Refusal:
    if len(pattern) > limits.pattern_bytes:
        return _Refusal("regex-size", f"a pattern has {len(pattern)} bytes: `pattern_bytes` allows {limits.pattern_bytes}", 0)
    return (_kept if cache else _passing)(pattern, limits.regex_bytes)


def _prepare(pattern: str, memory: int) -> _Plan | _Refusal:
    steps = _COMPILE_STEPS + 2 * len(pattern)
    try:
        return _compile(parse(pattern), memory, steps)
    except PatternFault as fault:
        return _Refusal(fault.rule, fault.reason, steps)


_kept = lru_cache(maxsize=KEPT)(_prepare)
_passing = lru_cache(maxsize=PASSING)(_prepare)


def _compile(tree: Group, memory: int, steps: int) -> _Plan:
    if size(tree) * _INSTRUCTION_BYTES > memory:
        raise PatternFault("regex-size", "the pattern with its repetitions written out is too large: repeat less")
    program = _re2.RE2(written_for_re2(tree).encode("ascii"), _options(memory))
    if not program.ok():
        raise PatternFault("regex-size", f"the pattern is too large to compile ({program.error().decode('ascii', 'replace')}): repeat less")
    instructions = program.ProgramSize()
    nanoseconds = instructions * (12 + tree.last // 6)  # each thread of RE2's slowest engine carries the groups along
    agrees = tree.last == 0 or settled(tree)
    return _Plan(program, tree, agrees, str(tree.last), nanoseconds, steps + instructions // 10)


def _options(memory: int) -> Options:
    options = Options()
    options.max_mem = memory
    options.encoding = Options.Encoding.LATIN1
    options.longest_match = True
    options.log_errors = False
    return options
