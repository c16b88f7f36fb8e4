"""Every limit of the engine, named, with its unit and where its number comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and one assertion, may cost.

    The defaults are for bytes that a stranger sends: at these numbers any input at all is
    answered within 50 ms and 64 MB on the reference machine (``make bench``, section
    *hostile*).  ``Limits.local()`` is for files that the operator keeps.
    """

    assertion_bytes: int = 8_192
    """Bytes of one assertion; the largest signed example, two RSA-4096 keys in hex, has 4.6 kB."""

    assertions: int = 32
    """Assertions handed in with one request; a chain of 10 with room for alternatives."""

    request_bytes: int = 65_536
    """Bytes of all assertions handed in with one request, together."""

    nesting: int = 48
    """Depth of a condition's or licensees' tree; Python allows 200 brackets, each level uses 3."""

    members: int = 256
    """Principals in one K-of list; the largest consortium policy known to us has 60."""

    steps: int = 20_000
    """Units of work per request: a token read, a node evaluated, 64 bytes compared or searched.
    A unit costs about 2 us, so 20,000 units end within 40 ms."""

    regex_bytes: int = 1 << 20
    """Bytes that RE2 may use for one compiled pattern."""

    pattern_bytes: int = 512
    """Bytes of one regular expression; the longest in the examples has 61."""

    attribute_bytes: int = 16_384
    """Bytes of one action attribute's value, and of one text that a condition builds."""

    attributes: int = 256
    """Action attributes of one query."""

    chain: int = 64
    """Assertions from `POLICY` to a requester that a proof may follow."""

    rsa_bits: int = 8_192
    """Size of an RSA modulus; verifying is quadratic in it."""

    values: int = 256
    """Compliance values of one query."""

    @classmethod
    def local(cls) -> Limits:
        """Return the limits for the operator's own files, where only accidents are expected."""
        return cls(
            assertion_bytes=1 << 20, request_bytes=1 << 28, assertions=1_000_000, members=10_000, steps=50_000_000, attribute_bytes=1 << 20
        )

    def with_(self, **changes: int) -> Limits:
        """Return these limits with some replaced."""
        return replace(self, **changes)
