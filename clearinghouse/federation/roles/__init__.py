"""Who may sign which document, as KeyNote queries, and the ceremonies in which people say so."""
