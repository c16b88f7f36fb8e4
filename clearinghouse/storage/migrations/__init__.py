"""Changes of the database's layout, in order; each runs once, when the service starts."""
