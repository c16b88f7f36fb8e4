"""Unix sockets of our own: bound for one user, and told by the kernel who is at the other end (unix(7))."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import closing, suppress
from pathlib import Path

from clearinghouse.errors import BadSettings

_CREDENTIALS = struct.Struct("3i")
"""``struct ucred``: process, user, group."""


def listening(path: Path, *, shared: bool = False) -> socket.socket:
    """Return a socket bound to *path*, mode 0600; one whose owner has gone is replaced.

    With *shared* everybody can connect, and whoever listens asks `peer_user` whom to hang up on.  Raises
    `BadSettings` where somebody answers there, or there is something else than a socket.
    """
    _clear(path)
    bound = socket.socket(socket.AF_UNIX)
    try:
        _bind(bound, path)
        if shared:
            path.chmod(0o666)
    except OSError as error:
        bound.close()
        raise BadSettings(f"no socket can be made at `{path}` ({error.strerror})", mend="check its directory") from None
    return bound


def _clear(path: Path) -> None:
    try:
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(0)  # a full queue of connections is an answer too
            probe.connect(os.fsencode(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        if not path.is_socket():
            raise BadSettings(f"`{path}` is no socket", mend="name another path") from None
        path.unlink(missing_ok=True)
        return
    except BlockingIOError:
        pass
    except OSError as error:
        raise BadSettings(f"no socket can be made at `{path}` ({error.strerror})", mend="check its directory") from None
    raise BadSettings(f"somebody answers at `{path}` already", mend="end that one, or name another path")


def _bind(bound: socket.socket, path: Path) -> None:
    before = os.umask(0o177)
    try:
        bound.bind(os.fsencode(path))
    finally:
        os.umask(before)


def removed(path: Path) -> None:
    """Remove a socket of ours, if it is still there."""
    with suppress(OSError):
        path.unlink()


def peer_user(writer: asyncio.StreamWriter) -> int:
    """Return the uid of the other side, as the kernel noted it when it connected (``SO_PEERCRED``)."""
    connection = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)
