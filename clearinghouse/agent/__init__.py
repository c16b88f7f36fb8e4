"""The process beside one XMPP server: it follows tables, applies them, takes requests, and asks for itself.

=========== =================================================================
`life`      parts started in order, ended in order
`parts`     what each part knows of the others
`applying`  from a table to what the server enforces: own policy, overrides
`asking`    requests of our own, when a user was refused
`granting`  requests of others, decided under the site's own policy
`following` the newest table that may be believed
`sources`   where documents come from
`home`      state directory, clock, journal, link and signature
=========== =================================================================
"""

from __future__ import annotations
