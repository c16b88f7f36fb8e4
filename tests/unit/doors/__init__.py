"""The XMPP door without a server."""
