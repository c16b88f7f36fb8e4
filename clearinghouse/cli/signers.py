"""What ``desk`` does, apart from its options."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from clearinghouse.cli.output import clean
from clearinghouse.errors import BadSettings
from clearinghouse.keynote.keys import read_key_file
from clearinghouse.settings import Settings, Signing, read_settings
from clearinghouse.signer.__main__ import uid_of
from clearinghouse.signer.process import Duty, listen
from clearinghouse.signer.roles import Role


def listen_as(config: Path, key_file: Path, user: str, name: str, *, allow_demo: bool) -> None:
    """Be the signer of the role *name* that the settings in *config* expect."""
    settings = read_settings(config)
    if name not in set(Role):
        raise BadSettings(f"`{clean(name)}` is no role", mend=f"it is one of {', '.join(Role)}")
    role = Role(name)
    section, where = _place(settings, role, key_file, allow_demo=allow_demo)
    if where is None or where.socket is None:
        raise BadSettings(f"`{config}` names no socket in [{section}]", mend="add `socket = ...` and the key's `principal = ...`")
    duty = Duty(role, key_file, _longest(settings, role), where.principal or "", allow_demo)
    listen(duty, where.socket, uid_of(user) if user else os.geteuid())


def _place(settings: Settings, role: Role, key_file: Path, *, allow_demo: bool) -> tuple[str, Signing | None]:
    """Return which section names the signer of *role*, and what it says; of several table signers the one with this key."""
    match role:
        case Role.DESK:
            return "desk", settings.desk
        case Role.LOG:
            return "ledger", settings.ledger
        case Role.REGISTRAR:
            return "registrar", settings.registrar
        case Role.REVOKER:
            return "revoker", settings.revoker
        case Role.TIMESTAMP:
            return "timestamp_signer", settings.timestamp_signer
        case Role.TABLE:
            ours = read_key_file(key_file, allow_demo=allow_demo).principal
            return "[table_signer]", next((each for each in settings.table_signer if each.principal == ours), None)


def _longest(settings: Settings, role: Role) -> timedelta:
    found = settings.federation
    if found is None or role in {Role.DESK, Role.LOG}:
        return settings.desk.approval_period
    return found.timestamp_lifetime if role is Role.TIMESTAMP else found.table_lifetime
