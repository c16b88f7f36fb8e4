"""A fuzzer for the parser: ``python -m tests.fuzz`` (``make fuzz``), and the slow part of the test suite."""
