"""Where decisions take effect; the enforcers do not know each other, nor where a decision came from."""
