"""Scenario files: requests with the decisions that a community wants, in TOML (the schema is these classes).

A table that stands at the top of the file is what each ``[[scenario]]`` has unless it says
otherwise: tables are merged name by name, anything else replaces what was there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.errors import BadSettings

_INHERITED = ("request", "store")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(_Table):
    """The request: what :class:`clearinghouse.clearing.request.Request` has, and when it is made.

    ``requesters`` are names of the file's principals, or principals written out.  ``without``
    names attributes that are left out of all three tables.  ``credentials`` are files or
    directories whose assertions the requester hands in; ``approvals`` are those of which our own desk
    has signed each for exactly this request.
    """

    operation: str
    door: Door
    now: AwareDatetime
    requesters: tuple[str, ...]
    observed: dict[str, str] = Field(default_factory=dict)
    known: dict[str, str] = Field(default_factory=dict)
    claims: dict[str, str] = Field(default_factory=dict)
    without: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    validity: int | None = None


class Store(_Table):
    """What the clearinghouse itself holds: credentials, and what is revoked.

    ``revoked`` are principals, ``below`` those of which all delegations are revoked, ``withdrawn`` credentials by file.
    """

    credentials: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


class Want(_Table):
    """The wanted decision.

    ``reason`` is its code, left out where only the explanation matters.  ``says`` are words of
    that explanation: of the reason's text, or of why an assertion was skipped.  ``skipped`` are
    reason codes of assertions that were left out, each at least once.
    """

    value: str
    outcome: Outcome
    reason: str = ""
    says: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Scenario(_Table):
    """One request with the decision that is wanted, and why it is there (``note``)."""

    note: str
    request: Asked
    store: Store = Store()
    want: Want


class ScenarioFile(_Table):
    """A file of scenarios about one community; relative paths start at the file's own directory.

    ``desk`` is the principal that signs approvals, by its name or written out: without one, what it has signed
    is a credential like any other.
    """

    note: str
    community: str
    policies: str = "."
    principals: dict[str, str] = Field(default_factory=dict)
    levels: tuple[str, ...] = ("deny", "allow")
    desk: str = ""
    scenarios: tuple[Scenario, ...] = Field(min_length=1)


def read_scenarios(path: Path) -> ScenarioFile:
    """Return the scenarios in *path*; raises BadSettings with the place of the mistake."""
    assembled = _assembled(_toml(path, "scenario"), path)
    try:
        return ScenarioFile.model_validate(assembled)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise BadSettings(f"`{path}`, {place}: {problem['msg'].lower()}", mend="see the page on testing policies") from None


def _toml(path: Path, what: str) -> dict[str, Any]:
    """Return the tables of a TOML file; raises BadSettings, which names that file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"`{path}` cannot be read ({error.strerror})", mend=f"give the path of a {what} file") from None
    except UnicodeDecodeError:
        raise BadSettings(f"`{path}` is not UTF-8 text", mend=f"give the path of a {what} file, which is TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"`{path}` is not TOML: {error}", mend="mend that line") from None
    except (RecursionError, ValueError) as error:  # deep nesting, a NUL byte in the name, a number of too many digits
        raise BadSettings(f"`{path}` cannot be used ({type(error).__name__})", mend=f"give the path of a {what} file") from None


def _assembled(raw: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the file with what scenarios inherit written into each."""
    inherited = {name: raw.get(name, {}) for name in _INHERITED}
    top = {name: raw[name] for name in raw if name not in (*_INHERITED, "scenario")}
    if isinstance(top.get("principals"), str):
        top["principals"] = _toml(path.parent / top["principals"], "principals")
    return top | {"scenarios": [_merged(inherited, each) for each in _tables(raw, path)]}


def _tables(raw: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return the scenarios as they are written; raises BadSettings where they, or what they inherit, are no tables."""
    found = raw.get("scenario", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadSettings(f"`{path}`, scenario: it is no list of tables", mend="begin each scenario with `[[scenario]]`")
    for name in _INHERITED:
        if not isinstance(raw.get(name, {}), dict):
            raise BadSettings(f"`{path}`, {name}: it is no table", mend=f"begin it with `[{name}]`")
    return found


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            merged[name] = _merged(below[name], above[name])
    return merged
