"""What a level table costs: to produce, to receive and to change, beside the same table as XML."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from xml.parsers import expat

import re2
from typing_extensions import override

from clearinghouse.federation.published import tables
from clearinghouse.federation.published.documents import digest
from clearinghouse.federation.published.publishing import Edition, Publisher
from clearinghouse.federation.trust.trusted import Trusted, follow
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Goal, Section
from tests.presses import COMMUNITY, LEVELS, NOW, Press

DOMAINS = 100_000
SMALL = 10_000
CHANGES = 100
WORDS = [
    "air",
    "alpha",
    "bank",
    "chat",
    "city",
    "cloud",
    "core",
    "data",
    "energy",
    "gov",
    "grid",
    "health",
    "jabber",
    "lab",
    "mail",
    "xmpp",
]
ENDINGS = ["org", "com", "net", "example", "eu", "de", "fr", "nl", "pl", "it", "es", "ch", "at", "gov", "edu", "int", "mil"]


def names(count: int) -> list[str]:
    """Return *count* names of servers in order, 20 characters on average, as a community's members have them."""
    chance = random.Random(7)  # noqa: S311 - names, no secrets
    found: set[str] = set()
    while len(found) < count:
        first, second = chance.choice(WORDS), chance.choice(WORDS)
        found.add(f"{first}{chance.randrange(count)}.{second}-{chance.choice(WORDS)}.{chance.choice(ENDINGS)}")
    return "\n".join(sorted(found)).split("\n")  # one after the other in memory, as whoever has read them has them


def table_of(count: int) -> dict[str, str]:
    """Return the levels of *count* domains, as chance gives them."""
    chance = random.Random(8)  # noqa: S311 - levels, no secrets
    return {name: chance.choice(LEVELS[1:]) for name in names(count)}


def changed(rows: Mapping[str, str]) -> dict[str, str]:
    """Return *rows* with `CHANGES` domains of another level."""
    chance = random.Random(9)  # noqa: S311 - a choice, no secret
    picked = chance.sample(list(rows), CHANGES)
    return {**rows, **{name: LEVELS[1 + LEVELS.index(rows[name]) % 3] for name in picked}}


class Xml:
    """The same table as XML, read by expat into a dictionary, with the digest and the form of its names checked as ours are."""

    def __init__(self, text: str) -> None:
        """Keep what was written."""
        self.text = text.encode()
        self.digest = digest(self.text)

    def read(self) -> int:
        """Return how many rows there are."""
        assert digest(self.text) == self.digest
        rows = self.rows()
        assert _are_names("\n".join(rows).encode())
        return len(rows)

    def rows(self) -> dict[str, str]:
        """Return the level of each name."""
        raise NotImplementedError


class Lists(Xml):
    """One list of names for each level, as ours has."""

    def __init__(self, rows: Mapping[str, str]) -> None:
        """Write it once."""
        lists = {level: "".join(f"<d>{name}</d>" for name in rows if rows[name] == level) for level in LEVELS[1:]}
        super().__init__("<table>" + "".join(f'<level name="{level}">{found}</level>' for level, found in lists.items()) + "</table>")

    @override
    def rows(self) -> dict[str, str]:
        rows: dict[str, str] = {}
        level, words = "", list[str]()

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal level
            if name == "level":
                level = attributes["name"]
            words.clear()

        def end(name: str) -> None:
            if name == "d":
                rows["".join(words)] = level

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, words.append
        parser.Parse(self.text, True)  # noqa: FBT003 - expat's way to say that this is all
        return rows


class Elements(Xml):
    """One element for each domain, as XMPP writes lists."""

    def __init__(self, rows: Mapping[str, str]) -> None:
        """Write it once."""
        super().__init__("<table>" + "".join(f'<item name="{name}" level="{level}"/>' for name, level in rows.items()) + "</table>")

    @override
    def rows(self) -> dict[str, str]:
        rows: dict[str, str] = {}

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "item":
                rows[attributes["name"]] = attributes["level"]

        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        parser.Parse(self.text, True)  # noqa: FBT003 - as above
        return rows


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_are_names = re2.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\n?)*".encode()).fullmatch


class Published:
    """A press with a large table, and a receiver that has the version before."""

    def __init__(self, count: int) -> None:
        """Publish two versions."""
        self.rows = table_of(count)
        self.after = changed(self.rows)
        self.touched = [name for name in self.rows if self.rows[name] != self.after[name]]
        self.press = Press()
        self.press.prints(self.rows)
        self.publisher = self.press.publisher
        self.trusted = self.press.followed()
        self.press.prints(self.after)
        self.table = self.press.documents["community/table/2"]
        self.delta = self.press.documents["community/delta/2"]
        follow(self.trusted, self._small_ones, self.press.now)

    def _small_ones(self, name: str, limit: int) -> bytes | None:
        return None if name in {"community/table/2", "community/delta/2"} else self.press.fetch(name, limit)

    def produced(self, publisher: Publisher) -> int:
        """Return how many rows the next version has: content, digest, and the payload to be signed."""
        edition = publisher.edition(self.after, now=NOW, expires=NOW + timedelta(days=7), touched=self.touched)
        assert isinstance(edition, Edition)
        return edition.table.head.count

    def received(self, step: Callable[[Trusted], None]) -> int:
        """Return how many rows a receiver has after one document."""
        trusted = self.trusted.copy()
        step(trusted)
        return len(trusted.rows)


def tables_(effort: Effort) -> Section:
    """Measure, and hold each to what was wanted."""
    count = DOMAINS if effort.crowd >= DOMAINS else SMALL
    published, small = Published(count), Published(SMALL)
    lists, elements, first = Lists(published.after), Elements(published.after), replace(published.publisher, last=None)
    sides = [
        Side("produce the table", lambda: published.produced(first), count),
        Side(f"produce it with a delta of {CHANGES} changes", lambda: published.produced(published.publisher), count),
        Side(
            "receive the table: verify and load",
            lambda: published.received(lambda to: to.update_table(published.table, published.press.now)),
            count,
        ),
        Side("read its content alone", lambda: len(tables.read_content(published.table.partition(b"\n")[2], LEVELS)), count),
        Side("the same lists as XML, by expat, signature not verified", lists.read, count),
        Side("the same table as XML with an element for each domain", elements.read, count),
        Side(
            f"receive a delta of {CHANGES} changes",
            lambda: published.received(lambda to: to.update_delta(published.delta, published.press.now)),
            count,
        ),
    ]
    times = {
        name: each / 1000
        for name, each in race(sides, replace(effort, rounds=max(11, effort.rounds // 5), clock=time.process_time)).items()
    }
    produce, _, receive, _, as_lists, as_elements, delta = times.values()
    sizes = {"table": len(zlib.compress(small.table, 9)), "delta": len(zlib.compress(published.delta, 9))}
    rows: list[tuple[str | float | int, ...]] = [*times.items()]
    goals = (
        Goal(f"milliseconds to produce a table of {count:,} once levels are known", "at most", 15.0, produce),
        Goal(f"milliseconds to receive a table of {count:,}", "at most", 25.0, receive),
        Goal("the same lists as XML, against receiving ours", "at least", 3.0, as_lists / receive),
        Goal("the same table as XML with an element for each domain, against receiving ours", "at least", 3.0, as_elements / receive),
        Goal(f"milliseconds to receive a delta of {CHANGES} changes in {count:,}", "at most", 2.0, delta),
        Goal(f"bytes of a delta of {CHANGES} changes, compressed, with its signed head", "at most", 2_048.0, float(sizes["delta"])),
        Goal(f"bytes of a table of {SMALL:,}, compressed, with its signed head", "at most", 102_400.0, float(sizes["table"])),
    )
    notes = (
        f"{len(published.table):,} bytes of the table of {count:,}, {len(lists.text):,} and {len(elements.text):,} as XML",
        f"{len(published.delta):,} bytes of the delta, {sizes['delta']:,} compressed; community {COMMUNITY}",
    )
    return Section(f"Level tables of {count:,} domains", ("what", "ms"), rows, goals, notes)
