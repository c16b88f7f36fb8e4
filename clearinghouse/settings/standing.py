"""What keeps a clearinghouse going beyond single decisions: who signs, how the log is kept, how often and how much."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from clearinghouse.clearing.vocabulary import OPERATIONS
from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.section import Section
from clearinghouse.settings.values import BesidePath, Duration, Keeping, Key, SocketPath

MOST_PER_SECOND: Final = 10_000.0
"""Questions in a second; more than any broker delivers, so a larger number is a slip."""
MOST_AT_ONCE: Final = 100_000.0
"""Questions of one burst; ten times what a broker may have pending when we come back."""

PerSecond = Annotated[float, Field(strict=True, gt=0, le=MOST_PER_SECOND, allow_inf_nan=False)]
Burst = Annotated[float, Field(strict=True, ge=1, le=MOST_AT_ONCE, allow_inf_nan=False)]


class Signing(Section):
    """Where a key is that signs for us, in a process of its own.

    ``key_file`` is read by a process that we start; ``socket`` belongs to one that is there already, as
    another user.  ``principal`` is the key's; a signer with another one is not used.
    """

    key_file: BesidePath | None = None
    socket: SocketPath | None = None
    principal: Key | None = None

    @property
    def there(self) -> bool:
        """Whether there is anybody who signs."""
        return self.key_file is not None or self.socket is not None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.key_file is not None and self.socket is not None:
            raise wrong("names a key file and a socket", "leave one of them out: a key is in one place")
        if self.socket is not None and self.principal is None:
            raise wrong("names a socket and no principal", "add `principal`: whoever answers there must be the one that you mean")
        return self


class Desk(Signing):
    """The key that signs what people approved (rule R4), and how long approvals and requests wait and last.

    ``approval_period`` is the longest that one approval holds; ``wait`` is how long a request waits for people.
    """

    approval_period: Duration = timedelta(days=90)
    wait: Duration = timedelta(days=30)


class Ledger(Signing):
    """The decision log: its key, how often it is signed, how long facts are kept, and what is masked.

    ``mask`` names attributes whose values are left out of what the log's records say.
    """

    checkpoint_every: Duration = timedelta(seconds=10)
    retention: Keeping = timedelta(days=400)
    mask: tuple[str, ...] = ("jid", "subject")

    @field_validator("mask")
    @classmethod
    def _attributes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = {name for operation in OPERATIONS.values() for name in operation.attributes}
        for name in names:
            if name not in known:
                raise wrong(f"has `{name}`, which is no attribute", "see docs/reference/attributes.md")
        return names


class Control(Section):
    """The socket through which the command line speaks to the service; ``None`` where there is none."""

    socket: SocketPath | None = None


class Rates(Section):
    """How often may be asked: by each bare JID, and by all of one domain together."""

    each_per_second: PerSecond = 5.0
    each_burst: Burst = 50.0
    domain_per_second: PerSecond = 50.0
    domain_burst: Burst = 1_000.0


class Reconcile(Section):
    """How often our books are compared with what the brokers say."""

    every: Duration = timedelta(minutes=5)
