"""Requests of our own: when another agent is asked, with which credentials, and on which way."""
