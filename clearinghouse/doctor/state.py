"""What an agent has written down in its state directory, read as it is: by root as well, and whatever stands there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from clearinghouse.agent.applying.applier import IMAGES, MODULE_STATUS
from clearinghouse.agent.following import FOLDER
from clearinghouse.clearing.dsse import ROOT, TABLE, opened
from clearinghouse.doctor.facts import EMPTY, Lifetime
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.enforced.image import Image
from clearinghouse.federation.enforced.shadow import image_of
from clearinghouse.federation.published import roots, tables
from clearinghouse.federation.published.documents import MAX_MEMBERS_BYTES
from clearinghouse.federation.published.members import Member, read_member, unlisted
from clearinghouse.federation.trust.keeping import HEAD_FILE, MEMBERS_FILE, ROOTS
from clearinghouse.settings.agent import AgentSettings

_INDEX: Final = "index.json"
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a link leads elsewhere, a FIFO would stop us


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of an agent, as far as it can be read."""

    live: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    images: tuple[Image, ...] = ()
    images_at: datetime | None = None
    members: tuple[Member, ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()

    @classmethod
    def of(cls, agent: AgentSettings | None) -> Kept:
        """Return what the agent with these settings has written down."""
        if agent is None:
            return cls()
        documents = agent.state / FOLDER
        index = _object(documents / _INDEX)
        paths = sorted((agent.state / IMAGES).glob("*.json"))
        made = [each for each in map(_made, paths) if each]
        return cls(
            live=_object(agent.state / MODULE_STATUS),
            images=tuple(image for path in paths if (image := _image(path)) is not None),
            images_at=max(made, default=None),
            members=tuple(_members(_bytes(documents / str(index.get(MEMBERS_FILE))))),
            lifetimes=tuple(_lifetimes({name: _bytes(documents / str(index.get(name))) for name in (HEAD_FILE, ROOTS)})),
        )


def lifetime_of_root(raw: bytes) -> Lifetime:
    """Return from when to when sealed root metadata counts; raises what opening it raises."""
    root = roots.read_payload(opened(raw, payload_type=ROOT).payload)
    return Lifetime(f"root metadata {root.generation}", root.issued, root.expires)


def _bytes(path: Path) -> bytes:
    """Return what is in a regular file, nothing where there is none."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_MEMBERS_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(_bytes(path))
    except (ValueError, RecursionError):
        return EMPTY
    return found if isinstance(found, dict) else EMPTY


def _made(path: Path) -> datetime | None:
    with suppress(OSError):
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    return None


def _image(path: Path) -> Image | None:
    try:
        return image_of(_object(path))
    except (ValueError, ClearinghouseError):
        return None


def _lifetimes(kept: Mapping[str, bytes]) -> Iterator[Lifetime]:
    with suppress(ClearinghouseError, ValueError):
        if kept[HEAD_FILE]:
            head = tables.read_payload(opened(kept[HEAD_FILE], payload_type=TABLE).payload)
            yield Lifetime(f"table {head.epoch}.{head.version}", head.issued, head.expires)
    with suppress(ClearinghouseError, ValueError):
        if kept[ROOTS]:
            yield lifetime_of_root(kept[ROOTS].splitlines()[-1])


def _members(raw: bytes) -> Iterator[Member]:
    with suppress(ClearinghouseError):
        yield from (read_member(each).member for each in unlisted(raw or b"[]"))
