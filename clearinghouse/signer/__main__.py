"""``python -m clearinghouse.signer``: the process with a key."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.signer.process import Duty, answer_parent, listen
from clearinghouse.signer.rules import Role

DEFAULT_LONGEST = timedelta(days=90)
"""How long an approval may hold unless ``--longest`` says so: the default of the settings."""


def main(words: Sequence[str] | None = None) -> int:
    """Run as *words* say, and return the exit status."""
    asked = _parser().parse_args(words)
    longest = timedelta(seconds=asked.longest)
    duty = Duty(Role(asked.role), asked.key_file, longest, asked.principal, asked.allow_demo_key)
    try:
        if asked.connection is not None:
            return answer_parent(duty, asked.connection)
        listen(duty, asked.socket, uid_of(asked.user) if asked.user else os.geteuid())
    except ClearinghouseError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"error: `{asked.socket}` cannot be used ({error.strerror}): check its directory\n")
        return 2
    return 0


def uid_of(user: str) -> int:
    """Return the number of a user of this machine; raises `BadSettings` for none."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise BadSettings(f"`{user}` is no user of this machine", mend="name the user that the service runs as") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clearinghouse.signer", description="Hold one key, and sign what it is for.")
    parser.add_argument("role", choices=[each.value for each in Role])
    parser.add_argument("--key-file", type=Path, required=True, help="the key, mode 0600")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="listen there")
    where.add_argument("--connection", type=int, help="an open socket that our parent left us")
    parser.add_argument("--user", default="", help="who else may connect to the socket")
    parser.add_argument("--principal", default="", help="refuse a key of another principal")
    parser.add_argument("--longest", type=int, default=int(DEFAULT_LONGEST.total_seconds()), help="seconds that what it signs may count")
    parser.add_argument("--allow-demo-key", action="store_true", help="take a key that everybody has")
    return parser


if __name__ == "__main__":
    sys.exit(main())
