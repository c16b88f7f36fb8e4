"""Everything that lasts beyond a decision, in memory as in the store: the books, and what is believed now."""
