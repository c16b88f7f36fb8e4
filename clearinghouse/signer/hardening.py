"""What a process with a key gives up before it reads the key: a debugger's view, core dumps, files, new rights."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from typing import Final

from clearinghouse.errors import UnsafeFile

PR_SET_DUMPABLE: Final = 4
"""prctl(2): with 0, no process of the same user can attach with ptrace or read our memory, and no core is dumped."""
PR_GET_DUMPABLE: Final = 3
PR_SET_NO_NEW_PRIVS: Final = 38
"""prctl(2): with 1, nothing that we execute gains rights."""

MAX_OPEN_FILES: Final = 64
"""Descriptors: standard streams, the event loop's own, a socket, and `process.MAX_CONNECTIONS` connections."""


def harden() -> None:
    """Give all of that up; raises `UnsafeFile` where the system does not take it, since then the key would be readable."""
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    os.umask(0o077)
    os.chdir("/")  # what we hold open is a file system that nobody can unmount
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends our parent, and that ends us in order


def dumpable() -> bool:
    """Say whether this process could be looked into."""
    return bool(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise UnsafeFile(f"the process cannot be closed to others ({reason})", mend="run it on Linux, where prctl(2) does that")
