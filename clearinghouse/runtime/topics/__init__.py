"""Our topics at the brokers: kept, compared with the books, asked about, and ended in time."""
