"""The level of each member, for each audience: found one by one as specified, or all at once."""
