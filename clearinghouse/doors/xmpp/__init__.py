"""The XMPP door: an external component (XEP-0114) that hears the broker's questions.

``component`` keeps the session, ``exchange`` sorts its stanzas, ``authorization`` reads the
broker's form, ``addresses`` brings JIDs into normal form, ``depth`` keeps hostile XML out.
People and platforms are served at the ``counter``, of which ``crowd`` keeps floods away: ``chat`` moves
the sessions (``talks``) of ad-hoc commands from step to step (``steps``).  ``notifier`` writes to them.
"""
