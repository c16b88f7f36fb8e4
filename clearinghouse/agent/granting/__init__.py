"""Signed requests of others, decided under the site's own policy, and the grants that they lead to."""
