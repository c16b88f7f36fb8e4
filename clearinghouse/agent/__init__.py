"""The process beside one XMPP server: follows tables, applies grants, asks when its server was refused."""
