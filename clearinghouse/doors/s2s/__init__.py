"""The redirection door: XMPP servers connect here as if it were their peer, and are told where it is, or that they may not.

=========== ==============================================================================
`stream`    the stream machine: bytes in, events and bytes out (no input or output), with its parts: `table`, `events`, `tokens`,
            `headers`, `inputs`, `sasl`, `written`
`verifying` the other half: asks a member's server whether a dialback key is its own (likewise)
`tls`       what certificate the door shows; a client's is left to us to judge
`trust`     whether a client's certificate comes from the community's authorities, and still holds
`identity`  whose it is: the names that it covers, and its key
`pace`      how many connections there are, in all and of one address, and how often they may come
`turns`     whose turn it is to have dear work done
`wires`     a connection: bytes in and out, with TLS and without, its time, and how it ends
`listener`  sockets that take them
`talk`      one peer's stream: when it is answered, and what was proven then
`dialback`  the verification of keys at the members' recorded addresses
`asking`    one such question, carried to one address and back
`door`      all of these together
`server`    where the settings put the door
=========== ==============================================================================
"""

from __future__ import annotations
