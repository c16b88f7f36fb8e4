"""From a table to what the server enforces: the site's own policy, its overrides, and the picture of both."""
