"""The forms of values: what a name, a JID, a path or a length of time in a settings file may be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from clearinghouse.clearing.vocabulary import EVERYTHING, Kind, is_canonical
from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote.principals import is_key, normalise
from clearinghouse.settings.mistakes import wrong

LONGEST_GRANT: Final = timedelta(days=366)
"""No grant can be asked for a longer time."""

LONGEST_KEEPING: Final = timedelta(days=3_660)
"""Facts about people are kept for ten years at most; a settings file that says more has a slip in it."""

MAX_SOCKET_BYTES: Final = 107
"""Bytes of a unix socket's path: ``sun_path`` has 108 with the zero byte at its end (Linux, unix(7))."""

MAX_WORDS: Final = 256
"""Characters of a title, a node's name, a namespace or a host."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}")
"""What useradd(8) allows, in 32 characters, with the capitals and dots that some sites allow too."""


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise wrong(f"has `{text[:MAX_WORDS]}`, which is no name", "use lower-case letters, digits, `.`, `_` and `-`, at most 63")
    return text


def _words(text: str) -> str:
    if not text.isprintable() or len(text) > MAX_WORDS:
        raise wrong("has control characters, or is too long", f"use at most {MAX_WORDS} printable characters")
    return text


def _filled(text: str) -> str:
    if not text:
        raise wrong("is empty", "write something")
    return text


def _domain(text: str) -> str:
    if text == EVERYTHING or not is_canonical(Kind.DOMAIN, text):
        raise wrong(f"is `{text}`, which is no domain", "write it in lower case, with A-labels, as in `pubsub.example.org`")
    return text


def _bare_jid(text: str) -> str:
    if text == EVERYTHING or text != text.lower() or not is_canonical(Kind.JID, text):
        raise wrong(f"has `{text}`, which is no bare JID in lower case", "write `user@domain`, or a domain")
    return text


def _principal(text: str) -> str:
    try:
        return normalise(text)
    except BadPrincipal as error:
        raise wrong(f"has a key that cannot be decoded: {error.message}", error.mend) from None


def _key(text: str) -> str:
    principal = _principal(text)
    if not is_key(principal):
        raise wrong(f"has `{text[:MAX_WORDS]}`, which is no key", "write it as `clearinghouse inspect KEY-FILE` prints it")
    return principal


def _user_jid(text: str) -> str:
    if "@" not in _bare_jid(text):
        raise wrong(f"has `{text}`, which is a server and nobody's address", "write `user@domain`")
    return text


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise wrong(f"has `{text[:MAX_WORDS]}`, which is no user of this machine", "write the user's name, as `id -un` prints it")
    return text


def _beside(path: Path, info: ValidationInfo) -> Path:
    context: Mapping[str, Path] = info.context or {"directory": Path()}
    return context["directory"] / path.expanduser()


def _socket(path: Path) -> Path:
    if len(os.fsencode(path)) > MAX_SOCKET_BYTES:
        raise wrong(f"is `{path}`, which is too long for a socket", f"take a path of at most {MAX_SOCKET_BYTES} bytes, from the root on")
    return path


def _lasting(longest: timedelta) -> Callable[[object], timedelta]:
    return lambda value: _duration(value, longest)


def _duration(value: object, longest: timedelta) -> timedelta:
    if isinstance(value, timedelta):
        return value
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
    number, _, unit = value.partition(" ") if isinstance(value, str) else ("", "", "")
    seconds = units.get(unit.removesuffix("s"))
    if seconds is None or not number.isascii() or not number.isdecimal():
        raise wrong(f"is `{value}`, which is no length of time", "write it as in `90 days`, `12 hours` or `30 minutes`")
    length = timedelta(seconds=min(int(number[:12]) * seconds, 2 * LONGEST_KEEPING.total_seconds()))
    if not timedelta(0) < length <= longest:
        raise wrong(f"is `{value}`", f"take more than nothing and at most {longest.days} days")
    return length


Domain = Annotated[str, AfterValidator(_domain)]
BareJid = Annotated[str, AfterValidator(_bare_jid)]
Principal = Annotated[str, AfterValidator(_principal)]
BesidePath = Annotated[Path, AfterValidator(_beside)]
SocketPath = Annotated[Path, AfterValidator(_beside), AfterValidator(_socket)]
Duration = Annotated[timedelta, BeforeValidator(_lasting(LONGEST_GRANT))]
Keeping = Annotated[timedelta, BeforeValidator(_lasting(LONGEST_KEEPING))]
UserJid = Annotated[str, AfterValidator(_user_jid)]
Key = Annotated[str, AfterValidator(_key)]
User = Annotated[str, AfterValidator(_user)]
Filled = Annotated[str, AfterValidator(_words), AfterValidator(_filled)]
Name = Annotated[str, AfterValidator(_name)]
Words = Annotated[str, AfterValidator(_words)]
