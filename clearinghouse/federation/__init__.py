"""Levels and signed tables: who is a member, who has which level, and what proves it to a server (pure)."""
