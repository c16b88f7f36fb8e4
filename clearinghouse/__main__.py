"""``python -m clearinghouse`` is the command line."""

from __future__ import annotations

from clearinghouse.cli import main

if __name__ == "__main__":
    main()
