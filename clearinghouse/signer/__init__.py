"""Keys of ours that sign: each in a process of its own, that does nothing else (rules R4 and R18).

The *desk* signs what people approved, the *log* its checkpoints.  The process that has the key checks by
itself what it is given: whoever takes over the service gets no signature over anything else.

============== ========================================================
`rules`        what each key signs, and what it refuses (pure)
`frames`       how a request and an answer go over a socket
`hardening`    what a process with a key gives up
`process`      the process itself; ``python -m clearinghouse.signer``
`client`       the other side: starts one, or connects to one
`inline`       a signer in our own process, for tests and rehearsals
============== ========================================================
"""

from __future__ import annotations
