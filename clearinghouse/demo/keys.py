"""Demonstration keys: made from their names, so that everybody has them and nobody may trust them.

The seed of the key called NAME is the SHA-256 digest of ``clearinghouse demonstration key: NAME``.
A file with such a key begins with the mark of :mod:`clearinghouse.keynote.keys`, and is refused
wherever demonstrations are not allowed.
"""

from __future__ import annotations

import hashlib

from clearinghouse.keynote.keys import PrivateKey, from_seed


def demonstration_key(name: str) -> PrivateKey:
    """Return the key that examples and demonstrations call *name*; an equal name gives an equal key."""
    return from_seed(hashlib.sha256(f"clearinghouse demonstration key: {name}".encode()).digest(), demo=True)
