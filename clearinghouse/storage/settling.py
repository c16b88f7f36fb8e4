"""Waits until whoever writes into the folders of policies and credentials has finished."""

from __future__ import annotations

import asyncio
from typing import Final

from clearinghouse.storage.folders import Folders, Look

SETTLE_SECONDS: Final = 0.2
"""Two looks so far apart must agree before what they see is read: an editor may be half-way."""

MAX_SETTLES: Final = 25
"""Looks that may differ before the last one is taken: whoever goes on writing must not keep a removal from counting."""


async def settled(folders: Folders, look: Look, seconds: float = SETTLE_SECONDS) -> Look:
    """Return the first look after *look* that sees what the one *seconds* before it saw, or else the last of many."""
    for _ in range(MAX_SETTLES):
        await asyncio.sleep(seconds)
        again = await asyncio.to_thread(folders.look)
        if again == look:
            break
        look = again
    return look
