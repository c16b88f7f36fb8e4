"""Asks the DNS: the resolver of this machine, or one that is named; bounded in time, and silence is no answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

import aiodns

from clearinghouse.doctor.dns import Record
from clearinghouse.errors import BadSettings
from clearinghouse.keynote.principals import shown

ANSWER_SECONDS: Final = 2.0
"""Until one resolver has answered one question; it is asked twice."""

ALL_SECONDS: Final = 20.0
"""Until all questions of one command are answered: what is not known then is unknown."""

MAX_QUESTIONS: Final = 10_000
"""Questions of one command: two for each of 5,000 members."""

AT_ONCE: Final = 50
"""Questions that are under way together; more look like an attack to a resolver."""

DNS_PORT: Final = 53
_HIGHEST_PORT: Final = 65_535
_NOTHING: Final = frozenset({aiodns.error.ARES_ENODATA, aiodns.error.ARES_ENOTFOUND})
"""What is said of a name without such a record, and of one that there is not."""

_KINDS: Final = {"SRV": 33, "A": 1, "AAAA": 28}
_place = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?").fullmatch

Question = tuple[str, str]
"""A name without its final dot, and `SRV`, `A` or `AAAA`."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the DNS said: the records of each question that was answered, and the questions that were not."""

    known: Mapping[Question, tuple[Record, ...]] = field(default_factory=dict)
    unknown: Collection[Question] = frozenset()

    @property
    def records(self) -> tuple[Record, ...]:
        """All records."""
        return tuple(record for each in self.known.values() for record in each)

    def joined(self, other: Answers) -> Answers:
        """Return both together."""
        return Answers({**self.known, **other.known}, frozenset({*self.unknown, *other.unknown}))


def resolver_at(text: str) -> str:
    """Return the resolver at `ADDRESS` or `ADDRESS:PORT` as it is asked; raises `BadSettings` for what is none."""
    found = _place(text)
    try:
        address = ip_address((found["six"] or found["four"]) if found else text)
    except ValueError:
        address = None
    port = int(found["port"] or DNS_PORT) if found else DNS_PORT
    if address is None or not 1 <= port <= _HIGHEST_PORT:
        raise BadSettings(f"`{shown(text)}` is no resolver", mend="write its address, as in `127.0.0.1:53` or `[::1]:53`")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004 - of IP


def ask(questions: Iterable[Question], resolver: str = "") -> Answers:
    """Return what the DNS says to *questions*; the resolver of this machine says it, or the one at *resolver*."""
    wanted = list(dict.fromkeys(questions))
    asked, left = wanted[:MAX_QUESTIONS], wanted[MAX_QUESTIONS:]
    found = asyncio.run(_asked(asked, resolver)) if asked else Answers()
    return found.joined(Answers(unknown=left))


async def _asked(questions: Collection[Question], resolver: str) -> Answers:
    known: dict[Question, tuple[Record, ...]] = {}
    turns = asyncio.Semaphore(AT_ONCE)
    try:
        channel = aiodns.DNSResolver([resolver_at(resolver)] if resolver else None, timeout=ANSWER_SECONDS, tries=2)
    except aiodns.error.DNSError:  # a machine without any resolver
        return Answers(unknown=frozenset(questions))

    async def one(question: Question) -> None:
        async with turns:
            found = await _answer(channel, *question)
        if found is not None:
            known[question] = found

    try:
        async with asyncio.timeout(ALL_SECONDS), asyncio.TaskGroup() as tasks:
            for each in questions:
                tasks.create_task(one(each))
    except TimeoutError:
        pass  # what is missing is unknown
    finally:
        await channel.close()
    return Answers(known, frozenset(questions) - known.keys())


async def _answer(channel: aiodns.DNSResolver, name: str, kind: str) -> tuple[Record, ...] | None:
    """Return the records of *name*, ``None`` where nobody can be heard who knows."""
    try:
        found = await channel.query_dns(f"{name}.", kind)
    except aiodns.error.DNSError as error:
        return () if error.args and error.args[0] in _NOTHING else None
    return tuple(Record(name, kind, _data(each.data, kind), 0) for each in found.answer if each.type == _KINDS[kind])


def _data(data: Any, kind: str) -> tuple[str, ...]:  # noqa: ANN401 - of the library
    if kind == "SRV":
        return (str(data.priority), str(data.weight), str(data.port), data.target.lower().rstrip(".") or ".")
    return (data.addr.lower(),)
