"""POSIX extended regular expressions (POSIX.1-2017, XBD 9.4): read, written for RE2, groups as POSIX has them (pure)."""
