"""The HTTP door: documents, news, reports and requests of member agents; strangers all get one answer (rule R22).

========== ======================================================
`app`      from a request to the library, and its answer
`server`   where the settings put the door, and how much it bears
`listener` what every HTTP door listens with, the agent's as well
`turns`    who reads a body now, in all and of one address
========== ======================================================
"""

from __future__ import annotations
