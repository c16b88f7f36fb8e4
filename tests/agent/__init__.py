"""The agent: in memory with a server module of ours and a clock that the test sets, and with real servers and faults."""
