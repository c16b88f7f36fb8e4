"""Keys of ours that sign: each in a process of its own, that does nothing else (rules R4 and R18).

The *desk* signs what people approved, the *log* its checkpoints, the *registrar* records of members, the keys of
*table* and *timestamp* what is published, the *revoker* what is revoked.  The process that has the key checks by
itself what it is given: whoever takes over the service gets no signature over anything else.

============== ========================================================
`roles`        what keys are for
`rules`        what the desk and the log sign, and what they refuse (pure)
`federal`      what the keys of a federation sign, and what they refuse (pure)
`frames`       how a request and an answer go over a socket
`hardening`    what a process with a key gives up
`process`      the process itself; ``python -m clearinghouse.signer``
`client`       the other side: starts one, or connects to one
`inline`       a signer in our own process, for tests and rehearsals
============== ========================================================
"""

from __future__ import annotations
