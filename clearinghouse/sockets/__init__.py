"""Sockets that doors listen at: how much they bear, and who is at the other end.

====== ==================================================================
`unix` sockets in the file system, bound for one user
`gate` the gate before a listener, which counts connections of an address
====== ==================================================================
"""
