"""Redirection: who decides for a door, what a node follows, and what it keeps while its store is away."""
