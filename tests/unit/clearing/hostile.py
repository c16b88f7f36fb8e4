"""Requests that cost as much as they can within `Limits()`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from clearinghouse.clearing.request import Request
from clearinghouse.keynote import Limits
from clearinghouse.keynote.signatures import sign
from tests.world import key, request, who

LONG = "x" * 8_000
"""A claim as long as a condition can double within `attribute_bytes`."""

CONDITIONS: dict[str, Callable[[int], str]] = {
    "many clauses": lambda n: " ".join(f'a{j} == "{n}";' for j in range(110)),
    "a wide test": lambda n: " && ".join(f'operation != "{n}-{j}"' for j in range(70)) + ";",
    "a deep test": lambda n: "!(" * 20 + f'a == "{n}"' + ")" * 20 + ";",
    "alternatives in brackets": lambda n: "(" * 20 + f'a == "{n}"' + "".join(f' || b == "{j}")' for j in range(20)) + ";",
    "patterns that repeat": lambda n: " || ".join(f'operation ~= "(a|b|ab){{1,{20 + j}}}c{n}"' for j in range(20)) + ";",
    "patterns over a long text": lambda n: " || ".join(f'(role . role) ~= "(x+x+)+y{j}-{n}"' for j in range(20)) + ";",
    "a text that grows": lambda n: f'"{n}" == ' + " . ".join(["role"] * 50) + ";",
    "blocks in blocks": lambda n: "true -> { " * 8 + f'a == "{n}"; ' * 40 + " };" * 8,
    "names of names": lambda n: " || ".join(f'$($($a{j})) == "{n}"' for j in range(60)) + ";",
    "powers": lambda n: " || ".join(f"2^30 == {n}{j}" for j in range(100)) + ";",
    "explanations": lambda n: '"a" == "b" && ' + " && ".join(f'(role . role) ~= "x{j}-{n}y"' for j in range(20)) + ";",
    "licensees": lambda n: f'a == "{n}";',
}


def credential(by: str, licensees: str, conditions: str) -> bytes:
    """Return a credential that says *conditions*, signed without being read first."""
    unsigned = f'Authorizer: "{who(by)}"\nLicensees: {licensees}\nConditions: {conditions}\n'.encode()
    return unsigned + f'Signature: "{sign(unsigned, key(by))}"\n'.encode()


def request_by(name: str, kind: str, salt: str = "") -> Request:
    """Return a request with as many bytes of credentials as may be, none of which anybody has seen before."""
    digest = int.from_bytes(hashlib.sha256(f"{name}{salt}".encode()).digest()[:3], "big")
    good = request(name, "whitelist")
    return replace(good, claims={**good.claims, "role": LONG}, credentials=tuple(_credentials(name, kind, digest)))


def _credentials(name: str, kind: str, salt: int) -> Iterator[bytes]:
    limits, total = Limits(), 0
    crowd = "2-of(" + ", ".join([f'"{who(name)}"', *(f'"{n}"' for n in range(200))]) + ")"
    for number in range(limits.assertions):
        licensees = crowd if kind == "licensees" else f'"{who(name)}"'
        made = credential(name, licensees, CONDITIONS[kind](salt + number))
        total += len(made)
        if total > limits.request_bytes or len(made) > limits.assertion_bytes:
            return
        yield made
