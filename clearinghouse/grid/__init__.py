"""XMPP-Grid (RFC 8600) as plain values: topics, subscriptions, stanzas, and the broker's behaviour (pure)."""
