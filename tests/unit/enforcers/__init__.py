"""The enforcers against a broker in memory."""
