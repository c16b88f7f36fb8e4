"""The decision log over time: signed, shown, exported, replayed."""
