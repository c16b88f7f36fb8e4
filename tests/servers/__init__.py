"""A real ejabberd on loopback and the broker in memory, held to the same conversations."""
