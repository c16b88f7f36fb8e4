"""The decision log: a Merkle tree over salted commitments, signed checkpoints, and what proves them (pure).

Everything that another implementation needs to check a log is in ``docs/reference/log-format.md``.
"""
