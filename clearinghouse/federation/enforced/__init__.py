"""What a server is told to let pass, and how that compares with what it does today."""
