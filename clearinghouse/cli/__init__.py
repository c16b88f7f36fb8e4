"""The command line: thin commands over the engine, for people and, with ``--json``, for programs."""

from __future__ import annotations

from clearinghouse.cli.main import main

__all__ = ["main"]
