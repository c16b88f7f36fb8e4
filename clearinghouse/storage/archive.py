"""What a snapshot was made of, kept by the snapshot's digest so that any decision can be proven again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.errors import StoreUnavailable
from clearinghouse.keynote import Admissions, Limits
from clearinghouse.storage.holdings import Holdings

_LEVEL: Final = 6
"""Of zlib: hexadecimal keys and signatures shrink to 55 %, in 20 ms per MB."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The exact bytes of every assertion that counted, and the digest that decisions name."""

    version: str
    policies: Mapping[str, tuple[bytes, ...]]
    credentials: tuple[bytes, ...]
    shared_keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, holdings: Holdings) -> Self:
        """Return what is kept of *holdings*."""
        policies = {group: tuple(each.raw for each in found) for group, found in holdings.policies.items() if found}
        return cls(holdings.snapshot.version, policies, tuple(each.raw for each in holdings.credentials), holdings.shared_keys)

    def pack(self) -> bytes:
        """Return the compressed texts."""
        texts = {group: [raw.decode("latin-1") for raw in found] for group, found in self.policies.items()}
        credentials = [raw.decode("latin-1") for raw in self.credentials]
        whole = {"policies": texts, "credentials": credentials, "shared_keys": self.shared_keys}
        return zlib.compress(json.dumps(whole, ensure_ascii=False).encode(), _LEVEL)

    @classmethod
    def unpack(cls, version: str, packed: bytes) -> Self:
        """Return what `pack` made; *packed* comes from our own store."""
        whole = json.loads(zlib.decompress(packed))
        policies = {group: tuple(text.encode("latin-1") for text in found) for group, found in whole["policies"].items()}
        return cls(version, policies, tuple(text.encode("latin-1") for text in whole["credentials"]), tuple(whole["shared_keys"]))

    def snapshot(self) -> Snapshot:
        """Return the snapshot again; raises `StoreUnavailable` when it is not the one that was archived."""
        # What counted then is shown as it counted then, whatever the settings say of its algorithms today.
        admissions = Admissions(allow_legacy=True)
        policies = {group: [admissions.admit(raw, policy=True, source=group) for raw in found] for group, found in self.policies.items()}
        credentials = [admissions.admit(raw, limits=Limits.local(), source="credentials") for raw in self.credentials]
        made = Snapshot.of(policies, credentials, shared=self.shared_keys)
        if made.version != self.version:
            raise StoreUnavailable(f"the archived snapshot {self.version[:12]} is damaged", mend="restore the store from a backup")
        return made
