"""Mutation without coverage, for systems that atheris has no wheel for: valid texts, damaged at random."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

TOKENS = (
    *(b'"', b"\\", b"\n", b"\n ", b"\n\n", b"\r", b"\0", b"#", b" ", b"\t", b"(", b")", b"{", b"}", b";", b"->", b"&&", b"||", b"&", b"|"),
    *(b"!", b"-", b"@", b"$", b".", b",", b"=", b"==", b"!=", b"~=", b"<", b">", b"<=", b">=", b"+", b"*", b"/", b"%", b"^", b":", b"_"),
    *(b"0", b"7", b"2147483648", b"1.5", b"true", b"FALSE", b"2-of(", b"_1", b"_MAX_TRUST", b'""', b'"x"', b'"\\400"', b'"\\\n "', b"\xff"),
    *(b"Authorizer:", b"Licensees:", b"Conditions:", b"Local-Constants:", b"Comment:", b"Signature:", b"KeyNote-Version: 2\n", b"x:"),
)
_LONGEST = 4_096


def mutated(dice: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Return a text of the *corpus* with one to four changes."""
    text = dice.choice(corpus)
    for _ in range(dice.randint(1, 4)):
        begin = dice.randint(0, len(text))
        end = min(len(text), begin + dice.choice((0, 1, 1, 2, 8, 64)))
        other = dice.choice(corpus)
        cut = dice.randint(0, len(other))
        piece = dice.choice((b"", dice.choice(TOKENS), dice.choice(TOKENS), dice.randbytes(1), other[cut : cut + 40], text[begin:end] * 2))
        text = text[:begin] + piece + text[end:]
    return text[:_LONGEST]


def search(check: Callable[[bytes], None], corpus: Sequence[bytes], seconds: float, seed: int) -> tuple[int, bytes | None]:
    """Return how many texts were tried in *seconds*, and one for which *check* raised, if there is one."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end:
        text = mutated(dice, corpus)
        tried += 1
        try:
            check(text)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is what we look for
            print(f"{type(fault).__name__}: {fault}")
            return tried, text
    return tried, None
