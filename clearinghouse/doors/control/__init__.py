"""The door of the command line: a socket on this machine, at which the kernel says who speaks.

One request is one line of JSON, ``{"do": NAME, "with": {NAME: TEXT, ...}}``; one answer is one line,
``{"ok": true, ...}`` or ``{"ok": false, "error": {"code": ..., "message": ..., "mend": ...}}``.

========== ======================================================
`asking`   from a request to the office, and its answer (no I/O)
`shapes`   cases, grants and the like as JSON members (pure)
`server`   the socket
`client`   one request from the command line
========== ======================================================
"""

from __future__ import annotations
