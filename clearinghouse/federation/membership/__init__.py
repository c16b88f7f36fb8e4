"""How members come, change and go, and what doors may ask of those who keep their records."""
