"""What a community publishes: each kind of document as plain values, its exact bytes, and who makes the next one."""
