"""The same chains for biscuit-python: one block for each link, one policy for `POLICY`.

Of several ways to say the same, the one that was quickest: a link's five comparisons in one check,
the facts of a request as Datalog source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from biscuit_auth import AuthorizationError, AuthorizerBuilder, Biscuit, BiscuitBuilder, BlockBuilder, KeyPair

from tests.benchmarks.federation import NOW, domain, ends
from tests.benchmarks.measure import WrongAnswer

_FIVE = 'app("xmpp"), domain("b.example"), level($level), $level >= 2, tls("1.3"), port($port), $port < 6000'
_MATCHING = f'{_FIVE}, domain($domain), $domain.matches("^([a-z0-9-]+\\\\.)?example$")'
_FACTS = 'app("xmpp"); domain("b.example"); level(2); tls("1.3"); port(5269);'
_PATIENT = timedelta(seconds=10)


@dataclass
class Peer:
    """A verified token of *depth* blocks; ``out_of_time`` counts the calls that ended at biscuit's limit of 1 ms."""

    depth: int
    matching: bool = False
    out_of_time: int = 0
    raw: bytes = b""
    _pair: KeyPair = field(default_factory=KeyPair)

    def __post_init__(self) -> None:
        """Sign the token; show that it answers rightly when the clock does not matter."""
        self._rule = _MATCHING if self.matching else _FIVE
        built = BiscuitBuilder(f"check if {self._rule}").build(self._pair.private_key)
        for _ in range(self.depth - 1):
            built = built.append(BlockBuilder(f"check if {self._rule}"))
        self.raw = bytes(built.to_bytes())
        self._token = Biscuit.from_bytes(self.raw, self._pair.public_key)
        if not self._allows(_FACTS) or self._allows(_FACTS.replace("level(2)", "level(1)")):
            raise WrongAnswer("biscuit does not answer as it should")

    def _allows(self, facts: str) -> bool:
        builder: Any = AuthorizerBuilder(self._source(facts))  # its type stubs know no limits
        limits = builder.limits()
        limits.max_time = _PATIENT
        builder.set_limits(limits)
        try:
            return bool(builder.build(self._token).authorize() == 0)
        except AuthorizationError:
            return False

    def _source(self, facts: str = _FACTS) -> str:
        return f"{facts} allow if {self._rule};"

    def prebuilt(self) -> Callable[[], int]:
        """Facts and policy are there already: only the token is new."""
        builder, token = AuthorizerBuilder(self._source()), self._token

        def run() -> int:
            try:
                return int(builder.build(token).authorize())
            except AuthorizationError:
                return self._late()

        return run

    def per_request(self) -> Callable[[], int]:
        """The facts come with the request, as the attributes of a query do."""
        source, token = self._source(), self._token

        def run() -> int:
            try:
                return int(AuthorizerBuilder(source).build(token).authorize())
            except AuthorizationError:
                return self._late()

        return run

    def from_bytes(self) -> Callable[[], int]:
        """The token is parsed and verified first."""
        builder, raw, public = AuthorizerBuilder(self._source()), self.raw, self._pair.public_key

        def run() -> int:
            try:
                return int(builder.build(Biscuit.from_bytes(raw, public)).authorize())
            except AuthorizationError:
                return self._late()

        return run

    def _late(self) -> int:
        self.out_of_time += 1
        return 0


class Peers:
    """A verified token for each of *few* members, with the same three conditions, one in each block; one policy for each level.

    ``out_of_time`` counts the calls that ended at biscuit's limit of 1 ms.
    """

    def __init__(self, few: int) -> None:
        """Sign the tokens."""
        pair = KeyPair()
        self.out_of_time = 0
        self._asked = [(Biscuit.from_bytes(self._token(number, pair), pair.public_key), self._source(number)) for number in range(few)]

    def _token(self, number: int, pair: KeyPair) -> bytes:
        root = BiscuitBuilder('check if operation("federate"), community("net"), date($d), $d < 20280101').build(pair.private_key)
        region = root.append(BlockBuilder('check if operation("federate"), to_domain($to), $to != "vault.example"'))
        member = f'check if operation("federate"), from_domain("{domain(number)}"), date($d), $d < {ends(number)}'
        return bytes(region.append(BlockBuilder(member)).to_bytes())

    def _source(self, number: int) -> str:
        facts = f'operation("federate"); community("net"); to_domain("*"); from_domain("{domain(number)}"); date({NOW:%Y%m%d}); '
        return f'{facts} allow if operation("federate"), to_domain($to), $to != "vault.example";'

    def levels(self) -> int:
        """Return how many of them have the level of the first policy."""
        return sum(self._one(token, source) for token, source in self._asked)

    def _one(self, token: Any, source: str) -> int:  # noqa: ANN401 - biscuit publishes no types
        try:
            return int(AuthorizerBuilder(source).build(token).authorize() == 0)
        except AuthorizationError:
            self.out_of_time += 1
            return 1
