"""The pure parts of the grid."""
