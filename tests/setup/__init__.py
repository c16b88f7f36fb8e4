"""What a fresh clone must have right before anything of the package runs."""
