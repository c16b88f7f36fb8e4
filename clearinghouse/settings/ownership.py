"""Who but us could have written a file: whoever writes policies or settings decides who is trusted."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Who else can write it, as what a sentence says of a file, and the mend."""

    fact: str
    mend: str


def foreign(status: os.stat_result) -> Fault | None:
    """Return why somebody else could have written what has *status*; ``None`` where only we, root or our group could.

    It must belong to the user that we run as, or to root.  A group may write it only if it is the one that we
    run as, which has nobody else as members where each user has a group of that name.
    """
    mode = f"(mode {stat.S_IMODE(status.st_mode):04o})"
    if status.st_mode & stat.S_IWOTH:
        return Fault(f"can be written by everybody {mode}", "chmod o-w it")
    if status.st_uid not in {os.geteuid(), 0}:
        return Fault(f"belongs to user {status.st_uid}", f"run as that user, or chown it to user {os.geteuid()} or root")
    if status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid():
        return Fault(f"can be written by group {status.st_gid} {mode}", "chmod g-w it")
    return None
