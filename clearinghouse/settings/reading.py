"""From a file to settings, or to an error that names every mistake in it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.settings.mistakes import Mistake, mistakes_in, refusal
from clearinghouse.settings.model import NAMES, TABLES, Settings
from clearinghouse.settings.ownership import foreign

MAX_SETTINGS_BYTES: Final = 1 << 20
"""Bytes of a settings file; a thousand topics have 200 kB."""


def read_settings(path: Path) -> Settings:
    """Return the settings in *path*; relative paths in them start at its directory.

    Raises :class:`BadSettings`, which names the line, the setting and the mend of every mistake, and
    :class:`UnsafeFile` where somebody else can write the file.
    """
    return parse_settings(_read(path), file=str(path), directory=path.resolve().parent)


def parse_settings(text: str, *, file: str, directory: Path) -> Settings:
    """Return the settings in *text*; *file* is its name in errors."""
    try:
        # A section that is left out is an empty one, so that its defaults are checked and find the directory too.
        content = {name: {} for name in TABLES} | tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mend = "see https://toml.io; a text stands in quotation marks, a path too"
        raise BadSettings(f"`{file}` is not TOML: {_lower(str(error))}", mend=mend) from None
    try:
        return Settings.model_validate(content, context={"directory": directory})
    except ValidationError as error:
        found = list(mistakes_in(error.errors(include_url=False), text, NAMES))
        raise refusal(file, sorted(found, key=lambda each: (each.line or _LAST, each.fact))) from None


_LAST: Final = 1 << 31
"""Where a mistake stands that stands on no line: after all others."""


def no_settings(path: Path) -> Mistake:
    """Return what to say where there is no file at all."""
    return Mistake(
        0, "there is no such file", f"name it with `--config`, or write one with `clearinghouse init {path.parent} --community NAME`"
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            fault = foreign(os.fstat(file.fileno()))
            content = file.read(MAX_SETTINGS_BYTES + 1)
    except FileNotFoundError:
        raise refusal(str(path), [no_settings(path)]) from None
    except OSError as error:
        raise BadSettings(f"`{path}` cannot be read ({error.strerror})", mend="give the path of the settings file") from None
    if fault:
        raise UnsafeFile(f"`{path}` {fault.fact}", mend=f"{fault.mend}, and read what it says now")
    if len(content) > MAX_SETTINGS_BYTES:
        raise BadSettings(f"`{path}` is too large", mend=f"settings have at most {MAX_SETTINGS_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadSettings(f"`{path}` is not UTF-8 at byte {error.start}", mend="save it as UTF-8") from None


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
