"""A clearinghouse for closed XMPP communities: signed policy in, enforced decisions out."""

__version__ = "0.1.0"
