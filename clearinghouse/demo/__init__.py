"""A community on one machine, for the demonstration and the tests: a real broker or one in memory, and its platforms."""
