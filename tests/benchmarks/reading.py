"""How fast assertions are read: by Lark in full, by the quick way, and admitted; and how fast many are loaded."""

from __future__ import annotations

import time
from collections.abc import Callable

from nacl.bindings import crypto_sign_open

from clearinghouse.keynote import Assertions, Budget, Limits, admit, parse
from clearinghouse.keynote import credential as engine
from clearinghouse.keynote.reader import Reading, read
from tests.benchmarks.cold import signed_parts
from tests.benchmarks.community import FIVE, Chain, crowd
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Section

_LIMITS = Limits()


def reading(effort: Effort) -> Section:
    """One credential of five comparisons, again and again."""
    raw = Chain(1).raws[0]
    admit(raw)  # learns the shape
    names = {
        "parsed in full, by Lark": lambda: parse(raw).signed_end,
        "read, shape known": lambda: _read(raw).signed_end,
        "admitted, shape known": lambda: admit(raw, learn=False).policy,
        "bare signature check": _checked(raw),
    }
    wants = (parse(raw).signed_end, parse(raw).signed_end, False, True)
    us = race([Side(name, run, want) for (name, run), want in zip(names.items(), wants, strict=True)], effort)
    rows = [(name, each, len(raw) / each) for name, each in us.items()]
    return Section(f"Reading one credential of {len(raw)} bytes, {FIVE.count('&&') + 1} comparisons", ("", "us", "MB/s"), rows)


def _read(raw: bytes) -> Reading:
    return read(raw, engine._shapes, learn=False, limits=_LIMITS, budget=Budget(_LIMITS.steps))


def _checked(raw: bytes) -> Callable[[], bool]:
    signed, key = signed_parts(raw)
    return lambda: bool(crypto_sign_open(signed, key))


def loading(effort: Effort) -> Section:
    """Everything that a start has to do, once, on one core."""
    many = crowd(effort.crowd)
    started = time.perf_counter()
    Assertions(credentials=many.admitted)
    indexed = time.perf_counter() - started
    rows = [
        ("admit: read, check the signature, name", many.seconds, many.seconds / effort.crowd * 1e6, many.text_bytes / many.seconds / 1e6),
        ("index", indexed, indexed / effort.crowd * 1e6, many.text_bytes / indexed / 1e6),
    ]
    return Section(f"Loading {effort.crowd:,} credentials, one run", ("", "s", "us each", "MB/s"), rows)
