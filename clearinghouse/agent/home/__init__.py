"""What an agent stands on: its state directory, clock, journal, link and signature."""
