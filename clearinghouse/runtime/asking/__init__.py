"""A question on its way: read, paced, ruled on once, and its answer carried out."""
