"""The agent beside a server, without its server."""
