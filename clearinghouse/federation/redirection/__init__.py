"""Redirection: what a door for other servers saw of a question, what it may answer, and where a peer is sent (pure)."""
