"""A community to measure with: keys from fixed seeds, chains of signed credentials, a crowd."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from nacl.signing import SigningKey

from clearinghouse.keynote import Admitted, Assertions, admit

VALUES = ("deny", "ask", "allow")
DEPTHS = (1, 3, 10)

FIVE = 'app_domain == "xmpp" && domain == "b.example" && @level >= 2 && tls_version == "1.3" && @port < 6000'
"""The five comparisons of every link, two of them of numbers."""

UNTIL = f'{FIVE} && date < "20270101"'
"""The same, ending on a day, so that the answer is stable until then."""

MATCHING = f'{FIVE} && domain ~= "^([a-z0-9-]+\\\\.)?example$"'
"""The same with a regular expression."""

FACTS = {"app_domain": "xmpp", "domain": "b.example", "level": "2", "tls_version": "1.3", "port": "5269"}
"""What the five comparisons read: as many facts as a peer is given."""

ACTION = {**FACTS, "date": "20261121", "time": "20261121120000", "operation": "subscribe"}
"""The same at an instant."""

KIND = "sig-ed25519-hex:"


@dataclass(frozen=True)
class Key:
    """An Ed25519 key made from a number."""

    number: int

    @cached_property
    def secret(self) -> SigningKey:
        """The key that signs."""
        return SigningKey(hashlib.sha256(b"benchmark key %d" % self.number).digest())

    @cached_property
    def principal(self) -> str:
        """Its normal form."""
        return "ed25519-hex:" + bytes(self.secret.verify_key).hex()


def credential(authorizer: Key, licensees: str, conditions: str) -> bytes:
    """Return a signed credential that gives `allow` under *conditions*."""
    text = (
        f'KeyNote-Version: 2\nAuthorizer: "{authorizer.principal}"\nLicensees: {licensees}\nConditions: {conditions} -> "allow";\n'
    ).encode()
    signature = authorizer.secret.sign(text + KIND.encode()).signature.hex()
    return text + f'Signature: "{KIND}{signature}"\n'.encode()


def policy(licensees: str, conditions: str = FIVE) -> Admitted:
    """Return the community's root: `POLICY` gives `allow` under *conditions*."""
    return admit(f'Authorizer: "POLICY"\nLicensees: {licensees}\nConditions: {conditions} -> "allow";\n'.encode(), policy=True)


def quoted(key: Key) -> str:
    """Return the principal of *key* as a Licensees field writes it."""
    return f'"{key.principal}"'


@dataclass(frozen=True)
class Chain:
    """`POLICY` licenses key 0, key 0 licenses key 1, ... and the last of *depth* links licenses who asks."""

    depth: int
    conditions: str = FIVE

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """One more than links."""
        return tuple(map(Key, range(self.depth + 1)))

    @cached_property
    def raws(self) -> tuple[bytes, ...]:
        """The signed credentials, `POLICY`'s neighbour first."""
        return tuple(credential(self.keys[i], quoted(self.keys[i + 1]), self.conditions) for i in range(self.depth))

    @cached_property
    def policy(self) -> Admitted:
        """What stands at its root."""
        return policy(quoted(self.keys[0]), self.conditions)

    @property
    def requesters(self) -> list[str]:
        """Who asks."""
        return [self.keys[-1].principal]

    def loaded(self, others: tuple[Admitted, ...] = ()) -> Assertions:
        """Return the chain, admitted, among *others*."""
        return Assertions(policies=[self.policy], credentials=(*map(admit, self.raws), *others))


def members(count: int, hubs: int = 1_000) -> Iterator[bytes]:
    """Yield credentials of *count* organisations, each with its own key and domain, from so many *hubs*."""
    secrets = [Key(-1 - hub) for hub in range(min(hubs, count))]
    for number in range(count):
        conditions = FIVE.replace("b.example", f"d{number:06}.example")
        yield credential(secrets[number % len(secrets)], quoted(Key(1_000_000 + number)), conditions)


@dataclass(frozen=True)
class Crowd:
    """Credentials that have nothing to do with who asks, and what it took to admit them."""

    admitted: tuple[Admitted, ...]
    text_bytes: int
    seconds: float


@cache
def crowd(count: int) -> Crowd:
    """Return *count* admitted credentials; signing them is not timed."""
    raws = list(members(count))
    started = time.perf_counter()
    admitted = tuple(map(admit, raws))
    seconds = time.perf_counter() - started
    gc.freeze()  # what is kept for so long need not be looked through by each full collection
    return Crowd(admitted, sum(map(len, raws)), seconds)
