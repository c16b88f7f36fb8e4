"""The HTTP door: documents, news, reports and requests of member agents; strangers all get one answer (rule R22).

========== ======================================================
`app`      from a request to the library, and its answer
`server`   the listener: TLS, and how much of everything at once
========== ======================================================
"""

from __future__ import annotations
