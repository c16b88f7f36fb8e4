"""The second act: three domains federate by signed levels, each with an agent beside its server.

=========== ==============================================================
`community` what they have written down and signed, in a directory of its own
`world`     their servers, their agents, and the clearinghouse between them
`story`     what happens, and what must come of it
`telling`   how it is told
=========== ==============================================================
"""

from __future__ import annotations
