"""What ``desk`` does, apart from its options."""

from __future__ import annotations

import os
from pathlib import Path

from clearinghouse.errors import BadSettings
from clearinghouse.settings import read_settings
from clearinghouse.signer.__main__ import uid_of
from clearinghouse.signer.process import Duty, listen
from clearinghouse.signer.rules import Role


def listen_as(config: Path, key_file: Path, user: str, *, for_log: bool, allow_demo: bool) -> None:
    """Be the desk, or the log's signer, that the settings in *config* expect."""
    settings = read_settings(config)
    role, where = (Role.LOG, settings.ledger) if for_log else (Role.DESK, settings.desk)
    if where.socket is None:
        section = "ledger" if for_log else "desk"
        raise BadSettings(f"`{config}` names no socket in [{section}]", mend="add `socket = ...` and the key's `principal = ...`")
    duty = Duty(role, key_file, settings.desk.approval_period, where.principal or "", allow_demo)
    listen(duty, where.socket, uid_of(user) if user else os.geteuid())
