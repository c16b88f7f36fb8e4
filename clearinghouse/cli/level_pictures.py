"""Levels as tables and lines for people; every text of others is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.style import Style
from rich.table import Table
from rich.text import Text

from clearinghouse.cli.output import BAD, CAUTION, DIM, GOOD, STRONG, clean, console, say
from clearinghouse.federation.levels.advice import OnlyLive
from clearinghouse.federation.levels.book import COMMUNITY, Judged, LevelBook, Scale

Change = tuple[str, str, str]
"""A domain, its level before, and its level after."""


def table(book: LevelBook, domains: Sequence[str], audiences: Sequence[str], scale: Scale) -> None:
    """Print a row for each domain and a column for each audience, the strongest first."""
    views = {each: book.rows(each) for each in audiences}
    first = views[audiences[0]]
    rank = {level: number for number, level in enumerate(scale.levels)}
    single = len(audiences) == 1
    say(
        (_audience(audiences[0]) if single else "levels of each row, for the server of each column", STRONG),
        f", {book.now:%Y-%m-%d %H:%M:%S} UTC",
    )
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column("domain", overflow="fold")
    for each in audiences:
        drawn.add_column("level" if single else clean(each), overflow="fold")
    for domain in sorted(domains, key=lambda each: (-rank[first.get(each, scale.levels[0])], each)):
        levels = (view.get(domain, scale.levels[0]) for view in views.values())
        drawn.add_row(clean(domain), *(Text(clean(level), _style(level, scale)) for level in levels))
    console().print(drawn)
    if single:
        found = Counter(first.values())
        counted = [f"{found[level]} with {level}" for level in reversed(scale.levels[1:])]
        counted.append(f"{len(domains) - len(first)} with {scale.levels[0]}")
        say(f"{_counted(len(domains), 'member')}: {', '.join(counted)}")
    _flaws(book, audiences)
    until = book.stable_until
    if until is not None:
        say(f"the same until {until:%Y-%m-%d %H:%M:%S} UTC at least, if nothing but the time changes")


def _flaws(book: LevelBook, audiences: Sequence[str]) -> None:
    for audience in audiences:
        for domain, reason in sorted(book.flaws(audience).items()):
            say(("caution: ", CAUTION), f"{clean(domain)}, {_audience(audience)}: {clean(reason.text)} (", reason.code, ")")


def _style(level: str, scale: Scale) -> Style:
    if level == scale.levels[0]:
        return DIM
    return GOOD if level == scale.levels[-1] else Style()


def _audience(audience: str) -> str:
    return "for the whole community" if audience == COMMUNITY else f"for {clean(audience)}"


def changes(found: Mapping[str, Sequence[Change]], scale: Scale) -> None:
    """Print what changes for each audience, and how much it is."""
    rank = {level: number for number, level in enumerate(scale.levels)}
    kinds: Counter[str] = Counter()
    for audience, rows in found.items():
        if not rows:
            continue
        say((_audience(audience), STRONG))
        for domain, before, after in rows:
            kind = _kind(before, after, rank)
            kinds[kind] += 1
            style = GOOD if kind in {"gains", "rises"} else BAD
            say((clean(domain), STRONG), " ", (kind, style), clean(f": {before} -> {after}"), indent=2)
    if not kinds:
        say("nobody's level changes")
        return
    named = ", ".join(f"{kinds[kind]} {word}" for kind, word in _KINDS.items())
    say(f"{_counted(kinds.total(), 'level')} {'changes' if kinds.total() == 1 else 'change'}: {named}")


_KINDS = {"gains": "gained", "rises": "raised", "falls": "lowered", "loses": "lost"}


def _kind(before: str, after: str, rank: Mapping[str, int]) -> str:
    old, new = rank.get(before, 0), rank.get(after, 0)
    if old == 0 or new == 0:
        return "gains" if old == 0 else "loses"
    return "rises" if new > old else "falls"


def headline(domain: str, audience: str, judged: Judged) -> None:
    """Print the level, and why a proof does not count."""
    say((clean(domain), STRONG), f" has {clean(judged.level)} ", _audience(audience))
    if judged.reason is not None:
        say(("caution: ", CAUTION), f"{clean(judged.reason.text)} (", judged.reason.code, ")")


def advice(found: OnlyLive) -> None:
    """Print what counts in no table."""
    say(("caution: ", CAUTION), f"{clean(found.assertion.source)}: {clean(found.sentence())}", error=True)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
