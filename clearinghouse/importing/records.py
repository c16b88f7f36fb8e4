"""Members in a file: drafts or signed records, one a line, or a list as it is published."""

from __future__ import annotations

from pathlib import Path

from clearinghouse.errors import BadSettings
from clearinghouse.federation.published.documents import MAX_MEMBER_BYTES
from clearinghouse.federation.published.members import Member, read_member, read_payload, unlisted
from clearinghouse.importing.files import read_bytes

_OF_AN_ENVELOPE = b"payloadType"


def read_members(path: Path) -> tuple[Member, ...]:
    """Return the members in a file; who signed them is not asked.  Raises what reading a record raises, and `BadSettings`."""
    data = read_bytes(path)
    lines = unlisted(data.strip()) if data.lstrip().startswith(b"[") else [line for line in data.splitlines() if line.strip()]
    for line in lines:
        if len(line) > MAX_MEMBER_BYTES:
            raise BadSettings(f"`{path}` has a record of more than {MAX_MEMBER_BYTES} bytes", mend="give a list of members")
    return tuple(read_member(line).member if _OF_AN_ENVELOPE in line else read_payload(line) for line in lines)
