"""The XMPP door: an external component (XEP-0114) that hears the broker's questions.

``component`` keeps the session, ``exchange`` sorts its stanzas, ``authorization`` reads the
broker's form, ``addresses`` brings JIDs into normal form, ``depth`` keeps hostile XML out.
"""
