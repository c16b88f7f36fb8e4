"""From a file to settings, or to an error that names every mistake in it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.settings import agent, model
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.mistakes import Mistake, mistakes_in, refusal
from clearinghouse.settings.model import Settings
from clearinghouse.settings.ownership import foreign
from clearinghouse.settings.section import Section

MAX_SETTINGS_BYTES: Final = 1 << 20
"""Bytes of a settings file; a thousand topics have 200 kB."""


_Whole = TypeVar("_Whole", bound=Section)


def read_settings(path: Path) -> Settings:
    """Return the settings in *path*; relative paths in them start at its directory.

    Raises :class:`BadSettings`, which names the line, the setting and the mend of every mistake, and
    :class:`UnsafeFile` where somebody else can write the file.
    """
    return parse_settings(_read(path, no_settings(path)), file=str(path), directory=path.resolve().parent)


def read_agent_settings(path: Path) -> AgentSettings:
    """Return the settings of an agent in *path*; raises as `read_settings` does."""
    return parse_agent_settings(_read(path, no_agent_settings(path)), file=str(path), directory=path.resolve().parent)


def parse_settings(text: str, *, file: str, directory: Path) -> Settings:
    """Return the settings in *text*; *file* is its name in errors."""
    return _parsed(text, Settings, model.NAMES, model.TABLES, file=file, directory=directory)


def parse_agent_settings(text: str, *, file: str, directory: Path) -> AgentSettings:
    """Return the settings of an agent in *text*; *file* is its name in errors."""
    return _parsed(text, AgentSettings, agent.NAMES, agent.TABLES, file=file, directory=directory)


def _parsed(
    text: str, whole: type[_Whole], names: Mapping[str, Sequence[str]], tables: Sequence[str], *, file: str, directory: Path
) -> _Whole:
    try:
        # A section that is left out is an empty one, so that its defaults are checked and find the directory too.
        content = {name: {} for name in tables} | tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mend = "see https://toml.io; a text stands in quotation marks, a path too"
        raise BadSettings(f"`{file}` is not TOML: {_lower(str(error))}", mend=mend) from None
    try:
        return whole.model_validate(content, context={"directory": directory})
    except ValidationError as error:
        found = list(mistakes_in(error.errors(include_url=False), text, names))
        raise refusal(file, sorted(found, key=lambda each: (each.line or _LAST, each.fact))) from None


_LAST: Final = 1 << 31
"""Where a mistake stands that stands on no line: after all others."""


def no_settings(path: Path) -> Mistake:
    """Return what to say where there is no file at all."""
    return Mistake(
        0, "there is no such file", f"name it with `--config`, or write one with `clearinghouse init {path.parent} --community NAME`"
    )


def no_agent_settings(path: Path) -> Mistake:
    """Return what to say where there is no file of an agent's settings."""
    return Mistake(0, "there is no such file", f"name it with `--config`; docs/how-to/run-an-agent.md has a whole one for `{path.name}`")


def _read(path: Path, absent: Mistake) -> str:
    try:
        with path.open("rb") as file:
            fault = foreign(os.fstat(file.fileno()))
            content = file.read(MAX_SETTINGS_BYTES + 1)
    except FileNotFoundError:
        raise refusal(str(path), [absent]) from None
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
