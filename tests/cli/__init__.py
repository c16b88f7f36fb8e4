"""The command line, run in this process; a terminal or a signal is needed in a few tests only."""
