"""What a snapshot was made of, kept by the snapshot's digest so that any decision can be proven again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

from clearinghouse.errors import StoreUnavailable
from clearinghouse.keynote import Admitted, Limits, admit
from clearinghouse.storage.holdings import Holdings

_LEVEL: Final = 6
"""Of zlib: hexadecimal keys and signatures shrink to 55 %, in 20 ms per MB."""

Text: TypeAlias = tuple[str, bytes]
"""Where an assertion stood, and its exact bytes."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Every assertion that was loaded, what was taken away from it, and the digest that decisions name.

    ``desk``, ``withdrawn`` (ids), ``revoked`` and ``below`` are the snapshot's; archives of earlier releases have none.
    """

    version: str
    policies: Mapping[str, tuple[Text, ...]]
    credentials: tuple[Text, ...]
    shared_keys: tuple[str, ...] = ()
    desk: str = ""
    withdrawn: tuple[bytes, ...] = ()
    revoked: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    @classmethod
    def of(cls, holdings: Holdings) -> Self:
        """Return what is kept of *holdings*."""
        policies = {group: _texts(found) for group, found in holdings.policies.items() if found}
        believed = holdings.snapshot
        return cls(
            believed.version,
            policies,
            _texts(holdings.credentials),
            holdings.shared_keys,
            believed.desk,
            believed.withdrawn,
            believed.revoked,
            believed.below,
        )

    def pack(self) -> bytes:
        """Return the compressed texts."""
        policies = {group: _written(found) for group, found in self.policies.items()}
        whole = {"policies": policies, "credentials": _written(self.credentials), "shared_keys": self.shared_keys}
        gone = {"withdrawn": [each.hex() for each in self.withdrawn], "revoked": self.revoked, "below": self.below}
        return zlib.compress(json.dumps({**whole, "desk": self.desk, **gone}).encode(), _LEVEL)

    @classmethod
    def unpack(cls, version: str, packed: bytes) -> Self:
        """Return what `pack` made; *packed* comes from our own store."""
        whole = json.loads(zlib.decompress(packed))
        policies = {group: _read(found) for group, found in whole["policies"].items()}
        withdrawn = tuple(map(bytes.fromhex, whole.get("withdrawn", ())))
        names = (tuple(whole.get(each, ())) for each in ("revoked", "below"))
        return cls(version, policies, _read(whole["credentials"]), tuple(whole["shared_keys"]), whole.get("desk", ""), withdrawn, *names)

    def holdings(self, before: Holdings | None = None) -> Holdings:
        """Return what was loaded then; raises `StoreUnavailable` when it is not what was archived.

        What stood in *before*, of another archive, is not judged again.
        """
        known = {} if before is None else {(each.policy, each.raw): each for each in before.admitted()}
        policies = {group: tuple(_admitted(found, known, policy=True)) for group, found in self.policies.items()}
        credentials = tuple(_admitted(self.credentials, known, policy=False))
        held = Holdings({}, policies, credentials, (), self.shared_keys).believing(
            desk=self.desk, withdrawn=self.withdrawn, revoked=self.revoked, below=self.below
        )
        if held.snapshot.version != self.version:
            raise StoreUnavailable(f"the archived snapshot {self.version[:12]} is damaged", mend="restore the store from a backup")
        return held


def _texts(assertions: Iterable[Admitted]) -> tuple[Text, ...]:
    return tuple((each.source, each.raw) for each in assertions)


def _written(texts: Iterable[Text]) -> list[list[str]]:
    return [[source, raw.decode("latin-1")] for source, raw in texts]


def _read(written: Iterable[Any]) -> tuple[Text, ...]:
    return tuple((source, text.encode("latin-1")) for source, text in written)


def _admitted(texts: Iterable[Text], known: Mapping[tuple[bool, bytes], Admitted], *, policy: bool) -> Iterable[Admitted]:
    for source, raw in texts:
        # What counted then is shown as it counted then, whatever the settings say of its algorithms today.
        named = copy(known.get((policy, raw)) or admit(raw, policy=policy, allow_legacy=True, limits=Limits.local()))
        named.source = source
        yield named
