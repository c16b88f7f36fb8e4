"""Where documents come from: HTTPS, XMPP or a directory, each with the same names and the same bytes.

Nothing that a source gives is believed before it was verified, so any of them may lie, and be asked next.
"""
