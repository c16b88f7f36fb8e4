"""How a request and an answer go over a socket: four bytes of length, most significant first, and a JSON object."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from clearinghouse.clearing.wire import canonical, read_object
from clearinghouse.errors import MalformedRequest, TooLarge

MAX_FRAME_BYTES: Final = 262_144
"""Bytes of one frame: 65,536 of the longest text that the desk signs, in base64, with room for a signature of RSA-8192."""

_LENGTH_BYTES: Final = 4


async def receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next frame, or ``None`` where the other side has ended; raises `TooLarge` and `MalformedRequest`."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
        if length > MAX_FRAME_BYTES:
            raise TooLarge(f"the frame has {length} bytes", mend=f"at most {MAX_FRAME_BYTES} are read")
        raw = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        return read_object(raw)
    except ValueError as error:
        raise MalformedRequest(f"the frame {error}", mend="send one JSON object") from None


async def send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    """Send one frame; raises ``ConnectionError`` where nobody takes it."""
    raw = canonical(message)
    writer.write(len(raw).to_bytes(_LENGTH_BYTES) + raw)
    await writer.drain()


def as_text(raw: bytes) -> str:
    """Return bytes as a JSON text."""
    return base64.b64encode(raw).decode("ascii")


def as_bytes(text: object) -> bytes:
    """Return what `as_text` made; raises `MalformedRequest` for anything else."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else _refuse()
    except (binascii.Error, ValueError):
        return _refuse()


def _refuse() -> bytes:
    raise MalformedRequest("the frame has no bytes in base64", mend="send them as `as_text` writes them")
